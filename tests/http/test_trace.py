"""/debug/pprof/trace: the time that was asked for, as Perfetto reads it."""
from __future__ import annotations

import sys
import threading
import time
from typing import List

import pytest

from conftest import ROOT, Host, quiet

sys.path.insert(0, str(ROOT / "tests" / "trace"))

import decoder  # noqa: E402  (the path has to be set first)


def span(trace: decoder.Trace) -> float:
    """From the first thing said of any thread to the end, in seconds."""
    return (trace.events[-1].ns - trace.clocks[decoder.BOOTTIME]) / 1e9


@pytest.mark.parametrize("query, seconds", [
    ("?seconds=0.3", 0.3), ("", 1), ("?seconds=2", 2), ("?seconds=-1", 1), ("?seconds=1m", 1),
    ("?seconds=x", 1), ("?seconds=%zz", 1), ("?seconds=0", 1), ("?seconds=.", 1)])
def test_the_seconds_are_go_s(host: Host, query: str, seconds: float) -> None:
    start = time.monotonic()
    got = host.get("/debug/pprof/trace" + query)
    assert seconds <= time.monotonic() - start
    assert (got.status, got.headers["content-type"]) == (200, "application/octet-stream")
    assert got.headers["content-disposition"] == 'attachment; filename="trace"'
    trace = decoder.Trace(got.body)
    assert seconds <= span(trace) < seconds + 0.9
    assert trace.facts()["overwritten"] == 0


def test_two_at_once(host: Host) -> None:
    """Each has its own seconds."""
    spans: List[float] = []

    def take(seconds: float) -> None:
        body = host.get(f"/debug/pprof/trace?seconds={seconds}").body
        spans.append(decoder.Trace(body).events[-1].ns / 1e9)
    takers = [threading.Thread(target=take, args=(seconds,)) for seconds in (0.5, 1.5)]
    for taker in takers:
        taker.start()
    for taker in takers:
        taker.join()
    assert spans[1] - spans[0] == pytest.approx(1, abs=0.4)


def test_a_client_that_goes(host: Host) -> None:
    """The recorder is given back, and the next one is answered as ever."""
    with host.connect() as connection:
        connection.sendall(b"GET /debug/pprof/trace?seconds=600 HTTP/1.0\r\n"
                           b"Host: localhost\r\n\r\n")
        assert quiet(connection, 0.2)
    assert decoder.Trace(host.get("/debug/pprof/trace?seconds=0.2").body).events


def test_the_page_offers_it(host: Host) -> None:
    page = host.get("/debug/pprof/").text
    assert "<form action=trace>" in page and "graders trace" in page
