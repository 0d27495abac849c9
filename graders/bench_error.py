"""Evidence of the kind bench_error: do the student's benchmarks report the true times?

The lab is one whose student writes benchmarks. One operation of its workload.c runs them, and
workload_count knows two figures about each, both in nanoseconds: NAME, what the student's benchmark
reported, and NAME.true, the same cost measured by trusted code. In a round, slow.c and the
student's file run on the same input, each in a fresh process. The input varies the cost of what is
measured, so a report has to follow it: a number that was written down does not.

    report   what the student's process reported, divided by the true time of slow.c's process,
             in which no code of the student ran
    check    the true time of the student's process, divided by the same: what this machine makes
             of a report that is certainly true

The decision is verdict.py's sequential test, which finds out whether more than half of all rounds
would be like those that were seen, and errs at most once in 1,000:

    holds         most reports are not above the upper limit, and most not below the lower one; and
                  they do not stay behind when the cost grows, as written down numbers do
    fails         most reports are above the upper limit, or most are below the lower one; or most
                  are outside of both, though most checks are within
    not certain   neither, in the rounds and the time there are

Noise does not make an honest report fail. It is as good as a check, and two true times of one
function differ to either side alike: so at most half of the honest reports are too large, at most
half too small, and if most of them are outside, so are most checks.
"""
from __future__ import annotations

import time
from dataclasses import dataclass
from fractions import Fraction
from itertools import count
from statistics import median
from typing import Dict, Iterable, List, Sequence
from weakref import WeakKeyDictionary

from .model import EvidenceSpec
from .rig import SLOW, STUDENT, Rig, Untold
from .verdict import ALPHA, e_value

KIND = "bench_error"
MAX_ROUNDS = 200
SECONDS = 20.0          # for all benchmarks of a lab together


@dataclass(frozen=True)
class Round:
    """The ratios of one benchmark in one round."""
    truth: float        # in nanoseconds, in slow.c's process
    report: float
    check: float
    slow: float         # what slow.c reported, as a ratio like the others


class Rounds:
    """The rounds of one grading: a run of a process serves every benchmark of the lab."""

    def __init__(self, rig: Rig, names: Sequence[str]) -> None:
        self._rig, self._number = rig, count()
        self._done: Dict[str, List[Round]] = {name: [] for name in names}
        self._deadline = time.monotonic() + SECONDS

    def decided(self, name: str, n: int, limit: Fraction) -> Sequence[Round]:
        """The rounds of one benchmark, as soon as they say for certain whether it holds."""
        rounds = self._done[name]
        while not (holds(rounds, limit) or fails(rounds, limit)):
            if len(rounds) >= MAX_ROUNDS or time.monotonic() > self._deadline:
                raise Untold(f"too noisy a machine to be certain, after {len(rounds)} rounds")
            self._measure(n)
        return rounds

    def _measure(self, n: int) -> None:
        """One round: both sides on the same new input, one after the other on one processor."""
        case, number = self._rig.new_case(n), next(self._number)
        names = [*self._done, *map(_true, self._done)]
        self._rig.move()
        order = (SLOW, STUDENT) if number % 2 else (STUDENT, SLOW)
        found = {side: self._rig.figures(side, case, self._rig.some_layout(side), names)
                 for side in order}
        for name, rounds in self._done.items():
            truth = max(found[SLOW][_true(name)], 1e-3)
            rounds.append(Round(truth, found[STUDENT][name] / truth,
                                found[STUDENT][_true(name)] / truth, found[SLOW][name] / truth))


_kept: "WeakKeyDictionary[Rig, Rounds]" = WeakKeyDictionary()


def measure(rig: Rig, side: str, spec: EvidenceSpec) -> float:
    """By how many percent the benchmark reports too much; below 0: too little."""
    rounds = _kept.setdefault(rig, Rounds(rig, spec.benches))
    limit = _limit(spec)
    done = rounds.decided(spec.bench, spec.sizes[0], limit)
    if side == SLOW:
        return 100 * (median(one.slow for one in done) - 1)
    return error([one.report for one in done], limit, holds(done, limit))


def fault(spec: EvidenceSpec) -> str:
    """What is wrong with the limits in lab.ini, or ""."""
    if spec.maximum is None or spec.minimum is None or not 0 < spec.maximum == -spec.minimum:
        return f"{KIND} needs a max above 0 and a min as far below, for example 5 and -5"
    return ""


def holds(rounds: Sequence[Round], limit: Fraction) -> bool:
    """Whether the reports are certainly true."""
    reports = [one.report for one in rounds]
    return (_most(report <= 1 + limit for report in reports)
            and _most(report >= 1 - limit for report in reports) and _follow(rounds, limit))


def fails(rounds: Sequence[Round], limit: Fraction) -> bool:
    """Whether the reports are certainly not true, and the machine is not to blame."""
    reports = [one.report for one in rounds]
    return (_most(report > 1 + limit for report in reports)
            or _most(report < 1 - limit for report in reports)
            or _most(not _near(report, limit) for report in reports)
            and _most(_near(one.check, limit) for one in rounds))


def error(reports: Sequence[float], limit: Fraction, true: bool) -> float:
    """The median error in percent. Where reports that are not true hide each other in it, above and
    below, the one than which half of all are smaller."""
    found = median(reports)
    if not true and _near(found, limit):
        found = sorted(reports, key=lambda report: abs(report - 1))[len(reports) // 2]
    return 100 * (found - 1)


def _most(hits: Iterable[bool]) -> bool:
    """Whether more than half of all rounds would be hits; wrong at most once in 1 / ALPHA."""
    seen = list(hits)
    return e_value(len(seen), sum(seen)) * ALPHA >= 1


def _follow(rounds: Sequence[Round], limit: Fraction) -> bool:
    """Whether the reports are right for small costs and for large ones."""
    ordered = sorted(rounds, key=lambda one: one.truth)
    half = len(ordered) // 2
    return all(_near(median(one.report for one in part), limit)
               for part in (ordered[:half], ordered[half:]) if part)


def _near(ratio: float, limit: Fraction) -> bool:
    return abs(ratio - 1) <= limit


def _limit(spec: EvidenceSpec) -> Fraction:
    return (spec.maximum or Fraction(0)) / 100


def _true(name: str) -> str:
    return f"{name}.true"
