"""What the tests of this folder share."""
from __future__ import annotations

import pytest

from builds import Builds


@pytest.fixture(scope="session", name="builds")
def fixture_builds(tmp_path_factory: pytest.TempPathFactory) -> Builds:
    """One folder for all tests."""
    return Builds(tmp_path_factory.mktemp("core"))
