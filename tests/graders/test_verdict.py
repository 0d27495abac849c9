"""The statistics: exact where they can be, against independent computations everywhere."""
from __future__ import annotations

import itertools
import json
import math
from fractions import Fraction
from pathlib import Path
from random import Random
from typing import Callable, Dict, List, Sequence, Tuple

import pytest
from hypothesis import given, settings, strategies as st
from scipy import stats

from graders import verdict
from graders.model import FAIL, INCONCLUSIVE, PASS, Pair
from graders.verdict import ALPHA, MAX_PAIRS, SignTest, e_value, plan

HALF = Fraction(1, 2)
BLOCK = verdict.LAYOUTS ** 2
RECORDED = Path(__file__).parent / "recorded"


def pair(slow: int, student: int, layouts: Tuple[int, int] = (0, 0), discarded: str = "") -> Pair:
    return Pair(seed=1, slow_ns=slow, student_ns=student, student_first=False,
                slow_layout=layouts[0], student_layout=layouts[1],
                slow_wall_ns=slow, student_wall_ns=student, discarded=discarded)


def drive(test: SignTest, rng: Random, measure: Callable[[verdict.Slot], Tuple[int, int]]) -> None:
    for slot in plan(rng, test):
        slow, student = measure(slot)
        test.add(pair(slow, student, (slot.slow_layout, slot.student_layout)))


# --- the e-value ---------------------------------------------------------------------------

@pytest.mark.parametrize("n, wins", [(13, 13), (18, 17), (19, 18), (20, 19), (22, 20), (25, 22),
                                     (30, 26), (40, 33), (50, 39), (60, 46)])
def test_boundary_is_the_published_one(n: int, wins: int) -> None:
    assert e_value(n, wins) >= 1000 > e_value(n, wins - 1)


def test_no_fewer_than_thirteen_pairs_decide() -> None:
    assert all(e_value(n, n) < 1000 for n in range(13))
    assert e_value(13, 13) < 2000 <= e_value(14, 14)        # and fourteen at alpha / 2


@pytest.mark.parametrize("n", range(1, 21))
def test_e_value_is_the_mixture_of_likelihood_ratios(n: int) -> None:
    """Integrates 2 * p^k * (1-p)^(n-k) over 1/2..1 exactly, by expanding the power of 1-p."""
    for k in range(n + 1):
        integral = sum(
            Fraction((-1) ** i * math.comb(n - k, i), k + i + 1) * (1 - HALF ** (k + i + 1))
            for i in range(n - k + 1))
        assert e_value(n, k) == 2 ** (n + 1) * integral


@pytest.mark.parametrize("n", range(0, MAX_PAIRS))
def test_martingale_under_a_fair_coin(n: int) -> None:
    for k in range(n + 1):
        assert (e_value(n + 1, k) + e_value(n + 1, k + 1)) / 2 == e_value(n, k)


def test_enumeration_of_every_course_to_twenty_pairs() -> None:
    """All 2^20 sequences: how many of them are ever decided, against the recursion."""
    passed = 0
    for bits in range(2 ** 20):
        if bin(bits).count("1") < 13:
            continue                                        # cannot have passed
        k = 0
        for n in range(1, 21):
            k += bits >> (n - 1) & 1
            if k >= WINS_NEEDED[n]:
                passed += 1
                break
    assert Fraction(passed, 2 ** 20) == chance_of_passing(20, HALF)


def chance_of_passing(last: int, p: Fraction) -> Fraction:
    """Dynamic programming over (n, wins): the chance that E ever reaches 1000 by ``last``."""
    alive: Dict[int, Fraction] = {0: Fraction(1)}
    passed = Fraction(0)
    for n in range(1, last + 1):
        following: Dict[int, Fraction] = {}
        for k, chance in alive.items():
            for step, weight in ((1, p), (0, 1 - p)):
                if k + step >= WINS_NEEDED[n]:
                    passed += chance * weight
                else:
                    following[k + step] = following.get(k + step, Fraction(0)) + chance * weight
        alive = following
    return passed


WINS_NEEDED = [next((k for k in range(n + 1) if e_value(n, k) >= 1000), n + 1)
               for n in range(MAX_PAIRS + 1)]


