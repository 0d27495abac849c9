"""Evidence: a second measurement, which shows that the cause of the slowness is gone.

The kinds are generic; a lab names one in lab.ini and says between which limits the value has to
lie. The same kinds measure slow.c for the questions of answers.ini.

    growth_exponent         the power of n with which CPU time grows: the slope of a straight line
                            through log(least time) over log(n), fitted by least squares
    growth_factor           the time at the largest size divided by the time at the smallest;
                            with one size n given: at 4n and n
    allocs_per_op           allocations of one operation;    allocs_per_n: divided by n
    bytes_per_op            bytes allocated by one operation, all together;    bytes_per_n
    bytes_per_output_byte   the same for each byte of output
    live_blocks             blocks that were allocated by the operation and not freed
    live_bytes              their bytes;    live_bytes_per_n: how they grow, from the smallest size
                            to the largest, for each unit of n
    peak_bytes              most bytes allocated at once;    peak_bytes_per_n: how they grow
    resident_bytes_per_n    how the most memory that the process held grows with n, by the kernel
    system_calls            reads and writes, by the kernel;    system_calls_per_mib: for each MiB
                            of input and output
    system_share            percent of the processor time that is spent in the kernel
    descriptors_left        descriptors that are open after the operation and were not before
    threads_left            threads, the same way
    counted                 what workload.c has counted under the name that `counter` gives
    bench_error             by how many percent the student's benchmark `bench` reports too much, or
                            (below 0) too little: see bench_error.py

A question may also have the measure ``profile_share``: the share of the time in percent that one
function of slow.c takes, its calls included. See lab_profile.py; it is measured only when needed.
The measure ``bench_spread`` is the noise in the student's own run of benchmarks: bench_spread.py.

Times are least CPU times of fresh processes, read from outside. Allocations are counted by
perflab's hooks in a separate build. What the kernel tells is read from outside, too.
"""
from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Callable, Dict, Mapping, Protocol, Sequence, Tuple

from . import bench_error, bench_spread
from .model import EvidenceSpec, Finding, GraderError, Lab, Question
from .rig import SLOW, STUDENT, Rig, Untold
from .worker import Memory, Outside

SCALE = 4       # growth_factor with one size
PROFILE_SHARE = "profile_share"
INTERVALS = (PROFILE_SHARE, bench_spread.MEASURE)   # answered by a run that the student has kept


class Spec(Protocol):
    """What a kind reads of an EvidenceSpec or a Question."""
    @property
    def sizes(self) -> Tuple[int, ...]: ...
    @property
    def counter(self) -> str: ...


@dataclass(frozen=True)
class Kind:
    """How a value is measured, with how many decimals it is shown, and how many sizes it needs."""
    measure: Callable[[Rig, str, Spec], float]
    decimals: int
    sizes: int = 1


def finding(rig: Rig, spec: EvidenceSpec) -> Finding:
    """The student's value and slow's, against the limits of lab.ini."""
    kind = KINDS[spec.kind]
    try:
        slow = kind.measure(rig, SLOW, spec)
        value = kind.measure(rig, STUDENT, spec)
    except Untold as why:
        return Finding(spec, None, None, False, f"{spec.title}: {why}", undecided=True)
    return Finding(spec, value, slow, _within(spec, value), _text(spec, kind, value, slow))


def holds(rig: Rig, spec: EvidenceSpec) -> bool:
    """Whether the student's value is within the limits, or untold; slow.c is not measured."""
    try:
        return _within(spec, KINDS[spec.kind].measure(rig, STUDENT, spec))
    except Untold:
        return True


def measure(rig: Rig, lab: Lab) -> Dict[str, float]:
    """slow.c's values for the lab's questions, by the name of the question."""
    found: Dict[str, float] = {}
    for question in lab.questions:
        if question.measure in KINDS:
            try:
                found[question.name] = KINDS[question.measure].measure(rig, SLOW, question)
            except Untold:
                continue
    return found


