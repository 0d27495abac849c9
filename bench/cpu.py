"""How truly the CPU profile tells what a program has used, and what that costs: for bench/run.py.

The program under test prints its own CPU time; a profile that was taken of it is compared with
that. gperftools samples the same program beside it, where it is installed.
"""
from __future__ import annotations

import struct
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Dict, List, Sequence, Tuple

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from graders import pprof  # noqa: E402  (the path has to be set first)
from graders.profile import Profile  # noqa: E402

Run = Tuple[float, float, float]    # the program's seconds, the profile's, the share of hot()


def run(program: Sequence[str], environment: Dict[str, str], hz: int, preload: str) -> Run:
    """One run of the program under perflab."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "cpu.pb.gz"
        used = seconds(program, dict(environment, LD_PRELOAD=preload,
                                     PERFLAB=f"cpu={path},hz={hz}"))
        taken = pprof.read(path)
        total = sum(sample.values[1] for sample in taken.samples) / 1e9
        return used, total, share(taken, "hot")


def share(taken: Profile, function: str) -> float:
    """The part of all time in which a function is somewhere on the stack."""
    names = {f.id: f.name for f in taken.functions}
    holds = {place.id for place in taken.locations
             if any(names[line.function] == function for line in place.lines)}
    within = sum(s.values[1] for s in taken.samples if holds.intersection(s.locations))
    return within / (sum(s.values[1] for s in taken.samples) or 1)


def gperftools(program: Sequence[str], environment: Dict[str, str], hz: int,
               library: str) -> Tuple[float, float]:
    """The same under gperftools: the program's seconds and the profile's."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "cpu.prof"
        used = seconds(program, dict(environment, LD_PRELOAD=library, CPUPROFILE=str(path),
                                     CPUPROFILE_FREQUENCY=str(hz)))
        return used, legacy_samples(path.read_bytes()) / hz


def legacy_samples(data: bytes) -> int:
    """The samples in gperftools' format: words; a header of 5, then count, depth, addresses."""
    words = struct.unpack(f"<{len(data) // 8}Q", data[:len(data) // 8 * 8])
    at, total = 2 + words[1], 0
    while at + 1 < len(words) and words[at] != 0:
        total += words[at]
        at += 2 + words[at + 1]
    return total


def seconds(program: Sequence[str], environment: Dict[str, str]) -> float:
    """What the program says it has used."""
    done = subprocess.run(list(program), env=environment, stdin=subprocess.DEVNULL, check=True,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, universal_newlines=True)
    return int(done.stdout.split()[-1]) / 1e9
