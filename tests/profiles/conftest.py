"""Makes the package ``graders`` and the helpers of its tests importable, and Go's own profiles."""
from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS.parent), str(TESTS), str(TESTS / "graders"), str(TESTS / "fresh")]

import deps  # noqa: E402  (the path has to be set first)


@pytest.fixture(scope="session")
def go_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the profiles of two runs of make_profiles.go."""
    folder = tmp_path_factory.mktemp("profiles")
    program = folder / "make_profiles"
    source = Path(__file__).resolve().parent / "make_profiles.go"
    subprocess.run([str(deps.find_program("go")), "build", "-o", str(program), str(source)],
                   check=True, cwd=folder)
    for name in ("cpu-1", "cpu-2"):
        subprocess.run([str(program), name], check=True, cwd=folder)
    return folder
