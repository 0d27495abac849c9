"""Runs unmodified programs with build/libperflab.so preloaded, and sums up their profiles."""
from __future__ import annotations

import os
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Dict, List, Optional, Sequence

from graders import pprof

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Ended:
    """How a program ended: its status as the shell sees it, and the CPU time that wait4 tells, of
    the children too."""
    status: int
    output: str
    errors: str
    seconds: float


def run(command: Sequence[str], folder: Path, **settings: str) -> Ended:
    """Runs a command in a folder, with these settings added to the environment."""
    environment = {**os.environ, **settings}
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(command, env=environment, cwd=folder, stdout=output,
                                   stdin=subprocess.DEVNULL, stderr=errors)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        errors.seek(0)
        return Ended(process.returncode, output.read().decode("utf-8", "replace"),
                     errors.read().decode("utf-8", "replace"), usage.ru_utime + usage.ru_stime)


class Preload:
    """The library, and a folder for the profiles of each run."""

    def __init__(self, library: Path, folder: Path) -> None:
        self.library = library
        self.folder = folder
        self.profiles = folder / "profiles"
        self.profiles.mkdir()

    def settings(self, perflab: str) -> Dict[str, str]:
        """The environment that has a program sampled."""
        return {"LD_PRELOAD": str(self.library), "PERFLAB": perflab}

    def run(self, command: Sequence[str], hz: int = 1000, perflab: Optional[str] = None) -> Ended:
        """Runs a command with the library; what it leaves is in ``profiles``."""
        wish = f"cpu={self.profiles}/cpu.pb.gz,hz={hz}" if perflab is None else perflab
        return run(command, self.folder, **self.settings(wish))

    def files(self) -> List[Path]:
        """What was left, the first process's file first."""
        return sorted(self.profiles.iterdir())

    def seconds(self) -> float:
        """The CPU time in all profiles together; each has to pass the strict reading."""
        return sum(seconds_of(path) for path in self.files())


def seconds_of(path: Path) -> float:
    """The CPU time in one profile."""
    profile = pprof.read(path, strict=True)
    return sum(sample.values[1] for sample in profile.samples) / 1e9


def functions_of(path: Path) -> List[str]:
    """The names of all functions in a profile."""
    return [function.name for function in pprof.read(path, strict=True).functions]
