"""What the tests of this folder share."""
from __future__ import annotations

import pytest

from workshop import Workshop


@pytest.fixture(scope="session", name="workshop")
def fixture_workshop(tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    """One folder for all tests."""
    return Workshop(tmp_path_factory.mktemp("pprof"))
