"""Programs that trace, and the exporter alone."""
from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Callable

import pytest

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

import decoder  # noqa: E402  (the path has to be set first)
import ring  # noqa: E402

Export = Callable[..., decoder.Trace]
FLAGS = ["cc", "-O2", "-g", "-std=gnu11", "-I", str(ROOT)]
LIBRARIES = ["-ldl", "-pthread"]


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where programs and their files are."""
    return tmp_path_factory.mktemp("trace")


@pytest.fixture(scope="session")
def exporter(folder: Path) -> Path:
    """export.c, built."""
    program = folder / "export"
    subprocess.check_call(FLAGS + [str(HERE / "export.c"), "-o", str(program)] + LIBRARIES)
    return program


@pytest.fixture(scope="session")
def export(exporter: Path, folder: Path) -> Export:
    """A ring file as a trace that was read back."""
    def run(made: ring.Ring, from_: int = 0, to: int = 2000, *more: str) -> decoder.Trace:
        path = made.write(folder / "test.ring")
        done = subprocess.run([str(exporter), str(path), str(from_), str(to), *more],
                              stdout=subprocess.PIPE, check=True, timeout=60)
        return decoder.Trace(done.stdout)
    return run
