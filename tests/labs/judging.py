"""A lab's judge, built and asked for cases: what tests of single oracles share."""
from __future__ import annotations

import struct
import subprocess
from pathlib import Path
from typing import Tuple

from labfiles import ROOT, includes


def build(lab: Path, folder: Path) -> Path:
    """The judge of a lab: it makes inputs and knows the right outputs."""
    _compile("-DPERFLAB_IMPL", "-DPERFLAB_NO_INTERPOSE", "-x", "c", "-c", ROOT / "perflab.h",
             "-o", folder / "perflab.o")
    _compile(*includes(lab), ROOT / "graders" / "judge.c", ROOT / "graders" / "buffer.c",
             lab / "workload.c", lab / "slow.c", folder / "perflab.o",
             "-o", folder / "judge", "-pthread", "-lm")
    return folder / "judge"


def make(judge: Path, seed: int, n: int) -> Tuple[bytes, bytes]:
    """The input for a seed and a size, and the output that the judge calls right."""
    done = subprocess.run([str(judge)], input=f"make {seed} {n}\n".encode(), check=True,
                          stdout=subprocess.PIPE)
    input_size, output_size = struct.unpack_from("<QQ", done.stdout)
    assert len(done.stdout) == 16 + input_size + output_size
    return done.stdout[16:16 + input_size], done.stdout[16 + input_size:]


def _compile(*arguments: object) -> None:
    subprocess.run(["gcc", "-O2", *map(str, arguments)], check=True)
