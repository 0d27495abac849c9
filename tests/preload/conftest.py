"""What the tests of this folder share."""
from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from preloaded import ROOT, Preload


@pytest.fixture(scope="session", name="library")
def fixture_library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """perflab.h as the library that `make preload` makes."""
    path = tmp_path_factory.mktemp("library") / "libperflab.so"
    subprocess.run(["gcc", "-O2", "-shared", "-fPIC", "-DPERFLAB_IMPL", "-x", "c",
                    str(ROOT / "perflab.h"), "-o", str(path), "-ldl", "-pthread"], check=True)
    return path


@pytest.fixture(name="preload")
def fixture_preload(library: Path, tmp_path: Path) -> Preload:
    """An empty folder for one test."""
    return Preload(library, tmp_path)
