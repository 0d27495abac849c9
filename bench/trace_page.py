"""How fast the page of `graders trace --html` is with a million events: for bench/run.py.

The timeline and the browser are those of the tests. Drawn: from the moment when the browser
is told to open the file until the first frame with its events. A frame: one step to the side, all
of it drawn anew, with the whole trace in view or a hundredth of it.
"""
from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path
from typing import List, NamedTuple

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests"), str(ROOT / "tests" / "trace_page")]
import browser as browsers  # noqa: E402
import made  # noqa: E402
from graders import trace_page  # noqa: E402

EVENTS, ROUNDS, FRAMES = 1_000_000, 3, 60
STEPS = """(async () => {
    const begin = performance.now();
    for (let i = 0; i < %d; i++) {
        document.dispatchEvent(new KeyboardEvent('keydown', {key: i %% 20 < 10 ? 'd' : 'a'}));
        await new Promise(requestAnimationFrame);
    }
    return (performance.now() - begin) / %d;
})()"""


class Figures(NamedTuple):
    """By round, but for the size."""
    write_s: List[float]
    megabytes: float
    drawn_s: List[float]
    whole_ms: List[float]       # a frame
    part_ms: List[float]


def figures() -> Figures:
    """Writes the page, opens it and moves about."""
    timeline = made.many(EVENTS)
    found = Figures([], 0, [], [], [])
    with tempfile.TemporaryDirectory(prefix="perflab-") as folder, browsers.Browser() as browser:
        page = Path(folder) / "page.html"
        for _ in range(ROUNDS):
            begin = time.perf_counter()
            trace_page.write(timeline, page)
            found.write_s.append(time.perf_counter() - begin)
            begin = time.perf_counter()
            browser.open(page)
            found.drawn_s.append(time.perf_counter() - begin)
            browser.key("w")
            found.whole_ms.append(browser.run(STEPS % (FRAMES, FRAMES)))
            for _ in range(11):
                browser.key("w")
            found.part_ms.append(browser.run(STEPS % (FRAMES, FRAMES)))
        return found._replace(megabytes=page.stat().st_size / 1e6)
