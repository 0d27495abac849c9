"""The reports: golden screens, and JSON and XML read back by independent readers."""
from __future__ import annotations

import json
import os
import re
import stat
import subprocess
import sys
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any, List
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings, strategies as st

from graders import report
from graders.model import FAIL, INCONCLUSIVE, PASS, GraderError, Result

from samples import EXPONENT, LAB, PASSED, RESULTS, SHIPPED, failed, timed

HERE = Path(__file__).parent
COLOUR = re.compile(r"\x1b\[[0-9;]*m")
NAMES = sorted(RESULTS)


# --- the screen ----------------------------------------------------------------------------

@pytest.mark.parametrize("name", NAMES)
def test_golden_screens(name: str) -> None:
    """UPDATE_GOLDEN=1 writes them anew; look at each before you keep it."""
    golden = HERE / "golden" / f"{name}.txt"
    screen = report.text(RESULTS[name], under_make=True)
    if os.environ.get("UPDATE_GOLDEN"):
        golden.write_text(screen)
    assert screen == golden.read_text()


def test_no_golden_screen_without_a_result() -> None:
    assert sorted(path.stem for path in (HERE / "golden").glob("*.txt")) == NAMES


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("width", [20, 60, 80, 100])
def test_screens_fit(name: str, width: int) -> None:
    lines = report.text(RESULTS[name], width=width).split("\n")
    assert all(len(line) <= max(width, 60) for line in lines)
    assert lines[-2:] == ["", ""]                       # ends with a blank line
    assert width < 80 or len(lines) <= 29
    assert not any(line != line.rstrip() for line in lines)


@pytest.mark.parametrize("name", NAMES)
def test_colour_changes_nothing_but_colour(name: str) -> None:
    plain, coloured = (report.text(RESULTS[name], colour) for colour in (False, True))
    assert "\x1b" not in plain and "\x1b[" in coloured
    stripped = COLOUR.sub("", coloured)
    assert [line.rstrip() for line in stripped.split("\n")] == plain.split("\n")


def test_long_details_are_cut_to_the_screen() -> None:
    screen = report.text(failed("compile", "a", "\n".join(["x" * 200] * 40)))
    lines = screen.split("\n")
    assert max(map(len, lines)) == 80 and len(lines) < 30 and "    ... 28 more lines" in lines


def test_the_line_about_make_is_for_make_alone() -> None:
    assert "that make reports" in report.text(SHIPPED, under_make=True)
    assert "that make reports" not in report.text(SHIPPED)
    assert "that make reports" not in report.text(PASSED, under_make=True)


@given(st.text(max_size=300), st.integers(40, 120))
@settings(max_examples=100, deadline=None)
def test_nothing_from_outside_steers_the_terminal(words: str, width: int) -> None:
    result = replace(failed("crash", words, words), submission=Path("/a" + words))
    for screen in (report.text(result, width=width),
                   report.text(replace(SHIPPED, outputs_text=words), width=width)):
        assert all(char.isprintable() or char == "\n" for char in screen)


@pytest.mark.parametrize("ratio, words", [
    (52.3, "x faster than slow.c, 98 % less time"), (2.31, "x faster than slow.c, 57 % less time"),
    (0.5, "slower than slow.c (0.50x), 100 % more time"), (1.0, "about as fast as slow.c (1.00x)"),
    (30000, "x faster than slow.c, 99.997 % less time")])
def test_ratio_both_ways(ratio: float, words: str) -> None:
    assert words in report.text(replace(PASSED, time=timed(ratio, spread=1e-7)))


def test_a_verdict_without_pairs() -> None:
    empty = replace(SHIPPED, state=INCONCLUSIVE, time=timed(1, pairs=0), points=(None, 20, 20))
    screen = report.text(empty)
    assert "no pair of runs could be counted" in screen and "?/60" in screen
    assert "40 of 100 points, 60 pending" in screen
    assert json.loads(report.json(empty))["time"]["counted"] == 0


# --- the next step -------------------------------------------------------------------------

@pytest.mark.parametrize("name, words", [
    ("pass", "make labs"), ("shipped", "Measure before you change anything: make lab03-bench"),
    ("slower", "make lab03-hint"), ("faster-cause-kept", "the cause is still there"),
    ("answers-missing", "Answer 'time_4n' in answers.ini: make lab03-bench"),
    ("noisy", "make doctor"), ("at-the-bar", "right at the bar: a little faster"),
    ("output-wrong", "Make the output right first"), ("compile", "Fix the first message"),
    ("other-submission", "make lab03 SUBMISSION='/home/ada/my work/student.c'"),
    ("no-compiler", "Fix that, then: make lab03")])
def test_next_step(name: str, words: str) -> None:
    assert words in report.next_step(RESULTS[name])
    assert words.split()[0] in report.text(RESULTS[name])


def test_the_solution_is_named_where_there_is_one(tmp_path: Path) -> None:
    lab = replace(LAB, solution=tmp_path)
    assert f"solutions/{tmp_path.name}/NOTES.md" in report.next_step(replace(PASSED, lab=lab))


