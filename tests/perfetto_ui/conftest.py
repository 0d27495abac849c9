"""The UI, and a folder whose traces it can open."""
from __future__ import annotations

import sys
from pathlib import Path
from typing import Iterator

import pytest

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent
# decoder.py and ring.py stand with the tests of the exporter
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tests" / "trace"), str(HERE)]
import browser as browsers  # noqa: E402
import ui as uis  # noqa: E402


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where programs and their traces are."""
    return tmp_path_factory.mktemp("perfetto")


@pytest.fixture(scope="session")
def opened(folder: Path) -> Iterator[uis.Ui]:
    """The UI, in a browser."""
    if browsers.chromium() is None:
        pytest.skip("Chromium is not here")
    perfetto = uis.Ui(folder)
    yield perfetto
    perfetto.close()


@pytest.fixture
def ui(opened: uis.Ui) -> Iterator[uis.Ui]:
    """The same; what its scripts throw fails the test."""
    opened.browser.faults.clear()
    yield opened
    assert not [fault for fault in opened.browser.faults if "exception" in fault]
