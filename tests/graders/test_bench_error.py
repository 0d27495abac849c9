"""Do reported times hold? Against made-up machines: honest, lying, written down, noisy."""
from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from random import Random
from typing import Callable, Dict, Sequence, Tuple

import pytest
from fixture_lab import ROOT

from graders import bench_error, evidence, lab
from graders.model import EvidenceSpec, Finding, GraderError

Noise = Callable[[Random], float]       # what a measured time is multiplied by
Student = Callable[[float, Random], float]


def quiet(rng: Random) -> float:
    return rng.gauss(1, 0.01)


def noisy(rng: Random) -> float:
    """Most times are wrong by far more than the limit, above and below."""
    return rng.choice((0.5, 0.8, 1, 1.3, 4)) * rng.gauss(1, 0.01)


class Machine:
    """A rig whose trusted times vary secretly, as a lab's inputs make them do."""

    def __init__(self, student: Student, noise: Noise = quiet, seed: int = 1,
                 costs: Tuple[float, float] = (3000, 7000)) -> None:
        self.costs = costs
        self.rng, self.noise, self.student = Random(seed), noise, student
        self.rounds = 0

    def new_case(self, n: int) -> float:
        self.rounds += 1
        return self.rng.uniform(*self.costs)

    def move(self) -> None:
        pass

    def some_layout(self, side: str) -> int:
        return 0

    def figures(self, side: str, case: float, layout: int,
                names: Sequence[str]) -> Dict[str, float]:
        reported = 2 * case if side == "slow" else self.student(case, self.rng)
        return {name: (case if name.endswith(".true") else reported) * self.noise(self.rng)
                for name in names}


def spec(name: str = "Sort", benches: Sequence[str] = ("Sort",)) -> EvidenceSpec:
    return EvidenceSpec(name.lower(), "bench_error", "title", Fraction(5), Fraction(-5), (500,),
                        "because", bench=name, benches=tuple(benches))


def finding(machine: Machine, asked: EvidenceSpec = spec()) -> Finding:
    return evidence.finding(machine, asked)         # type: ignore[arg-type]


def honest(truth: float, rng: Random) -> float:
    return truth


@pytest.mark.parametrize("factor, passed", [
    (1, True), (1.03, True), (0.97, True), (1.08, False), (0.92, False), (0.0001, False),
    (3, False)])
def test_a_report_holds_when_it_is_near_the_truth(factor: float, passed: bool) -> None:
    found = finding(Machine(lambda truth, rng: factor * truth))
    assert found.passed is passed and not found.undecided
    assert found.value == pytest.approx(100 * (factor - 1), abs=1.5 * max(factor, 1))
    assert found.slow_value == pytest.approx(100, abs=2)


def test_a_number_that_was_written_down_fails_though_it_is_right_on_average() -> None:
    found = finding(Machine(lambda truth, rng: 5000))
    assert not found.passed and not found.undecided
    assert found.value is not None and abs(found.value) > 5


@pytest.mark.parametrize("seed", range(25))
def test_an_honest_report_never_fails_on_a_noisy_machine(seed: int) -> None:
    found = finding(Machine(honest, noisy, seed))
    assert found.passed or found.undecided


def test_a_noisy_machine_is_uncertain_and_says_so() -> None:
    found = finding(Machine(honest, noisy))
    assert found.undecided and not found.passed and "too noisy" in found.text


def test_time_that_is_up_is_uncertain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench_error, "SECONDS", 0.0)
    machine = Machine(honest)
    assert finding(machine).undecided and machine.rounds == 0


def test_one_run_serves_every_benchmark_of_the_lab() -> None:
    machine, names = Machine(honest), ("Sort", "Words", "Tally")
    found = [finding(machine, spec(name, names)) for name in names]
    assert all(one.passed for one in found) and machine.rounds == 13


def test_two_gradings_share_nothing() -> None:
    assert finding(Machine(honest)).passed
    assert not finding(Machine(lambda truth, rng: 2 * truth)).passed


@pytest.mark.parametrize("reports, true, shown", [
    ((1.0, 1.01, 0.98), True, 0), ((2.0, 2.1, 1.9), False, 100), ((0.9, 1, 0.7), False, -10),
    ((0.4, 0.45, 1.0, 1.6, 1.7), False, 60), ((0.4, 0.5, 1.0, 1.6, 1.7), True, 0)])
def test_the_figure_is_outside_the_limits_where_reports_are_not_true(
        reports: Sequence[float], true: bool, shown: float) -> None:
    found = bench_error.error(reports, Fraction(5, 100), true)
    assert abs(found) == pytest.approx(abs(shown), abs=0.01)


@pytest.mark.parametrize("change, words", [
    ({"maximum": None}, "needs a max above 0"), ({"minimum": Fraction(-4)}, "as far below"),
    ({"bench": ""}, "bench: belongs to 'kind = bench_error'")])
def test_limits_and_name_are_checked_before_anything_runs(change: Dict[str, object],
                                                          words: str) -> None:
    good = replace(lab.load(ROOT, "90"), evidence=(spec(),))
    evidence.validate(good)
    with pytest.raises(GraderError, match=words):
        evidence.validate(replace(good, evidence=(replace(spec(), **change),)))  # type: ignore


def test_questions_are_not_about_benchmarks_of_the_student() -> None:
    good = lab.load(ROOT, "90")
    question = replace(good.questions[0], measure="bench_error")
    with pytest.raises(GraderError, match="'bench_error' is unknown"):
        evidence.validate(replace(good, questions=(question,)))


def drifting(rng: Random) -> float:
    """A processor that changes its speed: half of all ratios are more than 5 % off."""
    return rng.gauss(1, 0.05)


@pytest.mark.parametrize("seed", range(8))
def test_an_honest_report_holds_though_single_rounds_are_off(seed: int) -> None:
    assert finding(Machine(honest, drifting, seed)).passed


@pytest.mark.parametrize("seed", range(8))
def test_a_number_that_was_written_down_does_not_hold_in_noise_either(seed: int) -> None:
    narrow = Machine(lambda truth, rng: 5000, drifting, seed, costs=(4200, 5900))
    assert not finding(narrow).passed


@pytest.mark.parametrize("factor", [0.8, 1.25])
def test_a_lie_is_certain_though_single_rounds_are_off(factor: float) -> None:
    found = finding(Machine(lambda truth, rng: factor * truth, drifting))
    assert not found.passed and not found.undecided
