"""Makes the package ``graders`` importable, and gives the tests a build folder of their own."""
from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))


@pytest.fixture(scope="session", autouse=True)
def build_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where everything is built: one folder for all tests, so that they share the cache."""
    folder = tmp_path_factory.mktemp("build")
    patch = pytest.MonkeyPatch()
    patch.setenv("PERFLAB_BUILD", str(folder))
    return folder