def validate(lab: Lab) -> None:
    """Refuses kinds that do not exist, and sizes that cannot give a value, before anything runs."""
    for spec in lab.evidence:
        where = f"labs/{lab.path.name}/lab.ini: [evidence.{spec.name}]"
        _belongs(where, "bench", spec.bench, "kind", bench_error.KIND, spec.kind)
        _validate(f"{where} kind", spec.kind, spec, tuple(KINDS))
        if spec.kind == bench_error.KIND and bench_error.fault(spec):
            raise GraderError(f"{where} max: {bench_error.fault(spec)}")
    for question in lab.questions:
        where = f"labs/{lab.path.name}/lab.ini: [question.{question.name}]"
        measure = question.measure
        _belongs(where, "function", question.function, "measure", PROFILE_SHARE, measure)
        _belongs(where, "bench", question.bench, "measure", bench_spread.MEASURE, measure)
        if measure and measure not in INTERVALS:
            _validate(f"{where} measure", measure, question, (*OF_SLOW, *INTERVALS))


def slope(points: Mapping[int, float]) -> float:
    """The exponent p of the least-squares fit value = c * n ** p."""
    x = [math.log(n) for n in points]
    y = [math.log(value) for value in points.values()]
    centre_x, centre_y = sum(x) / len(x), sum(y) / len(y)
    spread = sum((one - centre_x) ** 2 for one in x)
    return sum((one - centre_x) * (other - centre_y) for one, other in zip(x, y)) / spread


def _growth_exponent(rig: Rig, side: str, spec: Spec) -> float:
    return slope(rig.least_times(side, spec.sizes))


def _growth_factor(rig: Rig, side: str, spec: Spec) -> float:
    sizes = spec.sizes
    small, large = (sizes[0], SCALE * sizes[0]) if len(sizes) == 1 else (min(sizes), max(sizes))
    times = rig.least_times(side, (small, large))
    return times[large] / times[small]


def _bytes_per_output_byte(rig: Rig, side: str, spec: Spec) -> float:
    return max(rig.memory(side, n).total_bytes / max(1, rig.output_size(n)) for n in spec.sizes)


def _counted(rig: Rig, side: str, spec: Spec) -> float:
    """The worst of all sizes: the least where lab.ini gives only a minimum."""
    found = [rig.counted(side, n, spec.counter) for n in spec.sizes]
    least = isinstance(spec, EvidenceSpec) and spec.maximum is None
    return min(found) if least else max(found)


def _bench_error(rig: Rig, side: str, spec: Spec) -> float:
    assert isinstance(spec, EvidenceSpec)       # see OF_SLOW
    return bench_error.measure(rig, side, spec)


def _of_memory(read: Callable[[Memory], int]) -> Callable[[Rig, str, Spec], float]:
    """The most at any of the sizes."""
    return lambda rig, side, spec: float(max(read(rig.memory(side, n)) for n in spec.sizes))


def _of_memory_for_each(read: Callable[[Memory], int]) -> Callable[[Rig, str, Spec], float]:
    return lambda rig, side, spec: max(read(rig.memory(side, n)) / n for n in spec.sizes)


def _of_memory_growth(read: Callable[[Memory], int]) -> Callable[[Rig, str, Spec], float]:
    return lambda rig, side, spec: _growth(
        spec.sizes, lambda n: float(read(rig.memory(side, n))))


def _growth(sizes: Sequence[int], value: Callable[[int], float]) -> float:
    """For each unit of n, between the smallest size and the largest."""
    small, large = min(sizes), max(sizes)
    return (value(large) - value(small)) / (large - small)


def _of_kernel(read: Callable[[Outside], float]) -> Callable[[Rig, str, Spec], float]:
    return lambda rig, side, spec: max(read(rig.outside(side, n)) for n in spec.sizes)


