"""What the tests of this folder share."""
from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path[:0] = [str(Path(__file__).resolve().parents[2])]

pytest.register_assert_rewrite("reading")

from reading import Workshop  # noqa: E402  (the path has to be set first)


@pytest.fixture(scope="session", name="workshop")
def fixture_workshop(tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    """One folder for all tests."""
    return Workshop(tmp_path_factory.mktemp("lines"))
