"""The page in a real browser: what a person sees and clicks."""
from __future__ import annotations

import sys
from pathlib import Path
from typing import Iterator

import pytest
from conftest import ROOT, Host

sys.path.insert(0, str(ROOT / "tests"))
import browser as browsers  # noqa: E402

PROFILES = ("allocs", "block", "goroutine", "heap", "mutex", "threadcreate")


@pytest.fixture(scope="module", name="browser")
def fixture_browser() -> Iterator[browsers.Browser]:
    if browsers.chromium() is None:
        pytest.skip("Chromium is not here")
    with browsers.Browser(1100, 900) as found:
        yield found


def visit(browser: browsers.Browser, host: Host, path: str) -> str:
    """Goes there; the text that is shown."""
    browser.send("Page.navigate", url="about:blank")
    browser.send("Page.navigate", url=f"http://127.0.0.1:{host.port}{path}")
    browser.wait("location.port !== '' && document.readyState === 'complete'")
    return browser.text("body")


def faults(browser: browsers.Browser, host: Host) -> "list[str]":
    """What went wrong, and whoever else was asked for something."""
    home = f"asked for http://127.0.0.1:{host.port}/"
    return [fault for fault in browser.faults if not fault.startswith(home)]


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1100])
def test_the_page_fits_and_asks_nobody_else(browser: browsers.Browser, host: Host, width: int,
                                            theme: str, tmp_path: Path) -> None:
    browser.faults.clear()
    browser.theme(theme)
    browser.resize(width, 900)
    shown = visit(browser, host, "/debug/pprof/")
    for name in PROFILES:
        assert name in shown
    assert browser.run("document.documentElement.scrollWidth <= innerWidth")
    picture = tmp_path / "page.png"
    browser.picture(picture)
    assert picture.stat().st_size > 5000
    assert faults(browser, host) == []


def test_a_click_shows_what_threads_do(browser: browsers.Browser, host: Host) -> None:
    browser.resize(1100, 900)
    visit(browser, host, "/debug/pprof/")
    browser.run("document.querySelector('a[href*=\"goroutine?debug=2\"]').click()")
    browser.wait("location.search === '?debug=2' && document.readyState === 'complete'")
    shown = browser.text("body")
    assert "thread " in shown and "main" in shown and "modules:" in shown