def _resident_bytes_per_n(rig: Rig, side: str, spec: Spec) -> float:
    return _growth(spec.sizes, lambda n: float(rig.outside(side, n).resident_bytes))


def _system_calls_per_mib(rig: Rig, side: str, spec: Spec) -> float:
    return max(rig.outside(side, n).system_calls * 2 ** 20 / max(1, rig.traffic(n))
               for n in spec.sizes)


def _system_share(rig: Rig, side: str, spec: Spec) -> float:
    return max(rig.system_share(side, n) for n in spec.sizes)


KINDS: Mapping[str, Kind] = {
    "growth_exponent": Kind(_growth_exponent, 2, 2),
    "growth_factor": Kind(_growth_factor, 1),
    "allocs_per_op": Kind(_of_memory(lambda m: m.mallocs), 0),
    "allocs_per_n": Kind(_of_memory_for_each(lambda m: m.mallocs), 2),
    "bytes_per_op": Kind(_of_memory(lambda m: m.total_bytes), 0),
    "bytes_per_n": Kind(_of_memory_for_each(lambda m: m.total_bytes), 1),
    "bytes_per_output_byte": Kind(_bytes_per_output_byte, 1),
    "live_blocks": Kind(_of_memory(lambda m: m.mallocs - m.frees), 0),
    "live_bytes": Kind(_of_memory(lambda m: m.live_bytes), 0),
    "live_bytes_per_n": Kind(_of_memory_growth(lambda m: m.live_bytes), 1, 2),
    "peak_bytes": Kind(_of_memory(lambda m: m.peak_bytes), 0),
    "peak_bytes_per_n": Kind(_of_memory_growth(lambda m: m.peak_bytes), 1, 2),
    "resident_bytes_per_n": Kind(_resident_bytes_per_n, 1, 2),
    "system_calls": Kind(_of_kernel(lambda o: o.system_calls), 0),
    "system_calls_per_mib": Kind(_system_calls_per_mib, 1),
    "system_share": Kind(_system_share, 0),
    "descriptors_left": Kind(_of_kernel(lambda o: o.descriptors), 0),
    "threads_left": Kind(_of_kernel(lambda o: o.threads), 0),
    "counted": Kind(_counted, 1),
    bench_error.KIND: Kind(_bench_error, 1),
}
OF_SLOW = tuple(kind for kind in KINDS if kind != bench_error.KIND)     # for questions


def _within(spec: EvidenceSpec, value: float) -> bool:
    return ((spec.maximum is None or value <= spec.maximum)
            and (spec.minimum is None or value >= spec.minimum))


def _text(spec: EvidenceSpec, kind: Kind, value: float, slow: float) -> str:
    limits = [f"{word} {float(limit):,.4g}" for word, limit in
              (("at most", spec.maximum), ("at least", spec.minimum)) if limit is not None]
    decimals = 0 if value.is_integer() and slow.is_integer() else kind.decimals
    return (f"{spec.title}: {value:,.{decimals}f}, {' and '.join(limits)} "
            f"(slow.c: {slow:,.{decimals}f})")


def _belongs(where: str, key: str, value: str, name: str, owner: str, given: str) -> None:
    """A key that one kind or measure needs, and that no other one has."""
    if (given == owner) != bool(value):
        raise GraderError(f"{where} {key}: belongs to '{name} = {owner}'; give both or neither")


def _validate(where: str, kind: str, spec: Spec, known: Sequence[str]) -> None:
    sizes = spec.sizes
    if kind not in known:
        raise GraderError(f"{where}: '{kind}' is unknown; there are {', '.join(known)}")
    least = KINDS[kind].sizes
    if len(set(sizes)) < least or min(sizes) < 1:
        raise GraderError(f"{where}: {kind} needs at least "
                          f"{least} different size{'s' * (least > 1)} above 0 in 'sizes'")
    if (kind == "counted") != bool(spec.counter):
        raise GraderError(f"{where}: 'counter = NAME' belongs to the kind counted; "
                          "give both or neither")
