"""Both sides of one lab, ready to run: the one way in which everything is measured.

Each sample is a fresh process with a random amount of environment padding, on one processor of
the fastest kind, and its output is compared with the judge's. What goes wrong with slow.c is the
lab's fault and ends the grading; what goes wrong with the student's code is the student's to know.
"""
from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Callable, Dict, Iterable, List, Optional, Sequence, Tuple, TypeVar

from .build import Side, Trusted
from .machine import Cpus
from .model import GraderError, SubmissionError
from .worker import (LARGEST_LIMIT, PROTOCOL_CALLS, Case, Judge, Memory, Outside, Place, Run,
                     Untold, Worker, time_limit)

SLOW, STUDENT = "slow", "student"
PADDING = 4096
FLOOR_RUNS = 5
ROUNDS = 5              # the least of so many times counts, for the growth of time with n;
FEWER_ROUNDS = 3        # of so many where the rounds have taken
ROUNDS_SECONDS = 1.0    # this long
CLOCK_TRIES = 5         # a process's CPU clock, read from outside, stood still in 2 of some 1,000
                        # runs (Linux 6.18 in a virtual machine, load 3): such a run says nothing
SHARE_CASES = 3         # inputs that take turns while the kernel's share is measured,
SHARE_TICKS = 50        # for so many ticks of its clock, a hundredth of a second each,
SHARE_RUNS = 200        # or for so many runs
__all__ = ["SLOW", "STUDENT", "Rig", "Untold"]
Value = TypeVar("Value")


@dataclass
class Printed:
    """What the student's code wrote to stdout or stderr, which nobody reads: worth a warning."""
    size: int = 0
    sample: bytes = b""


