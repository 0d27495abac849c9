"""The board: what it says of each lab, and what its notes survive."""
from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from fixture_lab import LAB, SOLUTION, copy_of_the_lab, graders
from samples import PASSED, RESULTS, SHIPPED, timed

from graders import board
from graders.model import FAIL


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A root of one's own, without notes."""
    copy_of_the_lab(tmp_path)
    note(tmp_path).unlink(missing_ok=True)
    return tmp_path


def note(root: Path) -> Path:
    return board.note_path(root, "90")


def edit(root: Path, text: str = "int mine;\n") -> None:
    with open(root / "labs" / LAB.name / "student.c", "a", encoding="utf-8") as stream:
        stream.write(text)


def lines(root: Path) -> "list[str]":
    done = graders("labs", root=root)
    assert done.code == 0, done.err
    return done.out.splitlines()


def row(root: Path) -> str:
    return next(line for line in lines(root) if line.startswith("  90"))


@pytest.mark.parametrize("name,state", [
    ("pass", "passed"), ("shipped", "no faster"), ("slower", "slower"),
    ("faster-cause-kept", "evidence missing"), ("answers-missing", "answers missing"),
    ("noisy", "undecided"), ("compile", "not working"), ("output-wrong", "not working"),
    ("no-compiler", "not working")])
def test_each_result_has_its_state(name: str, state: str) -> None:
    assert board.state_of(RESULTS[name]) == state


def test_faster_below_the_bar_is_said() -> None:
    assert board.state_of(replace(SHIPPED, time=timed(2.5))) == "faster, not there"


def test_a_lab_without_a_time_part_has_states_too() -> None:
    assert board.state_of(replace(PASSED, time=None)) == "passed"
    assert board.state_of(replace(RESULTS["faster-cause-kept"], time=None)) == "evidence missing"
    assert board.state_of(replace(RESULTS["answers-missing"], time=None)) == "answers missing"


def test_evidence_that_this_machine_cannot_give_is_no_failure() -> None:
    untold = replace(PASSED.findings[0], value=None, passed=False, undecided=True)
    assert board.state_of(replace(PASSED, state="INCONCLUSIVE",
                                  findings=(untold,))) == "undecided"


def test_only_ones_own_files_count(own: Path) -> None:
    assert "not started" in row(own) and "make lab90 (5 min)" in row(own)
    graders("grade", "90", "--submission", str(SOLUTION), root=own)
    assert not note(own).exists()                           # that was somebody else's file
    edit(own)
    assert "not graded yet" in row(own)
    graders("grade", "90", root=own)
    assert "no faster" in row(own) and "x  make lab90-hint" in row(own)
    edit(own)
    assert "make lab90 (edited)" in row(own)


def test_a_graded_but_untouched_lab_is_not_started(own: Path) -> None:
    graders("grade", "90", root=own)
    assert note(own).exists() and "not started" in row(own)


def test_a_layout_is_no_progress() -> None:
    for ratio, state in ((1.02, "no faster"), (0.98, "no faster"), (1.2, "faster, not there"),
                         (0.8, "slower")):
        result = replace(SHIPPED, state=FAIL, time=timed(ratio, spread=0.001))
        assert board.state_of(result) == state


def test_a_pass_and_the_best_ratio_stay(own: Path) -> None:
    lab = board.labs.load(own, "90")
    for result in (PASSED, replace(SHIPPED, state=FAIL, time=timed(2.5))):
        board.remember(own, lab, result, "files")
    kept = board.recall(note(own))
    assert kept.passed and kept.state == "faster, not there"
    assert kept.best == PASSED.time.ratio
    assert " passed " in row(own) and "1 of 3 passed" in "\n".join(lines(own))


@pytest.mark.parametrize("text", [
    "", "[1]", "nonsense", "\xff", '{"state": 7}', '{"best": "fast"}', '{"best": -1}',
    '{"best": Infinity}', '{"state": "' + "x" * 200 + '"}', "[" * 100_000])
def test_a_broken_note_is_no_disaster(own: Path, text: str) -> None:
    note(own).parent.mkdir(parents=True, exist_ok=True)
    note(own).write_bytes(text.encode("latin-1"))
    assert "not started" in row(own)
    lab = board.labs.load(own, "90")
    board.remember(own, lab, PASSED, "files")               # the next grading mends it
    assert json.loads(note(own).read_text())["passed"] is True


def test_a_note_that_cannot_be_written_costs_no_verdict(own: Path) -> None:
    note(own).mkdir(parents=True)
    try:
        assert graders("grade", "90", root=own).code == 1
    finally:
        note(own).rmdir()


def test_no_draft_of_a_note_is_left(own: Path) -> None:
    graders("grade", "90", root=own)
    assert [path.name for path in note(own).parent.iterdir() if "90" in path.name] == ["90.json"]


def test_the_board_fits_80_columns_and_names_the_next_step(own: Path) -> None:
    manifest = own / "labs" / LAB.name / "lab.ini"
    manifest.write_text(manifest.read_text().replace("Squeeze", "A title " + "of some length " * 9))
    edit(own)
    for name in sorted(RESULTS):
        board.remember(own, board.labs.load(own, "90"), RESULTS[name],
                       board.fingerprint(board.labs.load(own, "90")))
        shown = lines(own)
        assert all(len(line) <= 80 for line in shown), name
        assert len([line for line in shown if line.startswith("  90")]) == 1
    note(own).unlink()
    assert "Next, lab 90:" in "\n".join(lines(own))


def test_a_broken_lab_ini_is_a_line_of_the_board(own: Path) -> None:
    (own / "labs" / "95_new").mkdir()
    (own / "labs" / "95_new" / "lab.ini").write_text("[lab]\nid = 95\n")
    shown = "\n".join(lines(own))
    assert "95  new" in shown and "lab.ini is broken" in shown and "[time] is missing" in shown
    assert "not started" in row(own)


def test_colour_is_for_terminals(own: Path) -> None:
    table = board.rows(own)
    assert "\x1b" not in "".join(lines(own))
    assert "\x1b[2mnot started" in board.text(table, colour=True)


def test_no_labs_is_an_error_that_names_the_place(tmp_path: Path) -> None:
    done = graders("labs", root=tmp_path)
    assert done.code == 2 and str(tmp_path / "labs") in done.err
