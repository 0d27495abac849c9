"""What a lab does when it is compiled and graded: as shipped, solved, and with every probe.

A trial is one submission in one build. Graded in full it gets the verdict that a student gets. To
see that a lab holds with other compilers and levels, its time is left out: it has to build, its
outputs to be right, and the evidence to be as it must.
"""
from __future__ import annotations

import os
import re
import secrets
import shutil
import subprocess
import tempfile
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from random import Random
from typing import Callable, Iterator, List, Optional, Sequence, Tuple

from . import build, evidence, grade as grading, machine, probes
from .model import FAIL, INCONCLUSIVE, PASS, Lab, Result, SubmissionError
from .plain import short
from .probes import Probe
from .progress import Progress
from .rig import Rig
from .worker import Judge

WARNINGS = ("-O2", "-Wall", "-Wextra", "-Werror")
HEADER = ("-Wpedantic", "-fsyntax-only", "-include")
TRIES = 3               # a machine that is noisy for a moment says INCONCLUSIVE, never wrongly
PATIENCE = 60.0         # seconds of pairs: three times a student's, for a machine with other work
BENCH_SECONDS = 120


Found = Tuple[List[str], str]               # complaints, and a remark
Untimed = Callable[[Path], List[str]]       # the evidence that does not hold for a file


@dataclass(frozen=True)
class Recipe:
    """A compiler and a level."""
    cc: str
    optimise: str

    def __str__(self) -> str:
        return f"{self.cc} {self.optimise}"


@dataclass(frozen=True)
class Trial:
    """One thing to see, by name; ``run`` gives the complaints and a remark for the line."""
    name: str
    run: Callable[[], Found]
    alone: bool = True              # it measures time; others may run beside each other


TIMED = Recipe("gcc", "-O2")
BUILDS = (TIMED, Recipe("gcc", "-O3"), Recipe("clang", "-O2"), Recipe("clang", "-O3"))


# How much is measured. Time is what takes long.
QUICK, USUAL, EVERYTHING = "quick", "usual", "everything"


def trials(lab: Lab, root: Path, depth: str) -> Iterator[Trial]:
    """All of a lab's trials.

    USUAL has time, and wrong probes, in one build only; EVERYTHING in each of them; QUICK there too
    leaves out the time of probes, but where nothing else decides.
    """
    known = probes.read(lab)
    for recipe in BUILDS:
        if shutil.which(recipe.cc) is None:
            yield Trial(f"{recipe}", partial(_left_out, recipe.cc))
            continue
        if recipe.optimise == "-O2":
            yield Trial(f"{recipe.cc}: no warnings", partial(_warnings, lab, root, recipe.cc))
        if depth == EVERYTHING or recipe == TIMED:
            timed = [probe for probe in known if depth != QUICK or probe.fails == {"time"}]
            yield from _graded(lab, root, recipe, timed)
        if depth == QUICK and recipe == TIMED:
            yield from _built(lab, root, recipe, [one for one in known if one not in timed])
        elif depth != EVERYTHING and recipe != TIMED:
            yield from _built(lab, root, recipe, [one for one in known if not one.errors])
    yield Trial("lab.h is clean C99 and C++11", partial(_header, lab))
    yield Trial("the benchmarks run", partial(_benchmarks, lab, root))


def _graded(lab: Lab, root: Path, recipe: Recipe, known: Sequence[Probe]) -> Iterator[Trial]:
    """Gradings as students get them."""
    yield Trial(f"{recipe}: fails as shipped", partial(_shipped, lab, root, recipe))
    yield Trial(f"{recipe}: the solution passes", partial(_solution, lab, root, recipe))
    for probe in known:
        yield Trial(f"{recipe}: {probe.path.name}", partial(_probe, lab, root, recipe, probe))