class Rig:
    """Runs slow and student on cases of the lab."""

    def __init__(self, trusted: Trusted, student: Side, judge: Judge, cpus: Cpus, clock: str,
                 rng: Random, threads: int = 1) -> None:
        self.sides = {SLOW: trusted.slow, STUDENT: student}
        self.printed = Printed()
        self.layers: Optional[int] = None     # not known before the first worker
        self.cpus = cpus
        self._where = cpus.workers
        self._threads = min(threads, len(cpus.workers))
        self._null = trusted.null
        self._judge = judge
        self._clock = clock
        self._rng = rng
        self._limits: Dict[int, float] = {}
        self._times: Dict[Tuple[str, int], List[int]] = {}
        self._cases: Dict[int, Case] = {}
        self._memory: Dict[Tuple[str, int], Memory] = {}
        self._outside: Dict[Tuple[str, int], Outside] = {}
        self._counted: Dict[Tuple[str, int, str], float] = {}
        self._shares: Dict[Tuple[str, int], float] = {}
        self.move()

    def move(self) -> None:
        """Chooses the processors for what follows, one for each thread of the operation: both runs
        of a pair belong on the same ones."""
        self._where = tuple(sorted(self._rng.sample(self.cpus.workers, self._threads)))

    def some_layout(self, side: str) -> int:
        """One of the places in memory at which this side was linked."""
        return self._rng.randrange(len(self.sides[side].layouts))

    def case(self, n: int, seed: int) -> Case:
        return self._judge.make(seed, n)

    def new_case(self, n: int) -> Case:
        """A case whose seed nobody has seen yet."""
        return self.case(n, self._rng.getrandbits(48))

    def time(self, side: str, case: Case, layout: int) -> Run:
        """One fresh process, one operation."""
        for _ in range(CLOCK_TRIES):
            run = self._guarded(side, lambda: self._once(
                side, self.sides[side].layouts[layout], case, lambda worker: worker.run(case)))
            if run.cpu_ns > 0:
                break
        return run

    def nanoseconds(self, run: Run) -> int:
        """The time that this lab is about."""
        return run.cpu_ns if self._clock == "cpu" else run.wall_ns

    def check(self, side: str, cases: Sequence[Case]) -> None:
        """Many cases in one process, so that what one leaves behind meets the next."""
        largest = max(cases, key=lambda case: len(case.input) + len(case.expected))

        def all_of_them(worker: Worker) -> None:
            for case in cases:
                worker.load(case)
                worker.run(case)
                worker.unload()
        self._guarded(side, lambda: self._in_worker(
            side, self.sides[side].layouts[0], _roomy(cases, largest), self._limit(largest),
            all_of_them))

    def memory(self, side: str, n: int) -> Memory:
        """What one operation of size n does to the heap: the same input for both sides."""
        if (side, n) not in self._memory:
            case = self._cases.setdefault(n, self.new_case(n))

            def counted(worker: Worker) -> Memory:
                worker.run(case)
                return worker.memory()
            self._memory[side, n] = self._guarded(side, lambda: self._once(
                side, self.sides[side].stats, case, counted))
        return self._memory[side, n]

    def figures(self, side: str, case: Case, layout: int, names: Sequence[str]) -> Dict[str, float]:
        """What workload.c has counted under these names during one operation."""
        return self._figures(side, self.sides[side].layouts[layout], case, names)

    def counted(self, side: str, n: int, name: str) -> float:
        """One of these figures, for the case that is the same for both sides, in the build with
        perflab's hooks: workload.c may count with them."""
        if (side, n, name) not in self._counted:
            case = self._cases.setdefault(n, self.new_case(n))
            found = self._figures(side, self.sides[side].stats, case, [name])
            self._counted[side, n, name] = found[name]
        return self._counted[side, n, name]

    def outside(self, side: str, n: int) -> Outside:
        """What the kernel says of one operation of size n, beyond one that does nothing."""
        if (side, n) not in self._outside:
            case = self._cases.setdefault(n, self.new_case(n))
            program = self.sides[side].layouts[0]
            self._outside[side, n] = self._guarded(side, lambda: self._in_worker(
                side, program, case, self._limit(case), lambda worker: _observed(worker, case)))
        return self._outside[side, n]

    def system_share(self, side: str, n: int) -> float:
        """Percent of the CPU time in the kernel, over so many runs that its clock has ticked."""
        if (side, n) not in self._shares:
            cases = [self.new_case(n) for _ in range(SHARE_CASES)]
            largest = max(cases, key=lambda case: len(case.input) + len(case.expected))
            self._shares[side, n] = self._guarded(side, lambda: self._in_worker(
                side, self.sides[side].layouts[0], _roomy(cases, largest), self._limit(largest),
                lambda worker: _system_share(worker, cases)))
        return self._shares[side, n]

    def traffic(self, n: int) -> int:
        """Bytes of the input and of the right output of that case."""
        return len(self._cases[n].input) + len(self._cases[n].expected)

    def output_size(self, n: int) -> int:
        """Bytes of the right output of the case on which ``memory`` counts."""
        return len(self._cases[n].expected)

    def least_times(self, side: str, sizes: Iterable[int]) -> Dict[int, int]:
        """The least CPU time at each size, of several runs that take turns over the sizes."""
        wanted, started = sorted(set(sizes)), time.monotonic()
        for number in range(ROUNDS):
            if number >= FEWER_ROUNDS and time.monotonic() - started > ROUNDS_SECONDS:
                break
            for n in self._rng.sample(wanted, len(wanted)):
                samples = self._times.setdefault((side, n), [])
                if len(samples) <= number:
                    layout = len(samples) % len(self.sides[side].layouts)
                    samples.append(self.time(side, self.new_case(n), layout).cpu_ns)
        return {n: min(self._times[side, n]) for n in wanted}

    def floor(self) -> int:
        """The CPU time that an operation takes which does nothing."""
        nothing = Case(0, 0, b"", b"")

        def once() -> Run:
            return self._in_worker("null", self._null, nothing, LARGEST_LIMIT,
                                   lambda worker: _loaded(worker, nothing).run(nothing))
        return min(self._guarded(SLOW, once).cpu_ns for _ in range(FLOOR_RUNS))

    def _figures(self, side: str, program: Path, case: Case,
                 names: Sequence[str]) -> Dict[str, float]:
        def counted(worker: Worker) -> Dict[str, float]:
            worker.run(case)
            return {name: worker.count(name) for name in names}
        return self._guarded(side, lambda: self._once(side, program, case, counted))

    def _once(self, side: str, program: Path, case: Case,
              use: Callable[[Worker], Value]) -> Value:
        return self._in_worker(side, program, case, self._limit(case),
                               lambda worker: use(_loaded(worker, case)))

    def _in_worker(self, side: str, program: Path, room: Case, seconds: float,
                   use: Callable[[Worker], Value]) -> Value:
        place = Place(self._where, self._rng.randrange(PADDING), seconds)
        with Worker(program, room, place) as worker:
            self.layers = worker.layers
            value = use(worker)
            if side == STUDENT:
                self._note(worker.printed())
            return value

    def _limit(self, case: Case) -> float:
        """How long either side may take, from slow.c's own time on such an input."""
        if case.n not in self._limits:
            self._limits[case.n] = LARGEST_LIMIT
            self._limits[case.n] = time_limit(self.time(SLOW, case, 0).wall_ns)
        return self._limits[case.n]

    def _note(self, printed: bytes) -> None:
        if printed:
            self.printed.size += len(printed)
            self.printed.sample = self.printed.sample or printed[:60]

    @staticmethod
    def _guarded(side: str, use: Callable[[], Value]) -> Value:
        try:
            return use()
        except SubmissionError as error:
            if side == STUDENT:
                raise
            raise GraderError(f"slow.c of this lab fails: {error}; restore the lab's files "
                              "('git status' names changed ones)") from None


def _loaded(worker: Worker, case: Case) -> Worker:
    worker.load(case)
    return worker


def _observed(worker: Worker, case: Case) -> Outside:
    """From before the input was there until after the operation."""
    start = worker.look()
    worker.load(case)
    before = worker.look()
    worker.run(case)
    after = worker.look_settled(before)
    return Outside(
        resident_bytes=after.most_resident - start.resident - len(case.input),
        system_calls=after.calls - before.calls - PROTOCOL_CALLS,
        descriptors=len(after.descriptors - before.descriptors),
        threads=len(after.threads - before.threads))


def _system_share(worker: Worker, cases: Sequence[Case]) -> float:
    """All runs in one process: each reading of its clock is rounded down, and over many processes
    the smaller part would be lost every time."""
    user = system = 0
    for number in range(SHARE_RUNS):
        worker.load(cases[number % len(cases)])
        before = worker.ticks()
        worker.run(cases[number % len(cases)])
        after = worker.ticks()
        worker.unload()
        user, system = user + after[0] - before[0], system + after[1] - before[1]
        if user + system >= SHARE_TICKS:
            break
    if user + system == 0:
        raise Untold("the operation is too short for the kernel's clock")
    return 100 * system / (user + system)


def _roomy(cases: Sequence[Case], largest: Case) -> Case:
    """A case as large as the largest input and the largest output."""
    return Case(largest.seed, largest.n, b"\0" * max(len(case.input) for case in cases),
                b"\0" * max(len(case.expected) for case in cases))
