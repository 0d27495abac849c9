"""Values of evidence, against processes whose times and counts are known."""
from __future__ import annotations

import math
from dataclasses import replace
from fractions import Fraction
from typing import Dict, Iterable, Sequence

import pytest
from fixture_lab import ROOT
from hypothesis import given
from hypothesis import strategies as st

from graders import evidence, lab
from graders.model import EvidenceSpec, GraderError
from graders.worker import Memory


class MadeUp:
    """A rig whose slow side takes 3 * n ** 2, the other one 500 * n ns."""

    def least_times(self, side: str, sizes: Iterable[int]) -> Dict[int, int]:
        return {n: 3 * n ** 2 if side == "slow" else 500 * n for n in sizes}

    def memory(self, side: str, n: int) -> Memory:
        count = n if side == "slow" else 2
        return Memory(count, 0, count * n, 0, 0)

    def output_size(self, n: int) -> int:
        return n // 2


def spec(kind: str, sizes: Sequence[int], most: str = "", least: str = "") -> EvidenceSpec:
    return EvidenceSpec("name", kind, "title", Fraction(most) if most else None,
                        Fraction(least) if least else None, tuple(sizes), "because")


@pytest.mark.parametrize("kind,sizes,value,slow", [
    ("growth_exponent", (1000, 2000, 4000), 1, 2), ("growth_factor", (1000, 8000), 8, 64),
    ("growth_factor", (1000,), 4, 16), ("allocs_per_op", (10, 1000, 500), 2, 1000),
    ("bytes_per_op", (10, 1000), 2000, 10 ** 6), ("bytes_per_output_byte", (100, 1000), 4, 2000)])
def test_values(kind: str, sizes: Sequence[int], value: float, slow: float) -> None:
    found = evidence.finding(MadeUp(), spec(kind, sizes, "1"))      # type: ignore[arg-type]
    assert found.value == pytest.approx(value) and found.slow_value == pytest.approx(slow)


@pytest.mark.parametrize("most,least,passed", [
    ("2", "", True), ("1.9", "", False), ("", "2", True), ("", "2.1", False), ("3", "1", True),
    ("3", "2.5", False)])
def test_limits_belong_to_the_allowed_values(most: str, least: str, passed: bool) -> None:
    found = evidence.finding(MadeUp(), spec("allocs_per_op", (9,), most, least))  # type: ignore
    assert found.passed is passed
    for limit, words in ((most, f"at most {most}"), (least, f"at least {least}")):
        assert (words in found.text) == bool(limit)
    assert found.text.startswith("title: 2,") and "(slow.c: 9)" in found.text


def test_questions_are_about_slow() -> None:
    asked = evidence.measure(MadeUp(), lab.load(ROOT, "90"))        # type: ignore[arg-type]
    assert asked == {"exponent": pytest.approx(2)}


@given(st.floats(-3, 3), st.floats(0.1, 1e9),
       st.lists(st.integers(1, 10 ** 6), min_size=2, max_size=6, unique=True))
def test_the_slope_of_a_power_is_its_exponent(power: float, factor: float,
                                              sizes: "list[int]") -> None:
    points = {n: factor * float(n) ** power for n in sizes}
    assert evidence.slope(points) == pytest.approx(power, abs=1e-6)


def test_the_slope_is_the_least_squares_one() -> None:
    from scipy import stats
    points = {100: 7.0, 300: 40.0, 1000: 90.0, 7000: 4000.0}
    fit = stats.linregress([math.log(n) for n in points],
                           [math.log(value) for value in points.values()])
    assert evidence.slope(points) == pytest.approx(fit.slope)


def test_unknown_kinds_and_impossible_sizes_are_refused_before_anything_runs() -> None:
    good = lab.load(ROOT, "90")
    evidence.validate(good)
    for kind, sizes, words in (("speed", (1, 2), "'speed' is unknown; there are growth_exponent"),
                               ("growth_exponent", (5, 5), "at least 2 different sizes"),
                               ("growth_exponent", (0, 5), "above 0")):
        bad = replace(good, evidence=(spec(kind, sizes, "1"),))
        with pytest.raises(GraderError, match=words) as error:
            evidence.validate(bad)
        assert "labs/90_squeeze/lab.ini: [evidence.name]" in str(error.value)
        question = replace(good.questions[0], measure=kind, sizes=tuple(sizes))
        with pytest.raises(GraderError, match=r"\[question.exponent\] measure"):
            evidence.validate(replace(good, questions=(question,)))
