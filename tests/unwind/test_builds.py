"""The unwinder's unit test in builds that the runner does not make: other optimisations, static
programs, musl, and the other processor under an emulator."""
from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Dict, List, Tuple

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))
import cut  # noqa: E402  (the path has to be set first)

SOURCE = ROOT / "tests" / "unit" / "test_unwind.c"
FLAGS = ["-std=gnu11", "-g", "-fno-inline", "-fno-builtin", f"-I{ROOT / 'tests'}"]
ARM = "aarch64-linux-gnu-gcc"
QEMU = "qemu-aarch64-static"

# name -> (what runs it, compiler and flags)
BUILDS: Dict[str, Tuple[List[str], List[str]]] = {
    "gcc-O3": ([], ["gcc", "-O3", "-fomit-frame-pointer"]),
    "gcc-Os": ([], ["gcc", "-Os"]),
    "gcc-frame-pointer": ([], ["gcc", "-O2", "-fno-omit-frame-pointer"]),
    "clang-O3": ([], ["clang", "-O3", "-fomit-frame-pointer"]),
    "ibt": ([], ["gcc", "-O2", "-fcf-protection", "-Wl,-z,ibtplt,-z,lazy"]),
    "now": ([], ["gcc", "-O2", "-Wl,-z,now"]),
    "no-plt": ([], ["gcc", "-O2", "-fno-plt"]),
    "no-pie": ([], ["gcc", "-O2", "-no-pie", "-fno-pie"]),
    "static": ([], ["gcc", "-O2", "-static"]),
    "static-pie": ([], ["gcc", "-O2", "-static-pie"]),
    "musl": ([], ["musl-gcc", "-O2"]),
    "musl-static": ([], ["musl-gcc", "-O2", "-static", "-DPERFLAB_NO_INTERPOSE"]),
    "arm-O0": ([QEMU], [ARM, "-O0", "-static"]),
    "arm-O2": ([QEMU], [ARM, "-O2", "-fomit-frame-pointer", "-static"]),
    "arm-pac": ([QEMU], [ARM, "-O2", "-mbranch-protection=standard", "-static"]),
}


def failures(tap: str) -> List[str]:
    """The tests that failed, with what is said of them."""
    return [line for line in tap.splitlines() if line.startswith(("not ok", "#"))]


@pytest.mark.parametrize("name", BUILDS)
def test_build(name: str, tmp_path: Path) -> None:
    """Every walk that the unit test makes is right in this build, too."""
    prefix, compiler = BUILDS[name]
    program = tmp_path / "unwind"
    # Guesses, as musl needs them, depend on what else is in the program: there it is whole.
    header = [f"-I{ROOT}"] if "musl" in name else cut.flags("frame")
    subprocess.run([*compiler, *header, *FLAGS, str(SOURCE), "-o", str(program), "-pthread", "-lm",
                    "-ldl"], check=True, stderr=subprocess.PIPE)
    done = subprocess.run([*prefix, str(program)], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          text=True, timeout=300, check=False)
    assert done.returncode == 0, failures(done.stdout) + done.stderr.splitlines()[-5:]
