"""Grades one submission of one lab: from two files to one Result.

The order is: build, outputs, time, evidence, answers. What is wrong with the student's code stops
it and is part of the Result; what is wrong with the machine or the lab is a GraderError. Answers
are about slow.c, so they are checked even when the student's code fails while it runs.
"""
from __future__ import annotations

import os
import secrets
import time
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from typing import Any, Dict, Iterator, List, Optional, Sequence, Tuple

from . import build, diagnosis, evidence, lab_profile, machine, sandbox, verdict
from .model import (ERROR, FAIL, INCONCLUSIVE, PASS, Answer, Finding, GraderError, Lab, Machine,
                    Pair, Result, SubmissionError, TimeVerdict)
from .plain import short
from .progress import Progress
from .rig import SLOW, STUDENT, Rig
from .worker import Judge

SEEDS_PER_SIZE = 3
NOISE_PAIRS, NOISE_SECONDS = 6, 1.0
DRIFT = 1.25            # slow.c may change its own speed by this factor while it is measured
TIME_BUDGET = 20.0      # seconds of pairs; after that the verdict is INCONCLUSIVE


@dataclass(frozen=True)
class Submission:
    """The student's two files. Without ``answers`` every question is open."""
    path: Path              # what was named on the command line
    source: Path
    answers: Optional[Path]


@dataclass(frozen=True)
class Options:
    """How to grade."""
    root: Path
    cc: str = ""
    optimise: str = "-O2"
    seed: Optional[int] = None
    time_budget: float = TIME_BUDGET


@dataclass
class _Findings:
    """What is known so far; the Result is made from it wherever the grading ends."""
    outputs_checked: int = 0
    time: Optional[TimeVerdict] = None
    findings: Tuple[Finding, ...] = ()
    answers: Optional[Tuple[Answer, ...]] = None
    error: Optional[SubmissionError] = None


def submission(lab: Lab, path: Optional[Path]) -> Submission:
    """The files that ``path`` means: the lab's own ones, a folder's, or one C file.

    A C file is graded with the answers beside it, or else with those in the lab's folder.
    """
    place = path or lab.path
    if place.is_dir():
        source, answers = place / "student.c", place / "answers.ini"
        if not source.is_file():
            raise GraderError(f"{place}: there is no student.c in this folder; "
                              "name a C file, or a folder with student.c and answers.ini")
        return Submission(path or source, source, answers if answers.is_file() else None)
    if not place.exists():
        raise GraderError(f"{place}: there is no such file or folder; name a C file, or a folder "
                          "with student.c and answers.ini")
    beside = (folder / "answers.ini" for folder in (place.parent, lab.path))
    return Submission(place, place, next((path for path in beside if path.is_file()), None))


def grade(lab: Lab, what: Submission, options: Options, progress: Progress) -> Result:
    """The whole grading. Errors of lab and machine leave it as GraderError."""
    started = time.monotonic()
    sandbox.require_linux()
    evidence.validate(lab)
    if what.answers:
        diagnosis.read(lab, what.answers)       # a malformed file is known before the long part
    seed = secrets.randbits(32) if options.seed is None else options.seed
    recipe = build.recipe_for(options.root, options.cc, options.optimise)
    progress.say("building ...")
    trusted = build.build_trusted(lab, recipe)
    known = _Findings()
    extra: Dict[str, Any] = {}
    layers: Optional[int] = None
    warnings: List[str] = []
    try:
        student = build.build_student(lab, what.source, trusted, recipe)
    except SubmissionError as error:
        known.error = error
    else:
        shares = lab_profile.Shares(options.root, lab, what.answers, trusted, recipe)
        layers, warnings, extra = _measure(lab, what, options, progress, known,
                                           trusted, student, shares, Random(seed))
        warnings += shares.remarks
    facts = machine.facts(recipe.compiler, recipe.flags, layers, warnings)
    result = _result(lab, what, seed, known, facts, extra)
    return replace(result, seconds=time.monotonic() - started)


def unmeasured(lab: Lab, path: Path, options: Options, error: GraderError) -> Result:
    """A Result that says why there is no grading, for formats that programs read."""
    facts = Machine("", len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1,
                    "", "", "", (), (), ())
    return Result(lab, path, ERROR, facts, options.seed or 0, 0.0, 0, "", None, (), (),
                  (None, None, None), "grader", str(error))