def test_wrong_verdicts_are_rarer_than_alpha() -> None:
    wrong = chance_of_passing(MAX_PAIRS, HALF)
    assert wrong <= ALPHA
    assert float(wrong) == pytest.approx(4.7e-4, rel=0.02)  # the published figure
    assert chance_of_passing(MAX_PAIRS, Fraction(4, 5)) > Fraction(9, 10)   # and it has power


def block_chances(lucky: int, unlucky: int) -> List[float]:
    """Wins in a block of nine with mean chance 1/2: some sure wins, some sure losses, and the
    others alike. By Hoeffding (1956) the worst case of any rule on the sum is of this form."""
    others = BLOCK - lucky - unlucky
    p = (BLOCK / 2 - lucky) / others
    chances = [0.0] * (BLOCK + 1)
    for wins in range(others + 1):
        chances[lucky + wins] = float(stats.binom.pmf(wins, others, p))
    return chances


def test_no_mixture_of_lucky_layouts_beats_alpha() -> None:
    """The worst case over all win chances of the nine combinations whose mean is 1/2, chosen
    anew before each block by an adversary who knows all results so far."""
    blocks = [block_chances(lucky, unlucky)
              for lucky in range(5) for unlucky in range(5)]
    last = MAX_PAIRS // BLOCK * BLOCK
    worst: Dict[int, float] = {k: 0.0 for k in range(last + 1)}
    for n in range(last - BLOCK, -1, -BLOCK):
        worst = {k: max(sum(weight * (1.0 if k + j >= WINS_NEEDED[n + BLOCK] else worst[k + j])
                            for j, weight in enumerate(chances) if weight)
                        for chances in blocks)
                 for k in range(n + 1)}
    assert 1e-5 < worst[0] <= ALPHA


@given(st.lists(st.fractions(0, 1, max_denominator=12), min_size=BLOCK, max_size=BLOCK),
       st.integers(0, 4), st.integers(0, 36))
@settings(max_examples=40, deadline=None)
def test_blocks_are_a_supermartingale(chances: List[Fraction], blocks: int, wins: int) -> None:
    """Whatever nine win chances with a mean of at most 1/2: E does not grow on average."""
    excess = max(Fraction(1), 2 * sum(chances) / BLOCK)
    after: List[Fraction] = [Fraction(1)]
    for p in (chance / excess for chance in chances):
        after = [(after[k] * (1 - p) if k < len(after) else 0)
                 + (after[k - 1] * p if k else 0) for k in range(len(after) + 1)]
    n, k = blocks * BLOCK, min(wins, blocks * BLOCK)
    mean = sum(weight * e_value(n + BLOCK, k + j) for j, weight in enumerate(after))
    assert mean <= e_value(n, k)


# --- the test ------------------------------------------------------------------------------

def test_passes_and_fails_in_two_blocks_when_it_is_clear() -> None:
    for student, state in ((100, PASS), (400, FAIL)):
        test = SignTest(Fraction(4))
        drive(test, Random(1), lambda slot: (1000, student))
        assert (test.state, len(test.decide().pairs)) == (state, 2 * BLOCK)


def test_one_layout_may_stop_at_thirteen() -> None:
    test = SignTest(Fraction(4), layouts=1)
    drive(test, Random(1), lambda slot: (1000, 100))
    assert len(test.decide().pairs) == 13


@given(st.integers(1, 10 ** 15), st.fractions(Fraction(1, 50), 50, max_denominator=1000))
def test_comparison_with_the_bar_is_exact(unit: int, bar: Fraction) -> None:
    slow, student = unit * bar.numerator, unit * bar.denominator
    sides = [SignTest(bar, layouts=1)._side(pair(slow + step, student)) for step in (-1, 0, 1)]
    assert sides == [-1, 0, 1] or slow == 1


def test_ties_help_neither_side() -> None:
    test = SignTest(Fraction(2))
    drive(test, Random(1), lambda slot: (200, 100))
    assert test.state == INCONCLUSIVE and test.decide().wins == 0
    assert "too close to the bar" in test.decide().note


