"""tests/unit/test_stacks.c in more builds than unit tests have: other stacks, the same answers."""
from __future__ import annotations

import subprocess
from pathlib import Path
from typing import List

import pytest

ROOT = Path(__file__).resolve().parents[2]
BUILDS = {
    "musl": ["musl-gcc", "-O2"], "musl-O0": ["musl-gcc", "-O0"],
    "frame-pointers": ["gcc", "-O2", "-fno-omit-frame-pointer"],
    "no-pie": ["clang", "-O2", "-no-pie", "-fno-pie"],
    "static": ["gcc", "-O2", "-static", "-DPERFLAB_NO_SYNC"],
    "no-hooks": ["gcc", "-O2", "-DPERFLAB_NO_INTERPOSE"],
}


@pytest.mark.parametrize("command", BUILDS.values(), ids=list(BUILDS))
def test_stacks_of_all_threads(command: List[str], tmp_path: Path) -> None:
    program = str(tmp_path / "stacks")
    subprocess.run([*command, "-std=gnu11", "-g", "-w", "-DSTACKS_FEW", f"-I{ROOT}",
                    f"-I{ROOT / 'tests'}",
                    str(ROOT / "tests/unit/test_stacks.c"), "-o", program, "-pthread", "-ldl"],
                   check=True)
    done = subprocess.run([program], stdout=subprocess.PIPE, text=True, timeout=120)
    assert "not ok" not in done.stdout and done.returncode == 0, done.stdout
    assert done.stdout.count("\nok ") > 45