def _measure(lab: Lab, what: Submission, options: Options, progress: Progress, known: _Findings,
             trusted: build.Trusted, student: build.Side, shares: lab_profile.Shares,
             rng: Random) -> Tuple[Optional[int], List[str], Dict[str, Any]]:
    """Everything that runs. Fills ``known``; returns the layers, warnings and raw figures."""
    cpus = machine.choose_cpus(threads=lab.threads)
    with _pinned(cpus), Judge(trusted.judge) as judge:
        rig = Rig(trusted, student, judge, cpus, lab.clock, Random(rng.getrandbits(64)),
                  lab.threads)
        extra: Dict[str, Any] = {"cpus": cpus.workers}
        try:
            known.outputs_checked = check_outputs(rig, lab, rng, progress)
            progress.outputs(known.outputs_checked)
            if lab.clock != "none":
                known.time = measure_time(rig, lab, rng, options.time_budget, progress, extra)
            progress.say("evidence: measuring ...")
            known.findings = tuple(evidence.finding(rig, spec) for spec in lab.evidence)
        except SubmissionError as error:
            known.error = error
            progress.wrong(error)
        progress.say("answers: measuring slow.c ...")
        known.answers = diagnosis.check(lab, what.answers, evidence.measure(rig, lab), shares)
        return rig.layers, _warnings(rig), extra


def check_outputs(rig: Rig, lab: Lab, rng: Random, progress: Progress) -> int:
    """Compares outputs at every size of the oracle; returns how many were right."""
    progress.say("outputs: comparing with the expected ones ...")
    cases = [rig.new_case(n) for n in lab.oracle_sizes for _ in range(SEEDS_PER_SIZE)]
    rng.shuffle(cases)
    rig.check(SLOW, cases)
    for n in sorted({case.n for case in cases}):    # the smallest failing size is the best to read
        rig.check(STUDENT, [case for case in cases if case.n == n])
    rig.check(STUDENT, cases)
    return len(cases)