def _built(lab: Lab, root: Path, recipe: Recipe, known: Sequence[Probe]) -> Iterator[Trial]:
    """Outputs and evidence alone."""
    failed = partial(_failed_untimed, lab, root, recipe)
    # The first one builds what the others share.
    yield Trial(f"{recipe}: slow.c, untimed", partial(_untimed_slow, lab, failed))
    yield Trial(f"{recipe}: the solution, untimed", partial(_untimed_solution, lab, failed), False)
    for probe in known:
        if probe.kind != "moved":      # what moves has slow.c's evidence
            yield Trial(f"{recipe}: {probe.path.name}, untimed",
                        partial(_untimed_probe, lab, failed, probe), False)


def _left_out(cc: str) -> Found:
    return [], f"left out, there is no {cc} here"


def _shipped(lab: Lab, root: Path, recipe: Recipe) -> Found:
    result = _grade(lab, root, recipe, lab.path / "student.c", lab.path / "answers.ini")
    found = _stopped(result)
    if not found and lab.clock != "none" and "time" not in probes.failed_parts(result):
        found.append(f"student.c as shipped must fail on time, and does not: {_outcome(result)}")
    if result.state != FAIL:
        found.append(f"as shipped the lab must FAIL, and is {result.state}")
    right = [answer.question.name for answer in result.answers if answer.passed]
    if right:
        found.append(f"blank answers must fail, and do not: {', '.join(right)}")
    return found, _outcome(result)


def _solution(lab: Lab, root: Path, recipe: Recipe) -> Found:
    result = _grade(lab, root, recipe, lab.solution / "student.c", lab.solution / "answers.ini")
    found = _stopped(result)
    if result.state != PASS and not found:
        parts = probes.failed_parts(result)
        wrong = [answer.text for answer in result.answers if not answer.passed]
        found.append(f"the solution must PASS, and is {result.state}: "
                     f"{'; '.join([*parts, *wrong]) or 'time is not decided'} ({_outcome(result)})")
    return found, _outcome(result)


def _probe(lab: Lab, root: Path, recipe: Recipe, probe: Probe) -> Found:
    """The C file alone decides: the questions are about slow.c, and are left out."""
    result = _grade(replace(lab, questions=()), root, recipe, probe.path, None,
                    tries=1 if INCONCLUSIVE in probe.states else TRIES)
    decided = [spec.name for spec in lab.evidence] + ["time"] * (lab.clock != "none")
    found = probes.complaints(probe, result.state, result.error_kind,
                              probes.failed_parts(result), decided)
    if not result.error_text and probe.errors:
        found.append("the reason is not said")
    return found, _outcome(result)


def _grade(lab: Lab, root: Path, recipe: Recipe, source: Path, answers: Optional[Path],
           tries: int = TRIES) -> Result:
    how = grading.Options(root, recipe.cc, recipe.optimise, time_budget=PATIENCE)
    for _ in range(tries):
        result = grading.grade(lab, grading.Submission(source, source, answers), how,
                               Progress(False))
        if result.state != INCONCLUSIVE:
            break
    return result


def _stopped(result: Result) -> List[str]:
    return [f"is stopped by {result.error_kind}: {result.error_text}"] if result.error_kind else []


def _outcome(result: Result) -> str:
    """What came out, for the line: FAIL: time growth, 2.0x."""
    if result.error_kind:
        return f"{result.state}: {result.error_kind}"
    ratio = f", {result.time.ratio:.3g}x" if result.time else ""
    parts = " ".join(probes.failed_parts(result))
    return f"{result.state}{': ' if parts else ''}{parts}{ratio}"


def _failed_untimed(lab: Lab, root: Path, recipe: Recipe, source: Path) -> List[str]:
    """The evidence that does not hold. What stops the submission is a SubmissionError."""
    built = build.recipe_for(root, recipe.cc, recipe.optimise)
    trusted = build.build_trusted(lab, built)
    student = build.build_student(lab, source, trusted, built)
    rng = Random(secrets.randbits(64))
    # Any processor will do, so that several of these can run at once.
    cpus = machine.Cpus(tuple(sorted(os.sched_getaffinity(0))), None)
    with Judge(trusted.judge) as judge:
        rig = Rig(trusted, student, judge, cpus, lab.clock, rng)
        grading.check_outputs(rig, lab, rng, Progress(False))
        return [spec.name for spec in lab.evidence if not evidence.holds(rig, spec)]


