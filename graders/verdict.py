"""Is the student's code faster than slow.c by the bar? A sequential sign test on pairs of runs.

A pair is one run of slow and one of the student's code on the same input. It is a *win* when
slow / student is above the bar, a *loss* when it is below. Under a fair coin, k wins in n pairs
are as surprising as the e-value

    E(n, k) = sum of C(n+1, j) for j = 0..k, divided by (n+1) * C(n, k)

which is the likelihood of the wins under a coin with an unknown chance of 1/2 to 1 (all equally
plausible), divided by their likelihood under the fair coin. If the true speed-up is at most the
bar, a win has a chance of at most 1/2, E is a supermartingale that starts at 1, and Ville's
inequality says that it ever reaches 1/alpha with a chance of at most alpha. So the test may look
after every pair, stop when it likes, and still passes wrongly at most once in 1/alpha = 1,000
gradings. FAIL is the same with losses. A tie helps neither side. Between the two lies
INCONCLUSIVE, which is an answer too. Comparisons are exact: integers and fractions, no floats.

Layouts. How fast code runs depends on where the linker put it, by up to 1.8 times for a short
loop. Pairs that share a layout share its luck, and thirteen of them prove no more about the
code than one does. Each side is therefore linked three times, and

  * pairs come in blocks of nine, one for each combination of a slow and a student layout, in
    random order; the test looks only when a block is complete. What has to be at most 1/2 is
    then the *mean* chance of a win over the nine: for win chances p1..p9 and any stake s in
    0..1, the factor by which a block multiplies the bet is on average the product of
    1 + s(2p - 1), and by the inequality of the means that is at most 1 when their mean is 1/2
    or less. A layout that always wins is paid for by those that then have to lose.
  * a verdict also needs a majority in each layout of each side. That only makes verdicts rarer,
    so it keeps the bound, and code that is fast in two layouts of three gets no PASS.

What is assumed: given all earlier pairs, the measured ratio of code exactly at the bar is as
likely to fall below the bar as above it. Fresh processes, a random order within the pair, a new
input, new address-space and environment padding for each pair are there to make that true. Noise
that slows both sides is harmless; noise that adds the same delay to both drags the ratio towards
1, which no test can see, so the gates below discard what was measured under it. The three layouts
are a sample: what all three have in common, the test takes for a property of the code.

An automatic second attempt has to share the bound (alpha / 2 for each attempt). There is none:
the same test just goes on until MAX_PAIRS, or until the caller's time is used up.
"""
from __future__ import annotations

import math
from collections import Counter, deque
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import lru_cache
from itertools import product
from random import Random
from statistics import median
from typing import Deque, Dict, Iterator, List, Optional, Sequence, Tuple

from .model import FAIL, INCONCLUSIVE, PASS, Pair, TimeVerdict

ALPHA = Fraction(1, 1000)       # bound on a wrong PASS, and again on a wrong FAIL
MAX_PAIRS = 80                  # whole blocks only: 72 pairs with three layouts
LAYOUTS = 3
CONFIDENCE = Fraction(95, 100)  # the reported interval covers at least this
IMPLAUSIBLE = 1000.0            # a larger ratio is reported as unusual

Combination = Tuple[int, int]   # layout of slow, layout of student


@lru_cache(maxsize=None)
def e_value(n: int, wins: int) -> Fraction:
    """The evidence that ``wins`` of ``n`` pairs give against a fair coin; 1 before the first."""
    tail = sum(math.comb(n + 1, j) for j in range(wins + 1))
    return Fraction(tail, (n + 1) * math.comb(n, wins))


@dataclass(frozen=True)
class Slot:
    """A pair that is still to be measured."""
    seed: int
    student_first: bool
    slow_layout: int
    student_layout: int


