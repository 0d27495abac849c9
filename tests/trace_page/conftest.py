"""A browser for all tests of this folder, and pages of timelines."""
from __future__ import annotations

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests"), str(Path(__file__).resolve().parent)]
import browser as browsers  # noqa: E402
import made  # noqa: E402
from graders import trace_page  # noqa: E402


@pytest.fixture(scope="session")
def chromium():
    if browsers.chromium() is None:
        pytest.skip("Chromium is not here")
    with browsers.Browser() as found:
        yield found


@pytest.fixture
def browser(chromium):
    """The browser; a fault in a page's scripts, or a request to the network, fails the test."""
    chromium.faults.clear()
    chromium.resize(1280, 800)
    chromium.theme("light")
    yield chromium
    assert chromium.faults == []


@pytest.fixture(scope="session")
def page(tmp_path_factory):
    """Writes the page of a timeline."""
    folder = tmp_path_factory.mktemp("pages")

    def write(timeline, name="trace", findings=()):
        target = folder / f"{name}.html"
        trace_page.write(timeline, target, f"{name}.pftrace", findings)
        return target
    return write


@pytest.fixture(scope="session")
def server():
    return made.server()


@pytest.fixture(scope="session")
def server_page(page, server):
    return page(server, "server")
