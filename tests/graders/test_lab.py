"""lab.ini: what it says arrives, and whatever is wrong is named with its place and the fix."""
from __future__ import annotations

import re
from fractions import Fraction
from pathlib import Path
from typing import Tuple

import pytest
from hypothesis import given, settings, strategies as st

from graders import lab
from graders.model import GraderError

ROOT = Path(__file__).resolve().parents[2]
SAMPLE = re.search(r"```ini\n(\[lab\].*?)```", (ROOT / "docs/lab-ini.md").read_text(), re.S)[1]


def write(root: Path, text: str = SAMPLE, folder: str = "03_string_building") -> Path:
    path = root / "labs" / folder
    path.mkdir(parents=True, exist_ok=True)
    (path / "lab.ini").write_text(text, encoding="utf-8")
    return path


def changed(old: str, new: str) -> str:
    assert old in SAMPLE
    return SAMPLE.replace(old, new, 1)


def message(root: Path) -> str:
    with pytest.raises(GraderError) as caught:
        lab.load(root, "03")
    text = str(caught.value)
    assert "\n" not in text
    return text


def test_the_documented_sample(tmp_path: Path) -> None:
    path = write(tmp_path)
    found = lab.load(tmp_path, "03")
    assert (found.id, found.topic, found.title) == ("03", "string_building", "String building")
    assert (found.path, found.solution) == (path, tmp_path / "solutions/03_string_building")
    assert (found.minutes, found.difficulty, found.points) == (30, 1, (60, 20, 20))
    assert (found.clock, found.bar, found.n) == ("cpu", 4, 5000)
    assert found.oracle_sizes == (0, 1, 2, 7, 100, 1023)
    assert found.summary.startswith("Build a long string")
    growth, sort = found.evidence
    assert (sort.name, sort.kind) == ("sort", "bench_error")
    assert (growth.name, growth.kind, growth.maximum, growth.minimum) == (
        "growth", "growth_exponent", Fraction("1.35"), None)
    assert growth.sizes == (1000, 4000, 16000) and growth.because.startswith("Twice")
    exponent, calls, sites, function, share = (
        question for question in found.questions if question.name != "noise")
    assert (calls.measure, calls.counter) == ("counted", "hash_calls")
    assert (sites.kind, sites.words) == ("words", ("read_config", "open_log|reopen_log"))
    assert (share.measure, share.function) == ("profile_share", "join_fields")
    assert exponent.function == ""
    assert (exponent.low, exponent.high, exponent.tolerance) == (
        Fraction("1.8"), Fraction("2.2"), Fraction("0.15"))
    assert (exponent.kind, exponent.measure, exponent.machine) == (
        "number", "growth_exponent", False)
    assert (function.kind, function.words) == ("word", ("join_fields", "append"))
    assert function.sizes == (5000,)                        # the default
    assert len(found.hints) == 3 and found.hints[1] == "Remember the end."


@pytest.mark.parametrize("name", ["03", "3", "lab03", "lab3", "string_building",
                                  "03_string_building", " 03 ", "String_Building"])
def test_names_of_a_lab(tmp_path: Path, name: str) -> None:
    write(tmp_path)
    assert lab.load(tmp_path, name).id == "03"


@pytest.mark.parametrize("name", ["04", "", "lab", "string", "../03_string_building", "3.0", "²"])
def test_unknown_lab_names_those_that_exist(tmp_path: Path, name: str) -> None:
    write(tmp_path)
    with pytest.raises(GraderError, match="there is no lab '.*'; the labs are: 03 string_building"):
        lab.load(tmp_path, name)


def test_no_labs_at_all(tmp_path: Path) -> None:
    assert lab.all_labs(tmp_path) == ()
    with pytest.raises(GraderError, match="no labs in"):
        lab.load(tmp_path, "03")


def test_all_labs_in_order_and_other_folders_left_alone(tmp_path: Path) -> None:
    write(tmp_path)
    second = SAMPLE.replace("id = 03", "id = 01").replace("topic = string_building", "topic = a")
    write(tmp_path, second, "01_a")
    (tmp_path / "labs/shared").mkdir()
    assert [found.id for found in lab.all_labs(tmp_path)] == ["01", "03"]