@pytest.mark.parametrize("side", ["slow_layout", "student_layout"])
@pytest.mark.parametrize("lucky", [{1}, {0, 2}])
def test_lucky_layouts_do_not_decide(side: str, lucky: Sequence[int]) -> None:
    """A decoy: the same code, at the bar only in some places of memory."""
    for seed in range(40):
        rng, test = Random(seed), SignTest(Fraction(2))
        drive(test, rng, lambda slot: (1000, (400 if getattr(slot, side) in lucky else 600)
                                       + rng.randrange(-9, 10)))
        assert test.state != PASS


@pytest.mark.parametrize("side", ["slow_layout", "student_layout"])
def test_a_layout_against_the_others_is_named(side: str) -> None:
    """53 wins of 72 are enough for a PASS, but one layout loses four fifths of its own pairs."""
    test, turns = SignTest(Fraction(2)), itertools.count()
    drive(test, Random(5), lambda slot: (
        1000, 400 if getattr(slot, side) or next(turns) % 5 == 0 else 600))
    counted = test.decide()
    assert test.state == INCONCLUSIVE and counted.wins >= WINS_NEEDED[counted.counted]
    assert counted.note == "the result depends on where the linker puts the code"


def test_plan_holds_every_combination_once_a_block_in_any_order() -> None:
    orders, firsts, seeds = set(), set(), set()
    for seed in range(50):
        test = SignTest(Fraction(1))
        slots = []
        for slot in plan(Random(seed), test):
            slots.append(slot)
            test.add(pair(100, 100, (slot.slow_layout, slot.student_layout)))
        combinations = [(slot.slow_layout, slot.student_layout) for slot in slots]
        for start in range(0, len(combinations), BLOCK):
            assert sorted(combinations[start:start + BLOCK]) == sorted(
                itertools.product(range(3), repeat=2))
        orders.add(tuple(combinations[:BLOCK]))
        firsts.update(slot.student_first for slot in slots)
        seeds.update(slot.seed for slot in slots)
    assert len(orders) == 50 and firsts == {True, False} and len(seeds) == 50 * 72


def test_plan_is_reproducible_from_its_seed() -> None:
    first, second = (itertools.islice(plan(Random(7), SignTest(Fraction(1))), 5) for _ in "ab")
    assert list(first) == list(second)


def test_discarded_pairs_come_again_and_are_reported() -> None:
    test = SignTest(Fraction(4))
    for number, slot in enumerate(plan(Random(3), test)):
        test.add(pair(1000, 100, (slot.slow_layout, slot.student_layout),
                      "machine busy" if number % 3 == 0 else ""))
    result = test.decide(0.01, "a note")
    assert (result.state, result.counted, result.wins) == (PASS, 18, 18)
    assert sum(bool(p.discarded) for p in result.pairs) == len(result.pairs) - 18
    assert result.note == f"a note; {len(result.pairs) - 18} of {len(result.pairs)} " \
                          "pairs not counted: machine busy"


def test_pairs_out_of_plan_wait_for_their_block() -> None:
    test = SignTest(Fraction(4))
    for _ in range(50):
        test.add(pair(1000, 100, (0, 0)))                   # one lucky layout, again and again
    assert test.state is None and test.decide().state == INCONCLUSIVE


def test_time_without_progress_is_never_counted() -> None:
    test = SignTest(Fraction(4))
    test.add(pair(1000, 0))
    assert test.decide().counted == 0 and "did not advance" in test.decide().note


def test_undecided_says_why() -> None:
    test = SignTest(Fraction(4))
    assert test.decide().note == "time ran out after 0 pairs"
    test.add(pair(1000, 100))
    result = test.decide(0.02, "time budget of 20 s")
    assert (result.state, result.counted, result.ratio) == (INCONCLUSIVE, 1, pytest.approx(10))
    assert result.note == "time budget of 20 s"
    assert test.decide().note == "time ran out after 1 pair"
    assert result.noise == 0.02 and result.alpha == ALPHA


def test_pairs_after_the_verdict_do_not_change_it() -> None:
    test = SignTest(Fraction(4), layouts=1)
    drive(test, Random(1), lambda slot: (1000, 100))
    before = test.decide()
    for _ in range(60):
        test.add(pair(100, 1000))
    assert (test.state, test.decide().wins, test.decide().ratio) == (
        PASS, before.wins, before.ratio)


