"""bench/: its programs build, its table tells the truth, its exit code too."""
from __future__ import annotations

import random
import subprocess
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any, Dict, List, Optional

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "bench")]
import run  # noqa: E402
import verdicts  # noqa: E402
from graders.model import FAIL, INCONCLUSIVE, PASS, Pair  # noqa: E402


@pytest.mark.parametrize("source", sorted((ROOT / "bench").glob("*.c")), ids=lambda path: path.name)
def test_programs_build_without_a_warning(tmp_path: Path, source: Path) -> None:
    subprocess.check_call(["cc", "-O2", "-Wall", "-Wextra", "-Werror", f"-I{ROOT}", "-c",
                           str(source), "-o", str(tmp_path / "x.o")])


def rows(limit: float) -> List[run.Row]:
    """A ratio of 1.5 and a value of 3, with a limit each."""
    return [run.Row("pair", "other", "ns", [(3, 2), (6, 4), (30, 20)], limit=limit),
            run.Row("alone", "", "ms", values=[1, 3, 5], limit=2 * limit)]


def test_a_limit_is_about_the_median() -> None:
    assert [row.figure() for row in rows(1)] == [1.5, 3]
    assert [row.over() for row in rows(1.4)] == [True, True]
    assert [row.over() for row in rows(1.5)] == [False, False]
    assert not run.Row("free", "other", "ns", [(9, 1)]).over()


def test_the_table_has_both_sides_and_says_what_is_over() -> None:
    pair, alone = (run.cells(row) for row in rows(1.4))
    assert pair == ("pair", "6 ns", "other 4 ns", "1.500", "1.500-1.500", "1.4", "OVER THE LIMIT")
    assert alone == ("alone", "3 ms", "-", "-", "1-5", "2.8 ms", "OVER THE LIMIT")
    assert run.cells(run.Row("x", "y", "ns", note="no clang here"))[-1] == "no clang here"


def test_sides_take_turns() -> None:
    log: List[str] = []

    def side(name: str) -> float:
        log.append(name)
        return len(log)

    pairs = run.in_turn(lambda: side("a"), lambda: side("b"), 3)
    assert len(pairs) == 3 and log == ["b", "a", "a", "b", "b", "a", "a", "b"]


def test_a_program_that_fails_is_named() -> None:
    with pytest.raises(run.Missing, match="false: exit 1"):
        run.output(run.Command(["false"]))


def test_an_unknown_entry_is_refused(capsys: pytest.CaptureFixture) -> None:
    with pytest.raises(SystemExit) as stop:
        run.main(["--only", "nonsense"])
    assert stop.value.code == 2 and "nonsense" in capsys.readouterr().err


def pool(ratio: float) -> List[Pair]:
    """Pairs of every layout whose ratio scatters by 5 %."""
    rng = random.Random(1)
    return [Pair(seed=0, slow_ns=int(1e6 * ratio * rng.lognormvariate(0, 0.05)), student_ns=10 ** 6,
                 student_first=False, slow_layout=i % 3, student_layout=i // 3 % 3,
                 slow_wall_ns=1, student_wall_ns=1) for i in range(90)]


@pytest.mark.parametrize("bar, state", [(Fraction(6, 5), PASS), (Fraction(2), FAIL)])
def test_a_replay_judges_the_recorded_pairs(bar: Fraction, state: str) -> None:
    assert verdicts.replay(pool(1.5), bar, seed=7) == state


def test_verdicts_are_tallied_by_truth() -> None:
    tally = verdicts.Tally("x")
    for state in (PASS, FAIL, INCONCLUSIVE):
        tally.add(state, FAIL)
    assert str(tally) == "x: 1 wrong, 1 inconclusive, of 3"
    assert tally.cell() == "1 of 3, 1 open"
    tally.seconds += [3.0, 9.0, 4.0]
    assert str(tally).endswith("of 3; 4.0 s median, 9.0 s at most")
    assert verdicts.row("02", [tally, verdicts.Tally("y"), verdicts.Tally("z", 2000)]) == (
        "| 02 | 1 of 3, 1 open (4.0 s) | - | 0 of 2,000 |\n")


def test_a_lab_whose_pairs_do_not_cover_all_layouts_is_not_replayed() -> None:
    assert verdicts.covers_all_layouts(pool(2)) and not verdicts.covers_all_layouts(pool(2)[:8])


def test_each_lab_has_its_row(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The wrong verdict is the one that says the opposite: PASS as shipped, FAIL when solved."""
    def grade(subject: verdicts.Subject, submission: Optional[str], seed: int) -> Dict[str, Any]:
        state = FAIL if submission != subject.solution else PASS
        state = PASS if subject.lab.id == "03" and "moved" in str(submission) else state
        pairs = [vars(pair) for pair in pool(1.5)]
        return {"state": state, "time": {"state": state, "pairs": pairs}, "seconds": 2.0}
    monkeypatch.setattr(verdicts.Subject, "grade", grade)
    monkeypatch.setattr(verdicts, "RECORDS", tmp_path)
    table = tmp_path / "table.md"
    status = verdicts.main(["--lab", "03", "--lab", "01", "--live", "4", "--busy", "0",
                            "--decoys", "2", "--replays", "8", "--markdown", str(table)])
    assert status == 1      # a decoy of lab 03 passed
    assert table.read_text().splitlines()[2:] == [
        "| 03 | 0 of 4 (2.0 s) | 2 of 2 (2.0 s) | 0 of 8 |",
        "| 01 | 0 of 4 (2.0 s) | 0 of 2 (2.0 s) | 0 of 8 |"]
