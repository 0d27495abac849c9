"""The program that crashes, in every build."""
from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Callable, Dict, List

import pytest

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent
BUILDS: Dict[str, List[str]] = {
    "gcc": ["gcc", "-O2", "-g"], "clang": ["clang", "-O2", "-g"], "gcc-O0": ["gcc", "-O0", "-g"],
    "no-pie": ["gcc", "-O2", "-g", "-no-pie", "-fno-pie"],
    "static": ["gcc", "-O2", "-g", "-static"],
    "musl": ["musl-gcc", "-O2", "-g"], "stripped": ["gcc", "-O2", "-s"],
    "no-hooks": ["gcc", "-O2", "-g", "-DPERFLAB_NO_INTERPOSE"],
}
Builder = Callable[[str], Path]


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Builder:
    """A program with perflab.o in it, by the name of its build."""
    done: Dict[str, Path] = {}

    def build(name: str) -> Path:
        if name not in done:
            folder = tmp_path_factory.mktemp(name)
            command = BUILDS[name]
            subprocess.run([*command, "-DPERFLAB_IMPL", "-x", "c", "-c", str(ROOT / "perflab.h"),
                            "-o", str(folder / "perflab.o")], check=True)
            subprocess.run([*command, f"-I{ROOT}", "-Wl,--build-id=sha1", str(HERE / "crash.c"),
                            str(folder / "perflab.o"), "-o", str(folder / "program"), "-ldl",
                            "-pthread"], check=True)
            done[name] = folder / "program"
        return done[name]

    return build