def test_a_broken_lab_does_not_stop_another(tmp_path: Path) -> None:
    write(tmp_path)
    write(tmp_path, "broken", "04_other")
    assert lab.load(tmp_path, "03").id == "03"


def test_two_labs_of_one_number(tmp_path: Path) -> None:
    write(tmp_path)
    write(tmp_path, SAMPLE, "03_other")
    assert "labs/03_other and labs/03_string_building have the same number" in message(tmp_path)


@pytest.mark.parametrize("old, new, expected", [
    ("bar = 4", "bar = abc", "[time] bar: 'abc' is not a number; write for example 4 or 3/2"),
    ("bar = 4", "bar = 4x", "[time] bar: '4x' is not a number"),
    ("bar = 4", "bar = 1.5/2", "[time] bar: '1.5/2' is not a number"),
    ("bar = 4", "bar = 1e9", "[time] bar: '1e9' is not a number"),
    ("bar = 4", "bar = 1/0", "[time] bar: '1/0' is not a number"),
    ("bar = 4", "bar = 3/4", "[time] bar: 3/4 would let slower code pass; write 1 or more"),
    ("bar = 4", "bar =", "[time] bar: is missing; add a line 'bar = ...'"),
    ("bar = 4\n", "", "[time] bar: is missing"),
    ("n = 5000", "n = -5", "[time] n: '-5' is not a whole number"),
    ("n = 5000", "n = 0", "[time] n: 0 is not within 1 to"),
    ("n = 5000", "n = " + "9" * 400, "is not a whole number"),
    ("clock = cpu", "clock = sun", "[time] clock: 'sun' is unknown; write cpu or wall"),
    ("clock = cpu", "clock = cpu\nthreads = 2", "[time] threads: is an unknown key"),
    ("clock = cpu", "clock = none", "[time] bar: is an unknown key"),
    ("clock = cpu\n", "clock = wall\nthreads = 65\n", "[time] threads: 65 is not within 1 to 64"),
    ("words = read_config, open_log|reopen_log\n", "", "[question.sites] words: is missing"),
    ("counter = hash_calls", "counter = hash calls", "[question.calls] counter: 'hash calls' is"),
    ("time = 60", "time = 61", "add up to 101; make it 100"),
    ("difficulty = 1", "difficulty = 6", "[lab] difficulty: 6 is not within 1 to 5"),
    ("id = 03", "id = 04", "[lab] id: '04' does not fit the folder 03_string_building; write 03"),
    ("topic = string_building", "topic = strings", "[lab] topic: 'strings' does not fit"),
    ("title = String building", "titel = String building", "[lab] title: is missing"),
    ("minutes = 30", "minutes = 30\n\x1b[2J = 3", "[lab] \\x1b[2j: is an unknown key"),
    ("bar = 4", "\x1b = 4\n\x1b = 5", "[time] \\x1b: is there twice"),
    ("[hints]", "[\x1b]\n[\x1b]\n[hints]", "[\\x1b] is there twice"),
    ("minutes = 30", "minutes = 30\nseconds = 3", "[lab] seconds: is an unknown key; this section"),
    ("[time]", "[tyme]", "section [time] is missing"),
    ("[hints]", "[extra]\na = 1\n[hints]", "[extra] is an unknown section; there are lab, points"),
    ("[lab]", "[DEFAULT]\na = 1\n[lab]", "[DEFAULT] is an unknown section"),
    ("[evidence.growth]", "[evidence]", "[evidence]: the name after the point"),
    ("[evidence.growth]", "[evidence.Two words]", "[evidence.Two words]: the name after the point"),
    ("kind = growth_exponent", "kind = growth exponent", "[evidence.growth] kind: 'growth exp"),
    ("max = 1.35", "", "[evidence.growth] max: is missing; give max, min or both"),
    ("max = 1.35", "max = 1\nmin = 2", "[evidence.growth] min: 2 is above max, 1; exchange them"),
    ("sizes = 0 1", "sizes = 0 x 1", "[oracle] sizes: 'x' is not a whole number"),
    ("because = Twice", "beacuse = Twice", "[evidence.growth] because: is missing"),
    ("kind = number", "kind = text", "[question.exponent] kind: 'text' is unknown"),
    ("low = 1.8\n", "", "[question.exponent] low: is missing; low and high go together"),
    ("low = 1.8", "low = 2.8", "[question.exponent] low: 14/5 is above high, 11/5"),
    ("tolerance = 0.15\n", "", "[question.exponent] tolerance: is missing; measure and tolerance"),
    ("measure = growth_exponent\n", "", "[question.exponent] measure: is missing"),
    ("tolerance = 0.15", "tolerance = 15", "[question.exponent] tolerance: 15 is not between 0"),
    ("machine = no", "machine = perhaps", "[question.exponent] machine: 'perhaps' is unknown"),
    ("words = join_fields, append\n", "", "[question.function] words: is missing"),
    ("words = join_fields", "low = 1\nwords = join_fields", "[question.function] low: is for num"),
    ("how = make lab03-bench\n", "", "[question.exponent] how: is missing"),
    ("3 = Keep", "4 = Keep", "[hints] 3: is missing; add a line '3 = ...'"),
    ("bar = 4", "bar = 4\nbar = 5", "[time] bar: is there twice; delete one of the two"),
    ("[hints]", "[time]\nn = 1\n[hints]", "[time] is there twice; join the two"),
    ("bar = 4", "bar 4", "neither '[section]' nor 'key = value'"),
    ("[lab]", "stray = 1\n[lab]", ":1: text before the first section; begin with [lab]"),
])
def test_what_is_wrong_is_named(tmp_path: Path, old: str, new: str, expected: str) -> None:
    write(tmp_path, changed(old, new))
    assert message(tmp_path).startswith("labs/03_string_building/lab.ini:")
    assert expected in message(tmp_path)