@pytest.mark.parametrize("bar, alpha, layouts", [(0, ALPHA, 3), (2, Fraction(0), 3),
                                                 (2, Fraction(2), 3), (2, ALPHA, 0), (2, ALPHA, 9)])
def test_impossible_tests_are_refused(bar: int, alpha: Fraction, layouts: int) -> None:
    with pytest.raises(ValueError):
        SignTest(Fraction(bar), alpha, layouts)


@given(st.integers(0, 2 ** 32), st.floats(0.1, 10), st.floats(0, 1))
@settings(max_examples=60, deadline=None)
def test_verdict_properties(seed: int, truth: float, spread: float) -> None:
    rng, test = Random(seed), SignTest(Fraction(2))
    drive(test, rng, lambda slot: (
        10 ** 7, max(1, round(10 ** 7 / truth * math.exp(rng.gauss(0, spread))))))
    result = test.decide()
    assert result.low <= result.ratio <= result.high
    assert 0 <= result.wins <= result.counted <= 72 and result.counted % BLOCK == 0
    if result.state == PASS:
        assert result.wins >= WINS_NEEDED[result.counted] and result.ratio > 2
    if result.state == FAIL:
        assert result.counted - result.wins >= WINS_NEEDED[result.counted] and result.ratio < 2


# --- replays -------------------------------------------------------------------------------

def recorded(name: str) -> List[List[int]]:
    pairs: List[List[int]] = json.loads((RECORDED / name).read_text())["pairs"]
    return pairs


def layout_luck(rng: Random) -> List[float]:
    """By how much each of three layouts changes the time: three per cent, spread at random."""
    return [math.exp(rng.uniform(-0.03, 0.03)) for _ in range(3)]


def replay(samples: List[List[int]], rng: Random, bar: Fraction) -> str:
    slow_luck, student_luck = layout_luck(rng), layout_luck(rng)

    def measure(slot: verdict.Slot) -> Tuple[int, int]:
        slow, student = rng.choice(samples)[:2]
        return (round(slow * slow_luck[slot.slow_layout]),
                round(student * student_luck[slot.student_layout]))
    test = SignTest(bar)
    drive(test, rng, measure)
    return test.state or INCONCLUSIVE


@pytest.mark.parametrize("name", ["quiet.json", "two_busy_loops.json"])
@pytest.mark.parametrize("bar, right", [(Fraction(5, 4), PASS), (Fraction(9, 5), FAIL)])
def test_replays_of_recorded_pairs(name: str, bar: Fraction, right: str) -> None:
    """True ratio 3/2, bar 20 % away: 4 x 500 gradings, none of them wrong, few undecided."""
    samples = recorded(name)
    rng = Random(f"{name} {bar}")
    states = [replay(samples, rng, bar) for _ in range(500)]
    assert set(states) <= {right, INCONCLUSIVE}
    assert states.count(right) >= 495


def synthetic(rng: Random, ratio: float) -> Callable[[verdict.Slot], Tuple[int, int]]:
    """Slow drift of the machine, heavy tails, one interrupted run in ten, lucky layouts."""
    slow_luck, student_luck = layout_luck(rng), layout_luck(rng)
    drift = [0.0]

    def one(base: float) -> int:
        interrupted = rng.expovariate(2) if rng.random() < 0.1 else 0.0
        jitter = 0.01 * rng.gauss(0, 1) / max(0.2, abs(rng.gauss(0, 1)))
        return max(1, round(base * math.exp(drift[0] + jitter) * (1 + interrupted)))

    def measure(slot: verdict.Slot) -> Tuple[int, int]:
        drift[0] = 0.8 * drift[0] + rng.gauss(0, 0.1)
        return (one(2e7 * slow_luck[slot.slow_layout]),
                one(2e7 / ratio * student_luck[slot.student_layout]))
    return measure


