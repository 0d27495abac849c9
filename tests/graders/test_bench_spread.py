"""The noise that a student has seen: from the output of the benchmarks that is kept."""
from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest
from fixture_lab import ROOT

from graders import bench_spread, diagnosis, lab
from graders.lab_profile import Shares
from graders.model import Lab

OUTPUT = """\
goos: linux
BenchmarkSort-2        \t   20000\t      9304 ns/op
BenchmarkNoise/run=1-2 \t   78424\t      3000 ns/op
BenchmarkNoise/run=2-2 \t   90992\t      2500.0 ns/op\t       3 B/op
BenchmarkNoise/run=3-2 \t   58537\t      3500 ns/op
PASS
"""


def test_the_spread_is_largest_less_smallest_in_percent_of_the_smallest() -> None:
    assert bench_spread.spread(OUTPUT, "Noise") == pytest.approx(40)


@pytest.mark.parametrize("output", [
    "", OUTPUT.replace("2500.0", "0.0"),
    OUTPUT.replace("Noise/run=1", "X").replace("Noise/run=2", "X")])
def test_without_two_times_there_is_none(output: str) -> None:
    assert bench_spread.spread(output, "Noise") is None


def test_other_benchmarks_do_not_count() -> None:
    assert bench_spread.spread(OUTPUT, "Sort") is None


def asking() -> Lab:
    """A lab with one question: the noise of this machine, 0 to 5 or what was seen."""
    good = lab.load(ROOT, "90")
    question = replace(good.questions[0], name="noise", measure="bench_spread", bench="Noise",
                       low=Fraction(0), high=Fraction(5), tolerance=Fraction(1, 10))
    return replace(good, questions=(question,))


@pytest.mark.parametrize("given, kept, right", [
    ("3", False, True), ("40", False, False), ("40", True, True), ("42.9", True, True),
    ("60", True, False), ("3", True, True)])
def test_an_answer_may_be_what_the_students_own_run_said(
        given: str, kept: bool, right: bool, tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PERFLAB_BUILD", str(tmp_path / "build"))
    answers = tmp_path / "answers.ini"
    answers.write_text(f"[answers]\nnoise = {given}\n")
    if kept:
        (tmp_path / "bench.txt").write_text(OUTPUT)
    shares = Shares(ROOT, asking(), answers, None, None)        # type: ignore[arg-type]
    answer, = diagnosis.check(asking(), answers, {}, shares)
    assert answer.passed is right


def test_the_output_that_make_bench_keeps_counts_too(tmp_path: Path,
                                                     monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PERFLAB_BUILD", str(tmp_path))
    folder = tmp_path / "labs" / "90"
    folder.mkdir(parents=True)
    (folder / "bench-student.txt").write_text(OUTPUT)
    share, = bench_spread.found(ROOT, asking(), None, "Noise")
    assert share.low < 40 < share.high
