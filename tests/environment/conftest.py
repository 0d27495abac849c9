"""The preloaded library, and runs with and without it."""
from __future__ import annotations

import os
import resource
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Dict, List, Sequence, Tuple

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from graders import pprof  # noqa: E402  (the path has to be set first)


@dataclass(frozen=True)
class Run:
    """What a command did, and how much CPU time it and its children used."""
    status: int
    stdout: bytes
    stderr: bytes
    seconds: float


def run(command: Sequence[str], cwd: Path, **more: str) -> Run:
    """Runs a command to its end; its time is what wait4 says."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(list(command), cwd=cwd, env=dict(os.environ, **more), timeout=120,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = (after.ru_utime + after.ru_stime) - (before.ru_utime + before.ru_stime)
    return Run(done.returncode, done.stdout, done.stderr, used)


class Profiled:
    """Runs programs under the preloaded profiler, in a folder of their own."""

    def __init__(self, library: Path, folder: Path) -> None:
        self.library, self.folder = library, folder

    def run(self, command: Sequence[str], setting: str = "cpu=cpu.pb.gz,hz=1000") -> Run:
        """One run with PERFLAB set."""
        return run(command, self.folder, LD_PRELOAD=str(self.library), PERFLAB=setting)

    def profiles(self) -> List[Path]:
        """The files that were left: of the program, and of its children."""
        return sorted(self.folder.glob("cpu.pb.gz*"))

    def seconds(self) -> float:
        """The time in all of them; each is valid by the strictest rules."""
        total = 0
        for path in self.profiles():
            total += sum(s.values[1] for s in pprof.read(path, strict=True).samples)
        return total / 1e9

    def functions(self) -> Dict[str, float]:
        """Each function's share of the time, as leaf, in the program's own profile."""
        profile = pprof.read(self.folder / "cpu.pb.gz", strict=True)
        names = {f.id: f.name for f in profile.functions}
        leaf = {place.id: names[place.lines[0].function] for place in profile.locations}
        total = sum(s.values[1] for s in profile.samples) or 1
        shares: Dict[str, float] = {}
        for sample in profile.samples:
            name = leaf[sample.locations[0]]
            shares[name] = shares.get(name, 0) + sample.values[1] / total
        return shares


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """libperflab.so, as `make preload` builds it."""
    target = tmp_path_factory.mktemp("preload") / "libperflab.so"
    subprocess.check_call(["cc", "-O2", "-shared", "-fPIC", "-DPERFLAB_IMPL", "-x", "c",
                           str(ROOT / "perflab.h"), "-o", str(target), "-ldl", "-pthread"])
    return target


@pytest.fixture
def profiled(library: Path, tmp_path: Path) -> Profiled:
    return Profiled(library, tmp_path)


@pytest.fixture(scope="session")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A program that ends in the way it is told to: see ends.c."""
    target = tmp_path_factory.mktemp("ends") / "ends"
    source = Path(__file__).resolve().parent / "ends.c"
    subprocess.check_call(["cc", "-O2", "-g", str(source), "-o", str(target), "-pthread"])
    return target