@pytest.mark.parametrize("ratio, right", [(1.2, PASS), (1 / 1.2, FAIL)])
def test_replays_of_synthetic_pairs(ratio: float, right: str) -> None:
    rng = Random(f"synthetic {ratio}")
    states = []
    for _ in range(1000):
        test = SignTest(Fraction(4))
        drive(test, rng, synthetic(rng, 4 * ratio))
        states.append(test.state)
    assert set(states) <= {right, INCONCLUSIVE}
    assert states.count(right) >= 950


def test_code_exactly_at_the_bar_stays_undecided() -> None:
    rng, states = Random(11), []
    for _ in range(1000):
        test = SignTest(Fraction(4))
        drive(test, rng, lambda slot: (round(4e7 * math.exp(rng.gauss(0, 0.02))), 10 ** 7))
        states.append(test.state)
    assert states.count(INCONCLUSIVE) >= 995


# --- interval, noise, gates ----------------------------------------------------------------

@pytest.mark.parametrize("n", range(1, MAX_PAIRS + 1))
def test_interval_against_scipy(n: int) -> None:
    values = [float(value) for value in range(1, n + 1)]
    low, high, coverage = verdict.median_interval(values)
    rank = int(low)
    assert high == n + 1 - rank                             # symmetric
    assert float(coverage) == pytest.approx(1 - 2 * stats.binom.cdf(rank - 1, n, 0.5), abs=1e-12)
    assert coverage >= Fraction(95, 100) or rank == 1
    narrower = 1 - 2 * stats.binom.cdf(rank, n, 0.5)
    assert narrower < 0.95                                  # and no narrower one covers 95 %


def test_interval_of_nothing() -> None:
    assert verdict.median_interval([]) == (0.0, 0.0, 0)
    assert verdict.median_interval([3.0]) == (3.0, 3.0, 0)


def test_interval_covers_the_median_as_often_as_it_says() -> None:
    rng, hits = Random(2), 0
    for _ in range(4000):
        values = sorted(rng.lognormvariate(0, 1) for _ in range(18))
        low, high, coverage = verdict.median_interval(values)
        hits += low <= 1 <= high
    assert stats.binomtest(hits, 4000, float(coverage)).pvalue > 1e-4


def test_noise_is_the_spread_of_equal_pairs() -> None:
    rng = Random(3)
    pairs = [pair(round(1e7 * math.exp(rng.gauss(0, 0.03))), 10 ** 7) for _ in range(2000)]
    assert verdict.noise(pairs) == pytest.approx(0.03, rel=0.1)
    spoiled = pairs[:1800] + [pair(5 * 10 ** 7, 10 ** 7)] * 200
    assert verdict.noise(spoiled) == pytest.approx(0.03, rel=0.25)
    assert verdict.noise([]) == 0.0 == verdict.noise([pair(5, 0), pair(9, 3, discarded="busy")])


@pytest.mark.parametrize("slow, student, reason", [
    (1000, 500, ""), (50, 50, ""),
    (0, 500, "the CPU clock of slow.c did not advance"),
    (1000, -1, "the CPU clock of student.c did not advance"),
    (1000, 49, "student.c took less CPU time than an operation that does nothing")])
def test_cpu_gate(slow: int, student: int, reason: str) -> None:
    assert verdict.gate_cpu(slow, student, 50) == reason


@pytest.mark.parametrize("slow_cpu, student_cpu, reason", [
    (1000, 1000, ""), (950, 900, ""),
    (949, 1000, "machine busy: slow.c had to wait for a processor"),
    (1000, 899, "machine busy: student.c had to wait for its processors")])
def test_wall_gate(slow_cpu: int, student_cpu: int, reason: str) -> None:
    assert verdict.gate_wall(slow_cpu, 1000, student_cpu, 500, threads=2) == reason


def test_wall_gate_needs_a_running_clock() -> None:
    assert verdict.gate_wall(1, 0, 1, 1, 1) == "the clock did not advance"


def test_the_unusual_is_reported_and_passes() -> None:
    assert not verdict.unusual(900) and "unusual" in verdict.unusual(1001)
    assert "solution" in verdict.unusual(31, reference=10) and not verdict.unusual(29, 10)
    test = SignTest(Fraction(4))
    drive(test, Random(1), lambda slot: (10 ** 9, 10))
    assert test.state == PASS and "unusual" in test.decide().note