def test_a_given_next_step_is_kept() -> None:
    assert "  Next       Do this." in report.text(replace(SHIPPED, next_step="Do this."))


# --- JSON ----------------------------------------------------------------------------------

@pytest.mark.parametrize("name", NAMES)
def test_json_is_strict_and_versioned(name: str) -> None:
    def refuse(word: str) -> None:
        raise AssertionError(word)
    found = json.loads(report.json(RESULTS[name]), parse_constant=refuse)
    assert found["perflab_result"] == 1 and found["state"] == RESULTS[name].state
    assert found["exit_code"] == {"PASS": 0, "FAIL": 1, "ERROR": 2, "INCONCLUSIVE": 75}[
        found["state"]]
    assert (found["error"] is None) == (not RESULTS[name].error_kind)


def test_json_has_everything_a_regrade_needs() -> None:
    found = json.loads(report.json(RESULTS["faster-cause-kept"]))
    time = found["time"]
    bar = Fraction(time["bar_exact"])
    wins = sum(pair["slow_ns"] > bar * pair["student_ns"]
               for pair in time["pairs"] if not pair["discarded"])
    assert (wins, time["counted"]) == (time["wins"], len(time["pairs"]))
    assert found["points"] == {
        "time": {"got": 60, "most": 60}, "evidence": {"got": 0, "most": 20},
        "diagnosis": {"got": 10, "most": 20}, "total": 70, "most": 100, "pending": 0}
    assert [item["passed"] for item in found["evidence"]] == [False, False]
    assert [item["given"] for item in found["diagnosis"]] == ["2", "8"]
    assert found["machine"]["compiler"] == "gcc 12.2.0" and found["seed"] == 42


def test_json_of_odd_values() -> None:
    odd = replace(SHIPPED, seconds=float("nan"), outputs_text="\x00\ud800",
                  extra={"path": Path("a"), "third": Fraction(1, 3), "list": [float("inf")]})
    found = json.loads(report.json(odd))
    assert found["seconds"] is None and found["outputs"]["problem"] == "\x00\\ud800"
    assert found["extra"] == {"path": "a", "third": 1 / 3, "list": [None]}


# --- JUnit ---------------------------------------------------------------------------------

def check_shape(document: str) -> ElementTree.Element:
    """What readers of JUnit rely on: nesting, required attributes, counts, one outcome a case."""
    root = ElementTree.fromstring(document.encode())
    suite, = root
    assert (root.tag, suite.tag, suite[0].tag) == ("testsuites", "testsuite", "properties")
    assert all(set(item.attrib) == {"name", "value"} for item in suite[0])
    cases = suite.findall("testcase")
    assert [item.tag for item in suite[1:]] == ["testcase"] * len(cases) + ["system-out"]
    outcomes: List[str] = []
    for case in cases:
        assert case.get("name") and case.get("classname") == "lab03_string_building"
        assert len(case) <= 1
        outcomes += [item.tag for item in case]
        assert all(item.get("message") is not None for item in case)
    assert set(outcomes) <= {"failure", "error", "skipped"}
    for element in (root, suite):
        assert element.get("tests") == str(len(cases))
        assert element.get("failures") == str(outcomes.count("failure"))
        assert element.get("errors") == str(outcomes.count("error"))
        assert re.fullmatch(r"\d+\.\d{3}", element.get("time", ""))
    assert suite.get("skipped") == str(outcomes.count("skipped"))
    return suite


def outcome(suite: ElementTree.Element, name: str) -> str:
    case, = (case for case in suite.findall("testcase") if case.get("name") == name)
    return case[0].tag + ":" + case[0].get("type", "") if len(case) else ""


@pytest.mark.parametrize("name", NAMES)
def test_junit_shape(name: str) -> None:
    check_shape(report.junit(RESULTS[name]))


@pytest.mark.parametrize("name, case, expected", [
    ("pass", "time", ""), ("pass", "output", ""), ("pass", "evidence.growth", ""),
    ("shipped", "time", "failure:too-slow"), ("shipped", "evidence.allocs", "failure:evidence"),
    ("shipped", "diagnosis.exponent", "failure:diagnosis"), ("noisy", "time", "skipped:"),
    ("compile", "output", "error:compile"), ("crash", "output", "error:crash"),
    ("forbidden", "output", "error:forbidden"), ("wrong-output", "output", "failure:wrong-output"),
    ("compile", "time", "skipped:"), ("no-compiler", "grading", "error:grader"),
    ("output-wrong", "output", "failure:wrong-output")])
def test_junit_outcomes(name: str, case: str, expected: str) -> None:
    assert outcome(check_shape(report.junit(RESULTS[name])), case) == expected


@given(st.text(st.characters(codec=None), max_size=60))
@settings(max_examples=100, deadline=None)
def test_junit_survives_any_output_of_a_student(words: str) -> None:
    suite = check_shape(report.junit(failed("crash", words, words)))
    assert outcome(suite, "output") == "error:crash"