def _untimed_slow(lab: Lab, failed_by: Untimed) -> Found:
    try:
        failed = failed_by(lab.path / "slow.c")
    except SubmissionError as error:
        return [f"slow.c is stopped: {error}"], ""
    kept = [] if failed or not lab.evidence else ["slow.c has none of the evidence against it"]
    return kept, " ".join(failed)


def _untimed_solution(lab: Lab, failed_by: Untimed) -> Found:
    try:
        failed = failed_by(lab.solution / "student.c")
    except SubmissionError as error:
        return [f"the solution is stopped: {error}"], ""
    return [f"the solution must have '{name}', and has not" for name in failed], "right"


def _untimed_probe(lab: Lab, failed_by: Untimed, probe: Probe) -> Found:
    error, failed = "", []
    try:
        failed = failed_by(probe.path)
    except SubmissionError as stopped:
        error = stopped.kind
    decided = [spec.name for spec in lab.evidence]
    return probes.complaints(probe, "", error, failed, decided), " ".join([error, *failed]).strip()


def _warnings(lab: Lab, root: Path, cc: str) -> Found:
    """Every C file but the wrong probes compiles without a warning."""
    sources = [*sorted(lab.path.glob("*.c")), *sorted(lab.solution.glob("*.c"))]
    sources += [probe.path for probe in probes.read(lab) if not probe.errors]
    places = [f"-I{folder}" for folder in (lab.path, build.HEADER.parent, build.SOURCES)]
    found = []
    for path in sources:
        done = _compiler([cc, *WARNINGS, *places, "-c", str(path), "-o", os.devnull])
        if done:
            found.append(f"{path.relative_to(root)}: {done}")
    return found, f"{len(sources)} files"


def _header(lab: Lab) -> Found:
    found: List[str] = []
    for language, standard, cc in (("c", "-std=c99", "gcc"), ("c++", "-std=c++11", "g++")):
        if shutil.which(cc) is None:
            return found, f"left out: no {cc} here"
        done = _compiler([cc, "-x", language, standard, *WARNINGS, *HEADER,
                          str(lab.path / "lab.h"), os.devnull])
        if done:
            found.append(f"lab.h as {standard[5:]}: {done}")
    return found, ""


def _compiler(command: Sequence[str]) -> str:
    """Its first complaint, or ""."""
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                          stderr=subprocess.PIPE, text=True, errors="replace", check=False)
    lines = [line for line in done.stderr.splitlines() if "error" in line] or [done.stderr]
    return short(lines[0], 160) or "no message" if done.returncode else ""


def _benchmarks(lab: Lab, root: Path) -> Found:
    """Once each, on slow.c and on the solution."""
    recipe = build.recipe_for(root, TIMED.cc if shutil.which(TIMED.cc) else "", TIMED.optimise)
    trusted = build.build_trusted(lab, recipe)
    found: List[str] = []
    for path in (lab.path / "slow.c", lab.solution / "student.c"):
        program = build.build_bench(lab, path, trusted, recipe)
        status, output = _run([str(program), "-benchtime", "1x"])
        if status:
            found.append(f"with {path.relative_to(root)}: {status}: "
                         f"{short(' '.join(output.splitlines()[-2:]), 120)}")
        elif not re.search(r"^Benchmark\S*\s+\d", output, re.M):
            found.append("workload.c has no PL_BENCH entry")
    return found, ""


def _run(command: Sequence[str]) -> Tuple[str, str]:
    """How a program ended ("" when well), and what it printed."""
    with tempfile.TemporaryDirectory(prefix="perflab-") as folder:
        try:
            done = subprocess.run(command, cwd=folder, stdin=subprocess.DEVNULL, text=True,
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                  errors="replace", timeout=BENCH_SECONDS, check=False)
        except subprocess.TimeoutExpired:
            return f"no end after {BENCH_SECONDS} s", ""
    return f"exit {done.returncode}" if done.returncode else "", done.stdout
