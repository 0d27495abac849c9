"""check: each thing that a lab may lack is found and named, and a complete lab has no complaint."""
from __future__ import annotations

import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Callable, Dict, List

import pytest
from fixture_course import complaints, course, edit, lab_of, run
from fixture_lab import LAB, SOLUTION, SUBMISSIONS, copy_of_the_lab

from graders import check, lab as labs, probes, trials
from graders.model import PASS, GraderError
from graders.probes import Probe


@pytest.fixture
def own(tmp_path: Path) -> Path:
    return course(tmp_path)


def test_a_complete_lab_has_no_complaint(own: Path) -> None:
    assert complaints(own) == []


LAB_03, SOLVED, PROBES = ("labs/03_string_building/", "solutions/03_string_building/",
                          "tests/probes/03_string_building/")
README, NOTES, ANSWERS = LAB_03 + "README.md", SOLVED + "NOTES.md", LAB_03 + "answers.ini"


def replacing(path: str, old: str, new: str) -> Callable[[Path], None]:
    return lambda root: edit(root / path, old, new)


def removing(path: str) -> Callable[[Path], None]:
    return lambda root: (root / path).unlink()


def adding(path: str) -> Callable[[Path], None]:
    return lambda root: (root / path).write_text("")


def reduced(root: Path) -> None:
    for name in ("other_chunks.c", "other_memstream.c"):
        (root / PROBES / name).unlink()
        edit(root / PROBES / "probes.ini", f"[{name}]\nstate = PASS\n", "")


