"""Profiles of a lab's benchmarks: taken for the student, and to check a share of the time.

What is profiled is CPU time, or with `[profile] kind = leaks` in lab.ini what the program has not
given back when it ends.

A share from a profile is a sample of the truth. It is accepted within the Wilson interval of the
profile that came with the answers, or of one that the grader takes itself.
"""
from __future__ import annotations

import math
import os
import re
import subprocess
from pathlib import Path
from typing import Collection, Iterator, List, Optional, Sequence

from . import bench_spread, build, pprof, views
from .build import Recipe, Trusted
from .model import GraderError, Lab, Question, Share
from .plain import short
from .profile import Profile
from .symbolize import symbolize

SUBMITTED = "profile.pb.gz"     # beside answers.ini
OWN_TIME = "500ms"              # for each benchmark, when the grader checks a share
SECONDS = 120                   # no benchmarks take so long
ENOUGH = 100                    # samples; fewer say too little about a share
# A line of a stack in perflab's reports; inlined calls have no offset.
FRAME = re.compile(r"^ +#\d+ +0x[0-9a-f]+  (.*?)(?:\+0x[0-9a-f]+| \(inlined\))  ")
Z = 2.576                       # the interval holds the true share 99 times in 100


def kept_profile(root: Path, lab: Lab, side: str) -> Path:
    """Where the profile of slow.c or student.c is kept."""
    return build.cache_folder(root) / lab.id / f"profile-{side}.pb.gz"


def take(program: Path, target: Path, time: str = "1s") -> None:
    """Runs a program of benchmarks, each for ``time``; its CPU profile becomes ``target``."""
    draft = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        _run([str(program), "-cpuprofile", str(draft), "-benchtime", time])
        pprof.read(draft, strict=True)
        os.replace(draft, target)
    except OSError as error:
        raise GraderError(f"{target}: cannot be written: {error.strerror}; make the folder "
                          "writable, or choose another with PERFLAB_BUILD=DIR") from None
    finally:
        draft.unlink(missing_ok=True)


def leaks(program: Path, functions: Collection[str]) -> str:
    """Runs each benchmark once; what is left at the end, with the stacks up to ``functions``."""
    report = _run([str(program), "-benchtime", "1x"], PERFLAB="leakcheck=2")
    lines: List[str] = []
    stack: List[str] = []
    for line in [*report.splitlines(), ""]:
        frame = FRAME.match(line)
        if frame:
            stack.append(f"{line.split('#')[0]}{frame[1]}")
        else:
            lines += [*_up_to(stack, functions), line]
            stack = []
    return "\n".join(lines)


def _up_to(stack: List[str], functions: Collection[str]) -> List[str]:
    """The stack without the callers of the lab's functions, which are the harness."""
    last = max((at for at, line in enumerate(stack) if line.strip() in functions),
               default=len(stack))
    return stack[:last + 1]


def share(profile: Profile, function: str) -> Optional[Share]:
    """The share of the samples that were in ``function`` or below it; None when they are few."""
    types = [item.type for item in profile.sample_types]
    if "samples" not in types:
        return None
    column = types.index("samples")
    count = sum(sample.values[column] for sample in profile.samples)
    if count < ENOUGH or any(sample.values[column] < 0 for sample in profile.samples):
        return None
    found = views.shares(symbolize(profile).profile, column).get(function, (0, 0))[1]
    low, high = wilson(found, count)
    return Share(100 * found / count, 100 * low, 100 * high)


def wilson(found: int, count: int) -> "tuple[float, float]":
    """The Wilson score interval of a share of which ``found`` in ``count`` were seen."""
    share_seen, spread = found / count, Z * Z / count
    centre = share_seen + spread / 2
    reach = Z * math.sqrt(share_seen * (1 - share_seen) / count + spread / count / 4)
    return max(0.0, (centre - reach) / (1 + spread)), min(1.0, (centre + reach) / (1 + spread))


class Shares:
    """The shares that a question's answer may be near: measured only when they are asked for."""

    def __init__(self, root: Path, lab: Lab, answers: Optional[Path], trusted: Trusted,
                 recipe: Recipe) -> None:
        self.remarks: List[str] = []        # what could not be used, and why
        self._root, self._lab, self._answers = root, lab, answers
        self._trusted, self._recipe = trusted, recipe
        self._own: Optional[Profile] = None

    def __call__(self, question: Question) -> Iterator[Share]:
        """First the student's profile, then one of the grader's own. Noise: the student's run."""
        if question.measure == bench_spread.MEASURE:
            yield from bench_spread.found(self._root, self._lab, self._answers, question.bench)
            return
        for path in self._submitted():
            yield from self._from_file(path, question.function)
        try:
            self._own = self._own or self._take()
        except GraderError as error:
            self._remark(f"slow.c could not be profiled: {error}")
            return
        found = share(self._own, question.function)
        if found:
            yield found
        else:
            self._remark(f"slow.c could not be profiled: fewer than {ENOUGH} samples came; "
                         "close other programs and grade again")

    def _submitted(self) -> Sequence[Path]:
        if not self._answers:
            return ()
        folder = self._answers.parent
        own = folder.resolve() == self._lab.path.resolve()
        path = kept_profile(self._root, self._lab, "slow") if own else folder / SUBMITTED
        return (path,) if path.is_file() else ()

    def _from_file(self, path: Path, function: str) -> Iterator[Share]:
        try:
            found = share(pprof.read(path), function)
        except GraderError as error:
            self._remark(f"a profile was not used: {error}")
            return
        if found:
            yield found
        else:
            self._remark(f"a profile was not used: {path}: has fewer than {ENOUGH} samples; "
                         "run make labNN-profile again")

    def _take(self) -> Profile:
        program = build.build_bench(self._lab, self._lab.path / "slow.c", self._trusted,
                                    self._recipe)
        target = kept_profile(self._root, self._lab, "grader")
        take(program, target, OWN_TIME)
        return pprof.read(target)

    def _remark(self, words: str) -> None:
        if words not in self.remarks:
            self.remarks.append(words)


def _run(command: Sequence[str], **settings: str) -> str:
    """Runs benchmarks with perflab set so; what they say on standard error."""
    environment = {key: value for key, value in os.environ.items() if key != "PERFLAB"}
    environment.update(settings)
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, timeout=SECONDS, check=False,
                              env=environment)
    except subprocess.TimeoutExpired:
        raise GraderError(f"the benchmarks did not end in {SECONDS} s; "
                          "make labNN-bench shows which one hangs") from None
    if done.returncode:
        lines = (done.stderr or done.stdout).decode("utf-8", "replace").strip().splitlines()
        how = f"signal {-done.returncode}" if done.returncode < 0 else f"exit {done.returncode}"
        words = short((lines or ["no message"])[-1], 150)
        raise GraderError(f"the benchmarks failed ({how}): {words}; make labNN-bench shows more")
    return done.stderr.decode("utf-8", "replace")
