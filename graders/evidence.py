"""Evidence: a second measurement, which shows that the cause of the slowness is gone.

The kinds are generic; a lab names one in lab.ini and says between which limits the value has to
lie. The same kinds measure slow.c for the questions of answers.ini.

    growth_exponent         the power of n with which CPU time grows: the slope of a straight line
                            through log(least time) over log(n), fitted by least squares
    growth_factor           the time at the largest size divided by the time at the smallest;
                            with one size n given: at 4n and n
    allocs_per_op           allocations of one operation
    bytes_per_op            bytes allocated by one operation, all together
    bytes_per_output_byte   the same for each byte of output

A question may also have the measure ``profile_share``: the share of the time in percent that one
function of slow.c takes, its calls included. See lab_profile.py; it is measured only when needed.

Times are least CPU times of fresh processes, read from outside. Allocations are counted by
perflab's hooks in a separate build, and are the same in every run. With several sizes, the
largest count is the value.
"""
from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Callable, Dict, Mapping, Sequence, Tuple

from random import Random

from . import bench_error, bench_spread
from .model import EvidenceSpec, Finding, GraderError, Lab, Question
from .rig import SLOW, STUDENT, Rig

SCALE = 4       # growth_factor with one size
PROFILE_SHARE = "profile_share"
INTERVALS = (PROFILE_SHARE, bench_spread.MEASURE)     # measures that give an interval


@dataclass(frozen=True)
class Kind:
    """How a value is measured, and with how many decimals it is shown."""
    measure: Callable[[Rig, str, Sequence[int]], float]
    decimals: int


def findings(rig: Rig, lab: Lab, rng: Random) -> Tuple[Finding, ...]:
    """Every piece of evidence of the lab, in the order of lab.ini."""
    rounds = bench_error.Rounds(rig, lab.evidence, rng)
    return tuple(rounds.finding(spec) if spec.kind == bench_error.KIND else finding(rig, spec)
                 for spec in lab.evidence)


def finding(rig: Rig, spec: EvidenceSpec) -> Finding:
    """The student's value and slow's, against the limits of lab.ini."""
    kind = KINDS[spec.kind]
    if spec.kind == "counted":
        slow, value = (max(rig.count(side, n, spec.counter) for n in spec.sizes) for side in (SLOW, STUDENT))
    else:
        slow = kind.measure(rig, SLOW, spec.sizes)
        value = kind.measure(rig, STUDENT, spec.sizes)
    passed = ((spec.maximum is None or value <= spec.maximum)
              and (spec.minimum is None or value >= spec.minimum))
    return Finding(spec, value, slow, passed, _text(spec, kind, value, slow))


def measure(rig: Rig, lab: Lab) -> Dict[str, float]:
    """slow.c's values for the lab's questions, by the name of the question."""
    return {question.name: max(rig.count(SLOW, n, question.counter) for n in question.sizes) if question.measure == "counted" else KINDS[question.measure].measure(rig, SLOW, question.sizes)
            for question in lab.questions if question.measure in KINDS}


def validate(lab: Lab) -> None:
    """Refuses kinds that do not exist, and sizes that cannot give a value, before anything runs."""
    for spec in lab.evidence:
        _validate(lab, f"[evidence.{spec.name}] kind", spec.kind, spec.sizes)
    for question in lab.questions:
        where = f"[question.{question.name}]"
        if (question.measure == PROFILE_SHARE) != bool(question.function):
            raise GraderError(f"labs/{lab.path.name}/lab.ini: {where} function: belongs to "
                              f"'measure = {PROFILE_SHARE}'; give both or neither")
        if question.measure and question.measure not in INTERVALS:
            _validate(lab, f"{where} measure", question.measure, question.sizes, INTERVALS)


def slope(points: Mapping[int, float]) -> float:
    """The exponent p of the least-squares fit value = c * n ** p."""
    x = [math.log(n) for n in points]
    y = [math.log(value) for value in points.values()]
    centre_x, centre_y = sum(x) / len(x), sum(y) / len(y)
    spread = sum((one - centre_x) ** 2 for one in x)
    return sum((one - centre_x) * (other - centre_y) for one, other in zip(x, y)) / spread


def _growth_exponent(rig: Rig, side: str, sizes: Sequence[int]) -> float:
    return slope(rig.least_times(side, sizes))


def _growth_factor(rig: Rig, side: str, sizes: Sequence[int]) -> float:
    small, large = (sizes[0], SCALE * sizes[0]) if len(sizes) == 1 else (min(sizes), max(sizes))
    times = rig.least_times(side, (small, large))
    return times[large] / times[small]


def _allocs_per_op(rig: Rig, side: str, sizes: Sequence[int]) -> float:
    return float(max(rig.memory(side, n).mallocs for n in sizes))


def _bytes_per_op(rig: Rig, side: str, sizes: Sequence[int]) -> float:
    return float(max(rig.memory(side, n).total_bytes for n in sizes))


def _bytes_per_output_byte(rig: Rig, side: str, sizes: Sequence[int]) -> float:
    return max(rig.memory(side, n).total_bytes / max(1, rig.output_size(n)) for n in sizes)


KINDS: Mapping[str, Kind] = {
    "counted": Kind(lambda rig, side, sizes: 0.0, 0),
    "bench_error": Kind(lambda rig, side, sizes: 0.0, 0),
    "growth_exponent": Kind(_growth_exponent, 2),
    "growth_factor": Kind(_growth_factor, 1),
    "allocs_per_op": Kind(_allocs_per_op, 0),
    "bytes_per_op": Kind(_bytes_per_op, 0),
    "bytes_per_output_byte": Kind(_bytes_per_output_byte, 1),
}


def _text(spec: EvidenceSpec, kind: Kind, value: float, slow: float) -> str:
    limits = [f"{word} {float(limit):,.4g}" for word, limit in
              (("at most", spec.maximum), ("at least", spec.minimum)) if limit is not None]
    return (f"{spec.title}: {value:,.{kind.decimals}f}, {' and '.join(limits)} "
            f"(slow.c: {slow:,.{kind.decimals}f})")


def _validate(lab: Lab, where: str, kind: str, sizes: Tuple[int, ...],
              more: Tuple[str, ...] = ()) -> None:
    if kind not in KINDS:
        raise GraderError(f"labs/{lab.path.name}/lab.ini: {where}: '{kind}' is unknown; "
                          f"there are {', '.join((*KINDS, *more))}")
    least = {"growth_exponent": 2}.get(kind, 1)
    if len(set(sizes)) < least or min(sizes) < 1:
        raise GraderError(f"labs/{lab.path.name}/lab.ini: {where}: {kind} needs at least "
                          f"{least} different size{'s' * (least > 1)} above 0 in 'sizes'")