def test_the_line_of_a_syntax_error_is_right(tmp_path: Path) -> None:
    write(tmp_path, changed("bar = 4", "bar 4"))
    line = SAMPLE.splitlines().index("bar = 4") + 1
    assert f"lab.ini:{line}:" in message(tmp_path)


@pytest.mark.parametrize("time, expected", [
    ("clock = cpu", ("cpu", 1, 1)), ("clock = wall", ("wall", 2, 2)),
    ("clock = wall\nthreads = 4", ("wall", 4, 4)),
    ("clock = wall\nthreads = 4\nslow_threads = 1", ("wall", 4, 1))])
def test_clocks_and_threads(tmp_path: Path, time: str, expected: Tuple[str, int, int]) -> None:
    write(tmp_path, changed("clock = cpu", time))
    found = lab.load(tmp_path, "3")
    assert (found.clock, found.threads, found.slow_threads) == expected


def test_no_interpolation(tmp_path: Path) -> None:
    write(tmp_path, changed("title = String building", "title = 50 % of %(bar)s ${x}"))
    assert lab.load(tmp_path, "3").title == "50 % of %(bar)s ${x}"


def test_values_over_several_lines(tmp_path: Path) -> None:
    write(tmp_path, changed("1 = Where does", "1 = Where\n    does"))
    assert lab.load(tmp_path, "3").hints[0].startswith("Where\ndoes strcat")
    write(tmp_path, changed("ask = By which", "ask = By\n   which"))
    assert lab.load(tmp_path, "3").questions[0].ask.startswith("By which power")


def test_a_missing_file(tmp_path: Path) -> None:
    write(tmp_path).joinpath("lab.ini").unlink()
    assert "git checkout labs/03_string_building/lab.ini" in message(tmp_path)


def test_a_file_that_is_not_text(tmp_path: Path) -> None:
    write(tmp_path).joinpath("lab.ini").write_bytes(b"[lab]\nid = \xff\n")
    assert "byte 11 is not UTF-8" in message(tmp_path)


@given(st.integers(0, len(SAMPLE.splitlines()) - 1), st.text(max_size=30))
@settings(max_examples=200, deadline=None)
def test_any_one_bad_line_gives_a_lab_or_one_line(tmp_path_factory: pytest.TempPathFactory,
                                                  line: int, text: str) -> None:
    lines = SAMPLE.splitlines()
    lines[line] = text.encode("utf-8", "replace").decode("utf-8")
    root = tmp_path_factory.mktemp("lab")
    write(root, "\n".join(lines))
    try:
        lab.load(root, "03")
    except GraderError as error:
        assert "\n" not in str(error) and "\x1b" not in str(error)