class SignTest:
    """The running test. Feed it until ``state`` is no longer None, or until time is up::

        test = SignTest(lab.bar)
        for slot in plan(rng, test):
            if out_of_time():
                break
            test.add(measure(slot))
        verdict = test.decide(noise(aa_pairs))
    """

    def __init__(self, bar: Fraction, alpha: Fraction = ALPHA, layouts: int = LAYOUTS) -> None:
        if bar <= 0 or not 0 < alpha < 1 or not 0 < layouts ** 2 <= MAX_PAIRS:
            raise ValueError(f"no test with bar {bar}, alpha {alpha}, layouts {layouts}")
        self.bar = bar
        self.alpha = alpha
        self.state: Optional[str] = None
        self._pairs: List[Pair] = []        # everything that was measured
        self._counted: List[Pair] = []      # the complete blocks
        self._waiting: Dict[Combination, Deque[Pair]] = {
            combination: deque() for combination in product(range(layouts), range(layouts))}

    def add(self, pair: Pair) -> None:
        """Takes one measured pair, and decides when it completes a block."""
        if not pair.discarded and min(pair.slow_ns, pair.student_ns) <= 0:
            pair = replace(pair, discarded="the clock did not advance")
        self._pairs.append(pair)
        if pair.discarded or self.state:
            return
        self._waiting[pair.slow_layout, pair.student_layout].append(pair)
        if all(self._waiting.values()):
            self._counted += [queue.popleft() for queue in self._waiting.values()]
            self.state = self._look()

    def missing(self) -> List[Combination]:
        """The combinations of layouts that the block in hand still needs."""
        return [combination for combination, queue in self._waiting.items() if not queue]

    def decide(self, noise: float = 0.0, note: str = "") -> TimeVerdict:
        """The verdict as of now: INCONCLUSIVE while the test is undecided."""
        state = self.state or INCONCLUSIVE
        counted = list(self._counted)
        if state == INCONCLUSIVE:
            counted += [pair for queue in self._waiting.values() for pair in queue]
        ratios = sorted(pair.slow_ns / pair.student_ns for pair in counted)
        centre = _middle(ratios)
        low, high, confidence = median_interval(ratios)
        if state == INCONCLUSIVE:
            note = self._why_undecided(len(counted), note)
        remarks = filter(None, (note, self._discards(), unusual(centre)))
        return TimeVerdict(
            state=state, bar=self.bar, pairs=tuple(self._pairs),
            wins=sum(self._side(pair) > 0 for pair in counted), counted=len(counted),
            ratio=centre, low=low, high=high, confidence=float(confidence),
            alpha=self.alpha, noise=noise, note="; ".join(remarks))

    def _side(self, pair: Pair) -> int:
        """1 for a win, -1 for a loss, 0 for a tie: exact."""
        slow = pair.slow_ns * self.bar.denominator
        student = pair.student_ns * self.bar.numerator
        return (slow > student) - (slow < student)

    def _look(self) -> Optional[str]:
        for state, sign in ((PASS, 1), (FAIL, -1)):
            if self._proven(sign) and self._layouts_agree(sign):
                return state
        full = len(self._counted) + len(self._waiting) > MAX_PAIRS
        return INCONCLUSIVE if full else None

    def _proven(self, sign: int) -> bool:
        hits = sum(self._side(pair) == sign for pair in self._counted)
        return e_value(len(self._counted), hits) * self.alpha >= 1

    def _layouts_agree(self, sign: int) -> bool:
        """Whether most pairs of every layout, of slow and of student, fell on that side."""
        balance: Counter[Tuple[str, int]] = Counter()
        for pair in self._counted:
            vote = 1 if self._side(pair) == sign else -1
            balance["slow", pair.slow_layout] += vote
            balance["student", pair.student_layout] += vote
        return all(votes > 0 for votes in balance.values())

    def _why_undecided(self, counted: int, note: str) -> str:
        """What the test itself knows, before the caller's ``note``, which may say more."""
        if any(self._proven(sign) for sign in (1, -1)):
            own = "the result depends on where the linker puts the code"
        elif self.state:
            own = f"too close to the bar to call in {counted} pairs"
        else:
            own = "" if note else f"time ran out after {counted} pair{'s' * (counted != 1)}"
        return "; ".join(filter(None, (own, note)))

    def _discards(self) -> str:
        reasons = Counter(pair.discarded for pair in self._pairs if pair.discarded)
        if not reasons:
            return ""
        total = sum(reasons.values())
        return (f"{total} of {len(self._pairs)} pairs not counted: "
                f"{reasons.most_common(1)[0][0]}")


def plan(rng: Random, test: SignTest) -> Iterator[Slot]:
    """The pairs to measure, until ``test`` is decided.

    Every block holds each combination of layouts once, in random order; a pair that a gate
    discarded comes again within its block. All randomness is the grader's: the worker learns
    neither the seed nor which side it plays.
    """
    while test.state is None:
        slow_layout, student_layout = rng.choice(test.missing())
        yield Slot(rng.getrandbits(48), rng.random() < 0.5, slow_layout, student_layout)