def measure_time(rig: Rig, lab: Lab, rng: Random, budget: float, progress: Progress,
                 extra: Dict[str, Any]) -> TimeVerdict:
    """Pairs of slow and student until the sign test is decided, or time is up."""
    if len(rig.cpus.workers) < lab.threads:
        return verdict.SignTest(lab.bar).decide(note=too_few(len(rig.cpus.workers), lab.threads))
    deadline = time.monotonic() + budget
    floor = rig.floor()
    same = _noise_pairs(rig, lab, rng, floor)
    test = verdict.SignTest(lab.bar)
    own_waiting = verdict.OwnWaiting(lab.threads, lab.slow_threads)
    ratios: List[float] = []
    for slot in verdict.plan(rng, test):
        if time.monotonic() > deadline:
            break
        pair = _pair(rig, lab, slot, floor, STUDENT)
        pair = replace(pair, discarded=own_waiting.judge(pair.discarded))
        ratios.append(pair.slow_ns / max(1, pair.student_ns))
        progress.pair(len(ratios), sorted(ratios)[len(ratios) // 2], lab.bar)
        test.add(pair)
    extra["floor_ns"] = floor
    extra["noise_pairs"] = [[pair.slow_ns, pair.student_ns] for pair in same]
    result = test.decide(verdict.noise(same))
    return replace(result, note="; ".join(filter(None, (result.note, _drift(same, result.pairs)))))


def too_few(cores: int, threads: int) -> str:
    """Why nothing was measured, on a machine that cannot run all threads at once."""
    return (f"this machine offers {cores} core{'s' * (cores != 1)} of one kind, the operation "
            f"needs {threads} at once; grade it on a machine with more (taskset and containers can "
            "hide some)")


def _noise_pairs(rig: Rig, lab: Lab, rng: Random, floor: int) -> List[Pair]:
    """Slow against slow, in different layouts: fewer of them where slow.c takes long."""
    slots = [verdict.Slot(rng.getrandbits(48), rng.random() < 0.5, number % verdict.LAYOUTS,
                          (number + 1) % verdict.LAYOUTS) for number in range(NOISE_PAIRS)]
    started, pairs = time.monotonic(), []
    for slot in slots:
        pairs.append(_pair(rig, lab, slot, floor, SLOW))
        if len(pairs) >= verdict.LAYOUTS and time.monotonic() - started > NOISE_SECONDS:
            break
    return pairs


def _pair(rig: Rig, lab: Lab, slot: verdict.Slot, floor: int, other: str) -> Pair:
    """Slow and the other side, one right after the other, on the same input and processor."""
    case = rig.case(lab.n, slot.seed)
    rig.move()
    order = [(SLOW, slot.slow_layout), (other, slot.student_layout)]
    if slot.student_first:
        order.reverse()
    runs = [rig.time(side, case, layout) for side, layout in order]
    slow, student = reversed(runs) if slot.student_first else runs
    if lab.clock == "cpu":
        reason = verdict.gate_cpu(slow.cpu_ns, student.cpu_ns, floor)
    else:
        reason = verdict.gate_wall(slow.cpu_ns, slow.wall_ns, student.cpu_ns, student.wall_ns,
                                   lab.threads, lab.slow_threads)
    return Pair(slot.seed, rig.nanoseconds(slow), rig.nanoseconds(student), slot.student_first,
                slot.slow_layout, slot.student_layout, slow.wall_ns, student.wall_ns, reason)


def _drift(before: Sequence[Pair], during: Sequence[Pair]) -> str:
    """Whether slow.c was as fast during the pairs as before any of the student's code had run."""
    if not before or not during:
        return ""
    first, later = (sorted(pair.slow_ns for pair in pairs)[len(pairs) // 2]
                    for pairs in (before, during))
    if max(first, later) <= DRIFT * max(1, min(first, later)):
        return ""
    return (f"slow.c itself took {later / max(1, first):.2f} times as long as at the beginning; "
            "something else ran on this machine")


def _warnings(rig: Rig) -> List[str]:
    printed = rig.printed
    if not printed.size:
        return []
    words = short(printed.sample.decode("utf-8", "replace"), 30)
    return [f"your code printed {printed.size:,} bytes ('{words}'): nobody reads them, "
            "and they cost time"]


def _result(lab: Lab, what: Submission, seed: int, known: _Findings, facts: Machine,
            extra: Dict[str, Any]) -> Result:
    error, answers = known.error, known.answers or ()
    points = _points(lab, known)
    return Result(
        lab=lab, submission=what.path, state=FAIL if error else _state(known), machine=facts,
        seed=seed, seconds=0.0, outputs_checked=known.outputs_checked, outputs_text="",
        time=known.time, findings=known.findings, answers=answers, points=points,
        error_kind=error.kind if error else "", error_text=str(error) if error else "",
        error_detail=error.detail if error else "", extra=extra)


def _state(known: _Findings) -> str:
    """All three parts make a PASS; a part that is decided against it makes a FAIL."""
    right = [found.passed for found in known.findings if not found.undecided]
    right += [answer.passed for answer in known.answers or ()]
    time_state = known.time.state if known.time else PASS      # a lab may be without a clock
    if time_state == FAIL or not all(right):
        return FAIL
    undecided = any(found.undecided for found in known.findings)
    return INCONCLUSIVE if undecided or time_state == INCONCLUSIVE else PASS


def _points(lab: Lab, known: _Findings) -> Tuple[Optional[int], Optional[int], Optional[int]]:
    """Points for each part; None while it is open. Code that fails earns none for running."""
    answers = None if known.answers is None else _share(
        lab.points[2], [answer.passed for answer in known.answers])
    if known.error:
        return 0, 0, answers
    timed = {PASS: lab.points[0], FAIL: 0}.get(known.time.state) if known.time else 0
    if any(found.undecided for found in known.findings):
        return timed, None, answers
    return timed, _share(lab.points[1], [found.passed for found in known.findings]), answers


def _share(points: int, passed: Sequence[bool]) -> int:
    return points * sum(passed) // len(passed) if passed else points


@contextmanager
def _pinned(cpus: machine.Cpus) -> Iterator[None]:
    """Keeps the grader away from the processors that measure, as long as it measures."""
    before = os.sched_getaffinity(0)
    if cpus.grader is not None:
        os.sched_setaffinity(0, {cpus.grader})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