def test_junit_says_by_how_much_it_is_too_slow() -> None:
    suite = check_shape(report.junit(RESULTS["slower"]))
    assert [item.get("message") for item in suite.iter("failure")][0] == (
        "slower than slow.c (0.80x), 25 % more time; the bar is 4x")
    skipped = ElementTree.fromstring(report.junit(RESULTS["noisy"])).find(".//skipped")
    assert skipped is not None and "time budget of 20 s" in (skipped.text or "")


def test_junit_escapes_markup_and_control_characters() -> None:
    document = report.junit(failed("crash", "<b>&\"'\x1b[2J\x00 ]]>"))
    assert "\x1b" not in document and document.isascii()
    error = ElementTree.fromstring(document.encode()).find(".//error")
    assert error is not None and error.text == "<b>&\"'\\x1b[2J\\x00 ]]>"


# --- writing -------------------------------------------------------------------------------

@pytest.mark.parametrize("format", ["text", "json", "junit"])
def test_write_replaces_a_file_at_once(tmp_path: Path, format: str) -> None:
    path = tmp_path / "report"
    path.write_text("old")
    report.write(SHIPPED, format, path)
    assert path.read_text() == report.FORMATS[format](SHIPPED)
    assert list(tmp_path.iterdir()) == [path]


def test_write_obeys_the_umask_and_follows_links(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "real")
    before = os.umask(0o027)
    try:
        report.write(SHIPPED, "json", tmp_path / "link")
    finally:
        os.umask(before)
    assert (tmp_path / "link").is_symlink()
    assert stat.S_IMODE((tmp_path / "real").stat().st_mode) == 0o640


@pytest.mark.parametrize("target, reason", [
    ("missing/report", "No such file or directory"), ("", "Is a directory"),
    ("file/report", "Not a directory")])
def test_a_place_that_cannot_be_written(tmp_path: Path, target: str, reason: str) -> None:
    (tmp_path / "file").write_text("kept")
    path = tmp_path / "folder" / target if not target else tmp_path / target
    (tmp_path / "folder").mkdir()
    with pytest.raises(GraderError) as caught:
        report.write(SHIPPED, "json", path)
    assert str(caught.value) == (f"cannot write the report to {path}: {reason}; "
                                 "name another place with --output FILE")
    assert (tmp_path / "file").read_text() == "kept"
    assert sorted(item.name for item in tmp_path.iterdir()) == ["file", "folder"]


def test_a_full_disk_leaves_the_old_file_and_no_draft(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "report"
    path.write_text("old")

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(GraderError, match="No space left on device"):
        report.write(SHIPPED, "json", path)
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]


def test_a_full_device() -> None:
    with pytest.raises(GraderError, match="/dev/full: No space left on device"):
        report.write(SHIPPED, "json", Path("/dev/full"))


def test_unknown_format() -> None:
    with pytest.raises(GraderError, match="unknown format 'yaml'; there are text, json, junit"):
        report.write(SHIPPED, "yaml")


PROGRAM = """
import sys; sys.path[:0] = {paths!r}
from graders import report
from graders.model import GraderError
from samples import SHIPPED
try:
    report.write(SHIPPED, sys.argv[1])
except GraderError as error:
    print(error, file=sys.stderr)
    sys.exit(2)
"""


def run(format: str, stdout: Any = subprocess.PIPE, **environment: str) -> Any:
    program = PROGRAM.format(paths=[str(HERE), str(HERE.parents[1])])
    kept = {key: value for key, value in os.environ.items()
            if key not in ("MAKELEVEL", "NO_COLOR", "PYTHONIOENCODING")}
    return subprocess.run([sys.executable, "-c", program, format], stdout=stdout,
                          stderr=subprocess.PIPE, text=True, env={**kept, **environment})


def test_standard_output_is_plain_unless_it_is_a_terminal() -> None:
    assert run("text").stdout == report.text(SHIPPED)
    assert run("text", MAKELEVEL="1").stdout == report.text(SHIPPED, under_make=True)
    assert run("json", PYTHONIOENCODING="ascii").stdout == report.json(SHIPPED)


@pytest.mark.parametrize("format", ["text", "json"])
def test_a_full_standard_output_is_one_line(format: str) -> None:
    with open("/dev/full", "w") as full:
        done = run(format, full)
    assert done.returncode == 2
    assert done.stderr == ("cannot write the report to standard output: No space left on device; "
                           "name another place with --output FILE\n")


@pytest.mark.parametrize("environment, coloured", [
    ({"TERM": "xterm"}, True), ({"TERM": "xterm", "NO_COLOR": "1"}, False),
    ({"TERM": "dumb"}, False)])
def test_colour_on_a_terminal_only(environment: Any, coloured: bool) -> None:
    controller, terminal = os.openpty()
    done = run("text", terminal, **environment)
    os.close(terminal)
    output = b""
    try:
        while piece := os.read(controller, 65536):
            output += piece
    except OSError:                                     # Linux reports the closed side so
        pass
    os.close(controller)
    assert done.returncode == 0 and (b"\x1b[" in output) == coloured
