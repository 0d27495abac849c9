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

A ratio is *near* when it differs from 1 by at most ``max`` percent. The decision is verdict.py's
sequential test, here on whether more than half of all ratios are near:

    PASS           most reports are near
    FAIL           most reports are not near, though most checks are
    INCONCLUSIVE   neither is certain in the rounds and the time there are

An honest report is as good as a check. If less than half of them were near, so were less than half
of the checks, and to find the opposite has a chance of at most 1 in 1,000. So noise can make the
result INCONCLUSIVE, and hardly ever FAIL.
"""
from __future__ import annotations

import time
from dataclasses import dataclass
from fractions import Fraction
from random import Random
from statistics import median
from typing import Dict, List, Sequence

from .model import FAIL, INCONCLUSIVE, PASS, EvidenceSpec, Finding
from .rig import SLOW, STUDENT, Rig
from .verdict import ALPHA, LAYOUTS, e_value

KIND = "bench_error"
MAX_ROUNDS = 60
SECONDS = 9.0           # for all benchmarks together; undecided ones are INCONCLUSIVE then


@dataclass(frozen=True)
class Round:
    """The ratios of one benchmark in one round."""
    report: float
    check: float
    slow: float         # what slow.c reported, as a ratio like the others


class Rounds:
    """The rounds of all benchmarks of a lab: one run of a process serves every benchmark."""

    def __init__(self, rig: Rig, specs: Sequence[EvidenceSpec], rng: Random) -> None:
        self._rig, self._rng = rig, rng
        self._names = [spec.bench for spec in specs if spec.kind == KIND]
        self._done: Dict[str, List[Round]] = {name: [] for name in self._names}
        self._deadline = time.monotonic() + SECONDS

    def finding(self, spec: EvidenceSpec) -> Finding:
        """Measures until it is certain whether the reports are true, or time is up."""
        rounds, limit = self._done[spec.bench], (spec.maximum or Fraction(0)) / 100
        while True:
            state = decide(rounds, limit)
            if state != INCONCLUSIVE or len(rounds) >= MAX_ROUNDS \
                    or time.monotonic() > self._deadline:
                return _finding(spec, rounds, state)
            self._measure(spec.sizes[0])

    def _measure(self, n: int) -> None:
        """One round: both sides on the same new input, in random order, on one processor."""
        case, names = self._rig.new_case(n), [*self._names, *map(_true, self._names)]
        self._rig.move()
        found = {side: self._rig.figures(side, case, self._rng.randrange(LAYOUTS), names)
                 for side in self._rng.sample((SLOW, STUDENT), 2)}
        slow, student = found[SLOW], found[STUDENT]
        for name in self._names:
            truth = max(slow[_true(name)], 1e-3)
            self._done[name].append(Round(student[name] / truth, student[_true(name)] / truth,
                                          slow[name] / truth))


def decide(rounds: Sequence[Round], limit: Fraction) -> str:
    """PASS, FAIL or INCONCLUSIVE as of now."""
    near = sum(_near(one.report, limit) for one in rounds)
    checks = sum(_near(one.check, limit) for one in rounds)
    if _certain(len(rounds), near):
        return PASS
    if _certain(len(rounds), len(rounds) - near) and _certain(len(rounds), checks):
        return FAIL
    return INCONCLUSIVE


def _certain(rounds: int, hits: int) -> bool:
    """Whether more than half of all rounds would be hits; wrong at most once in 1 / ALPHA."""
    return e_value(rounds, hits) * ALPHA >= 1


def _near(ratio: float, limit: Fraction) -> bool:
    return abs(ratio - 1) <= limit


def _true(name: str) -> str:
    return f"{name}.true"


def _finding(spec: EvidenceSpec, rounds: Sequence[Round], state: str) -> Finding:
    report, slow = (median(getattr(one, side) for one in rounds) if rounds else 0.0
                    for side in ("report", "slow"))
    limit = float(spec.maximum or 0)
    text = (f"{spec.title}: reports {_percent(report)} % of the true time, {100 - limit:.4g} to "
            f"{100 + limit:.4g} is right (slow.c: {_percent(slow)})")
    if state == INCONCLUSIVE:
        text += f"; not certain after {len(rounds)} rounds"
    return Finding(spec, 100 * abs(report - 1), 100 * abs(slow - 1), state == PASS, text,
                   undecided=state == INCONCLUSIVE)


def _percent(ratio: float) -> str:
    """With enough digits to tell 96 from 100, and not to call 0.005 nothing."""
    percent = 100 * ratio
    return f"{percent:.1f}" if 1 <= percent < 200 else f"{percent:,.0f}" if percent >= 200 \
        else f"{percent:.1g}"