FAULTS: Dict[str, "tuple[Callable[[Path], None], str]"] = {
    "a file too few": (removing(LAB_03 + "lab.h"), "lab.h: is missing"),
    "a solution's file too few": (removing(SOLVED + "recorded.ini"), "graders record 03 writes it"),
    "a file too many": (adding(LAB_03 + "student.c~"), "student.c~: does not belong here"),
    "a probe too many": (adding(PROBES + "wrong_x.c"), "name it in probes.ini"),
    "a probe too few": (removing(PROBES + "wrong_freed.c"), "wrong_freed.c: is missing"),
    "something to fill in": (replacing(README, "# Lab 03", "# FILL IN 03"),
                             "README.md:1: FILL"),
    "an unknown kind": (replacing(LAB_03 + "lab.ini", "kind = allocs_per_op", "kind = alloc"),
                        "'alloc' is unknown"),
    "other code in student.c": (replacing(LAB_03 + "student.c", "calloc(1, 1)", "malloc(1)"),
                                "its code is not that of slow.c; make lab03-reset"),
    "no heading in slow.c": (replacing(LAB_03 + "slow.c", "/* slow.c: ", "// slow.c: */ /*"),
                             "slow.c: does not begin with a comment"),
    "an answer as shipped": (replacing(ANSWERS, "exponent =", "exponent = 2"),
                             "exponent has an answer; take it out"),
    "a blank answer in the solution": (replacing(SOLVED + "answers.ini", "= append_field", "="),
                                       "hot_function is blank"),
    "another question": (replacing(ANSWERS, "in percent?", "in parts?"),
                         "no comment asks what lab.ini asks: 'What share"),
    "answers in another order": (replacing(ANSWERS, "[answers]\n", "[answers]\ntime_4n =\n"),
                                 "answered twice"),
    "another title": (replacing(README, "# Lab 03: String", "# Lab 03: Strings"),
                      "does not begin with '# Lab 03: String building'"),
    "another heading": (replacing(README, "## Go further", "## Further"), "its headings are"),
    "too long": (replacing(README, "## Task", "word " * 400 + "\n\n## Task"), "words; write 300"),
    "no reading time": (replacing(README, "Reading time: 4", "Reading time: 40"),
                        "write 'Reading time: 5 minutes'"),
    "another difficulty": (replacing(README, "Difficulty: 1", "Difficulty: 2"),
                           "does not say 'Difficulty: 1 of 5'"),
    "a command too few": (replacing(README, "make lab03-watch", "make lab03"),
                          "does not name the command 'make lab03-watch'"),
    "an empty section": (replacing(README, "`make lab03-hint` shows",
                                   "`make lab03-hint`\n\n## Q\n"), "'Hints' has 2 words"),
    "another table": (replacing(LAB_03 + "lab.ini", "bar = 10", "bar = 9"),
                      "its table differs from lab.ini: python3 -m graders readme 03"),
    "no table": (replacing(README, "<!-- from lab.ini: grading -->", ""), "lacks a line <!-- from"),
    "a quiz of three": (replacing(README, "4. When is `strcat` fine?", "When is it fine?"),
                        "3 quiz questions"),
    "a quiz without reasons": (replacing(
        README, "The copies are 64, 128, 256 bytes and so on. Together they are less than twice "
        "the last one,\n   however long the text gets: a constant cost for each byte.",
        "It is linear."), "quiz answer 2 has 3 words"),
    "no word of when not to": (replacing(NOTES, "## When not to do it", "## The end"),
                               "no heading says when not to do it"),
    "other figures": (replacing(NOTES, "96.2x", "99.9x"), "its figures differ from recorded.ini"),
    "no figures": (replacing(NOTES, "<!-- recorded -->", ""), "lacks a line <!-- recorded -->"),
    "too few probes": (reduced, "has 2 files other_*.c of 3"),
    "a probe that says another thing than its name": (
        replacing(PROBES + "probes.ini", "[kept_strcat.c]\nstate = FAIL",
                  "[kept_strcat.c]\nstate = PASS"), "[kept_strcat.c] state: PASS is what it says"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_each_fault_is_named(own: Path, name: str) -> None:
    break_it, words = FAULTS[name]
    break_it(own)
    try:
        found = complaints(own)
    except GraderError as error:        # `check` shows it as the item's complaint
        found = [str(error)]
    assert any(words in line for line in found), found


@pytest.mark.parametrize("old,new,words", [
    ("state = PASS", "state = GREEN", "'GREEN' is an unknown state; there are PASS"),
    ("state = PASS", "colour = red", "'colour' is an unknown key"),
    ("fails = time growth", "fails = tempo", "'tempo' is an unknown part; there are allocs"),
    ("state = PASS\n", "", "state is missing"), ("[kept_strcat.c]", "kept", "probes.ini")])
def test_a_broken_manifest_is_one_line(own: Path, old: str, new: str, words: str) -> None:
    edit(own / PROBES / "probes.ini", old, new)
    with pytest.raises(GraderError) as error:
        probes.read(lab_of(own))
    assert words in str(error.value) and "\n" not in str(error.value)


def test_probes_say_what_they_are(own: Path) -> None:
    about = {probe.path.name: probe.about for probe in probes.read(lab_of(own))}
    assert about["wrong_no_separator.c"] == "Wrong: no tab between the fields"
    assert about["kept_strcat.c"].endswith("still looks for the end of the text, twice a field")


def probe(states: str = "FAIL", fails: str = "", maybe: str = "", errors: str = "") -> Probe:
    return Probe(Path("kept_x.c"), *(frozenset(words.split())
                                     for words in (states, fails, maybe, errors)))


@pytest.mark.parametrize("expected,state,error,failed,words", [
    (probe("PASS"), "PASS", "", [], ""),
    (probe("PASS"), "FAIL", "", ["time"], "must be PASS, and is FAIL"),
    (probe("PASS"), "FAIL", "crash", [], "must be measured, and was stopped by crash"),
    (probe(errors="crash hang"), "FAIL", "hang", [], ""),
    (probe(errors="crash"), "PASS", "", [], "must be stopped by crash, and was by nothing"),
    (probe(errors="crash"), "FAIL", "hang", [], "was by hang"),
    (probe(fails="growth"), "FAIL", "", ["growth"], ""),
    (probe(fails="growth"), "FAIL", "", ["time"], "'growth' must fail, and does not"),
    (probe(fails="growth"), "FAIL", "", ["growth", "time"], "'time' must pass, and does not"),
    (probe(fails="growth", maybe="time"), "FAIL", "", ["growth", "time"], ""),
    (probe(fails="growth time"), "", "", ["growth"], "")])
def test_what_a_probe_must_give(expected: Probe, state: str, error: str, failed: List[str],
                                words: str) -> None:
    decided = ["growth"] + ["time"] * bool(state)
    found = probes.complaints(expected, state, error, failed, decided)
    assert any(words in line for line in found) if words else not found, found


# --- what needs gradings: on the small lab of the graders' own tests ------------------------

MANIFEST = """
[only_the_cause.c]
state = PASS
[kept_slow.c]
state = FAIL
fails = time growth
[wrong_spaces.c]
state = FAIL
error = wrong-output
"""


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """Lab 90 with three probes."""
    lab = copy_of_the_lab(tmp_path)
    place = tmp_path / "tests" / "probes" / LAB.name
    place.mkdir(parents=True)
    (place / "probes.ini").write_text(MANIFEST)
    shutil.copy(SOLUTION / "student.c", place / "only_the_cause.c")
    shutil.copy(lab / "slow.c", place / "kept_slow.c")
    shutil.copy(SUBMISSIONS / "keeps_spaces.c", place / "wrong_spaces.c")
    return tmp_path


def results(root: Path, *names: str) -> Dict[str, List[str]]:
    """The complaints of the trials whose name ends so."""
    lab = labs.load(root, "90")
    chosen = [one for one in trials.trials(lab, root, False) if one.name.endswith(names)]
    assert len(chosen) >= len(names), [one.name for one in trials.trials(lab, root, False)]
    return {one.name: one.run()[0] for one in chosen}


def test_a_lab_that_does_what_it_promises(small: Path) -> None:
    code, screen = run("check", "--root", str(small), "90")
    items = [line for line in screen.splitlines() if re.match(r"    (ok|no)  ", line)]
    graded = [line for line in items if " -O" in line]
    # No folder of this small lab has the documents; its gradings are complete.
    assert code == 1 and "README.md: is missing" in screen
    assert len(graded) == 5 + 3 * 4 and all(line.startswith("    ok") for line in graded), screen
    assert any("kept_slow.c: FAIL: time growth" in line for line in graded)
    assert any("wrong_spaces.c: FAIL: wrong-output" in line for line in graded)
    assert not any("wrong_spaces.c, untimed" in line for line in graded)


def test_a_lab_without_a_clock_is_graded_too(small: Path) -> None:
    place = small / "tests" / "probes" / "91_tidy"
    place.mkdir()
    (place / "probes.ini").write_text("[kept_slow.c]\nstate = FAIL\nfails = blocks\n")
    shutil.copy(small / "labs" / "91_tidy" / "slow.c", place / "kept_slow.c")
    lab = labs.load(small, "91")
    chosen = {one.name: one.run for one in trials.trials(lab, small, False)}
    assert chosen["gcc -O2: fails as shipped"]()[0] == []
    assert chosen["gcc -O2: the solution passes"]() == ([], "PASS")
    found, outcome = chosen["gcc -O2: kept_slow.c"]()
    assert "time" not in " ".join(found) and outcome.startswith("FAIL: ")


def test_a_solution_that_does_not_solve_is_found(small: Path) -> None:
    shutil.copy(small / "labs" / LAB.name / "slow.c", small / "solutions" / LAB.name / "student.c")
    found = results(small, "gcc -O2: the solution passes", "gcc -O3: the solution, untimed")
    assert "must PASS, and is FAIL: time; growth" in found["gcc -O2: the solution passes"][0]
    assert found["gcc -O3: the solution, untimed"] == [
        "the solution must have 'growth', and has not"]


def test_a_lab_that_is_solved_as_shipped_is_found(small: Path) -> None:
    lab = small / "labs" / LAB.name
    shutil.copy(SOLUTION / "student.c", lab / "student.c")
    edit(lab / "answers.ini", "exponent =", "exponent = 2")
    found = results(small, "gcc -O2: fails as shipped")["gcc -O2: fails as shipped"]
    assert len(found) == 3 and "blank answers must fail, and do not: exponent" in found


def test_probes_that_do_otherwise_are_found(small: Path) -> None:
    manifest = small / "tests" / "probes" / LAB.name / "probes.ini"
    manifest.write_text(MANIFEST.replace("time growth", "growth").replace("wrong-output", "crash"))
    found = results(small, "gcc -O2: kept_slow.c", "gcc -O2: wrong_spaces.c")
    assert found["gcc -O2: kept_slow.c"] == ["'time' must pass, and does not"]
    assert found["gcc -O2: wrong_spaces.c"] == ["must be stopped by crash, and was by wrong-output"]


def test_warnings_and_unclean_headers_are_found(small: Path) -> None:
    lab = small / "labs" / LAB.name
    with open(lab / "slow.c", "a", encoding="utf-8") as stream:
        stream.write("static int unused;\n")
    edit(lab / "lab.h", "squeeze(const char *text)", "squeeze(const char *class)")
    found = results(small, "gcc: no warnings", "clean C99 and C++11")
    assert any("slow.c" in line and "unused" in line for line in found["gcc: no warnings"])
    assert any("c++11" in line for line in found["lab.h is clean C99 and C++11"])


def test_benchmarks_that_fail_are_found(small: Path) -> None:
    lab = small / "labs" / LAB.name
    assert results(small, "the benchmarks run") == {"the benchmarks run": []}
    edit(lab / "workload.c", "    workload_unload(t);",
         "    workload_unload(t);\n    pl_bench_fail(b, \"broken here\");")
    assert "broken here" in " ".join(results(small, "the benchmarks run")["the benchmarks run"])


def test_everything_grades_in_full_with_each_compiler(small: Path) -> None:
    lab = labs.load(small, "90")
    quick, usual, full = ([one.name for one in trials.trials(lab, small, depth)]
                          for depth in (trials.QUICK, trials.USUAL, trials.EVERYTHING))
    assert "clang -O3: wrong_spaces.c" in full and "clang -O3: wrong_spaces.c" not in usual
    assert not any("untimed" in name for name in full)
    assert "gcc -O2: wrong_spaces.c" in usual and "gcc -O2: the solution passes" in quick
    assert {"gcc -O2: wrong_spaces.c, untimed", "gcc -O2: kept_slow.c, untimed"} <= set(quick)
    assert not any(name in usual for name in quick if name.startswith("gcc -O2") and
                   name.endswith("untimed"))


def test_an_undecided_machine_gets_another_chance(small: Path,
                                                  monkeypatch: pytest.MonkeyPatch) -> None:
    lab = labs.load(small, "90")
    right = trials.grading.grade
    seen: List[int] = []

    def noisy_first(*arguments: object) -> object:
        seen.append(1)
        result = right(*arguments)      # type: ignore[arg-type]
        return replace(result, state="INCONCLUSIVE") if len(seen) == 1 else result
    monkeypatch.setattr(trials.grading, "grade", noisy_first)
    found, outcome = trials._solution(lab, small, trials.TIMED)
    assert not found and outcome.startswith(PASS) and len(seen) == 2


def test_tap_counts_every_item(small: Path) -> None:
    (small / "labs" / LAB.name / "slow.c").unlink()
    code, screen = run("check", "--tap", "--root", str(small), "90")
    numbers = [int(number) for number in re.findall(r"^(?:not )?ok (\d+) - ", screen, re.M)]
    assert code == 1 and numbers == list(range(1, len(numbers) + 1))
    assert screen.endswith(f"1..{len(numbers)}\n") and "untimed" not in screen
    assert "# labs/90_squeeze/slow.c: is missing" in screen


def test_folders_without_a_lab_are_named(small: Path) -> None:
    (small / "solutions" / "91_ghost").mkdir()
    shutil.rmtree(small / "labs" / LAB.name)
    screen = run("check", "--root", str(small))[1]
    assert "solutions/91_ghost: has no lab" in screen and "solutions/90_squeeze: has no" in screen


def test_a_report_in_colour_ends_each_line_of_progress(capsys: pytest.CaptureFixture) -> None:
    report = check.Report(colour=True)
    report.item("one", lambda: (["wrong \x1b[31m"], "remark"))
    out = capsys.readouterr().out
    assert out.startswith("        one ...") and "\r\x1b[K" in out
    assert "\x1b[31mno\x1b[0m  one: remark" in out and "wrong \\x1b[31m" in out
    assert report.end() == 1