def _middle(ordered: Sequence[float]) -> float:
    """The median of ratios: between two middle values lies their geometric mean."""
    if not ordered:
        return 0.0
    below, above = ordered[(len(ordered) - 1) // 2], ordered[len(ordered) // 2]
    return below if below == above else math.sqrt(below * above)


def median_interval(ordered: Sequence[float],
                    level: Fraction = CONFIDENCE) -> Tuple[float, float, Fraction]:
    """Low, high and exact coverage of the narrowest order-statistic interval of the median.

    From the r-th smallest to the r-th largest value misses the median when fewer than r values
    lie on one side of it: chance 2 * P(Binomial(n, 1/2) < r), whatever the distribution. With
    too few values for ``level`` the range of all of them is given, with the coverage it has.
    The coverage is that of a number of pairs fixed in advance; the verdict does not rest on it.
    """
    n = len(ordered)
    if not n:
        return 0.0, 0.0, Fraction(0)
    rank, missed = 1, Fraction(2, 2 ** n)
    while 2 * (rank + 1) <= n + 1:
        wider = missed + Fraction(2 * math.comb(n, rank), 2 ** n)
        if 1 - wider < level:
            break
        rank, missed = rank + 1, wider
    return ordered[rank - 1], ordered[n - rank], 1 - missed


def noise(aa_pairs: Sequence[Pair]) -> float:
    """By how much this machine tells slow from slow: the spread of pairs whose ratio is 1.

    The relative standard deviation, estimated by 1.4826 times the median distance from 1 (on
    the log scale), so that one interrupted pair in ten does not count. 0 without valid pairs.
    """
    distances = [abs(math.log(pair.slow_ns / pair.student_ns)) for pair in aa_pairs
                 if not pair.discarded and min(pair.slow_ns, pair.student_ns) > 0]
    return math.expm1(1.4826 * median(distances)) if distances else 0.0


def gate_cpu(slow_ns: int, student_ns: int, floor_ns: int) -> str:
    """Why a pair of CPU times is invalid, or "".

    ``floor_ns`` is the smallest CPU time that an operation which does nothing was seen to take.
    """
    for name, time_ns in (("slow.c", slow_ns), ("student.c", student_ns)):
        if time_ns <= 0:
            return f"the CPU clock of {name} did not advance"
        if time_ns < floor_ns:
            return f"{name} took less CPU time than an operation that does nothing"
    return ""


SLOW_WAITED = "machine busy: slow.c had to wait for a processor"
STUDENT_WAITED = "machine busy: student.c had to wait for its processors"


def gate_wall(slow_cpu_ns: int, slow_wall_ns: int, student_cpu_ns: int, student_wall_ns: int,
              threads: int, slow_threads: int = 1) -> str:
    """Why a pair of wall times is invalid, or "": a side did not get its processors.

    For compute on ``threads`` threads against ``slow_threads``. With another program on the machine
    a perfect speed-up of two threads was measured as 1.00; with this gate as 1.95. Both limits
    are the ones those measurements were taken with.
    """
    if min(slow_wall_ns, student_wall_ns) <= 0:
        return "the clock did not advance"
    if 100 * slow_cpu_ns < (95 if slow_threads == 1 else 90) * slow_threads * slow_wall_ns:
        return SLOW_WAITED
    if 100 * student_cpu_ns < 90 * threads * student_wall_ns:
        return STUDENT_WAITED
    return ""


class OwnWaiting:
    """Tells code that waits by itself, behind a lock say, from a machine that makes it wait.

    Of a busy machine both sides suffer, if slow.c computes on as many processors. When it had them
    in so many pairs, and the student's code in none of them, the waiting is its own, and part of
    its time. A slow.c on fewer processors shows nothing: the busy ones may be the others.
    """
    PATIENCE = 12

    def __init__(self, threads: int, slow_threads: int) -> None:
        self._alone = 0                         # pairs in which only the student's code waited
        self._fine = slow_threads < threads     # it had its processors once, or nobody knows

    def judge(self, reason: str) -> str:
        """The reason to discard a pair, or "" when the pair counts after all."""
        self._alone += reason == STUDENT_WAITED
        self._fine = self._fine or not reason
        own = reason == STUDENT_WAITED and not self._fine and self._alone > self.PATIENCE
        return "" if own else reason


def unusual(ratio: float, reference: Optional[float] = None) -> str:
    """A remark when the ratio is hard to believe, or "". It is reported and never fails anybody.

    ``reference`` is the ratio that the solution reaches on this machine, when it is known.
    """
    if reference is not None and ratio > 3 * reference:
        return f"unusual: more than 3 times as fast as the solution ({ratio:.4g}x)"
    if ratio > IMPLAUSIBLE:
        return f"unusual: {ratio:.4g}x is worth a look at the code"
    return ""
