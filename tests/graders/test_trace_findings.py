"""Findings: a known cause is named, with its place; where there is none, nothing is claimed."""
from __future__ import annotations

import random
from typing import List, Tuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_traces import Made, Row

from graders import trace_stats
from graders.timeline import Timeline
from graders.trace_findings import Finding, findings, leaf
from graders.trace_locks import locks

TAKE = "pthread_mutex_lock < add_line (log.c:12) < worker (log.c:40)"
SLEEP = "usleep < flush_log (log.c:19) < flusher (log.c:30)"


def found(made: Made) -> List[Finding]:
    timeline: Timeline = made.timeline()
    return findings(timeline, trace_stats.waits(timeline))


def count(made: Made, row: Row, busy: List[Tuple[float, float]], end: float) -> None:
    """The kernel's counts of a thread that ran in these times: intervals of 10 ms."""
    spans = []
    for start in range(0, int(end), 10):
        ran = sum(max(0.0, min(high, start + 10) - max(low, start)) for low, high in busy)
        if ran:
            spans.append((start, min(start + 10, end), ran, 0))
    made.sched(row, spans)


def between(waits: List[Tuple[float, float]], end: float) -> List[Tuple[float, float]]:
    """The times without a wait."""
    out, last = [], 0.0
    for start, stop in sorted(waits):
        if start > last:
            out.append((last, start))
        last = max(last, stop)
    return out + ([(last, end)] if last < end else [])


# locks --------------------------------------------------------------------------------------------


def held_asleep(end: int = 400) -> Made:
    """A flusher sleeps 8 of 10 ms with the lock; four workers want it all the time."""
    made = Made()
    flusher = made.thread("flusher")
    naps = []
    for start in range(0, end, 10):
        flusher.slice(start, start + 8.1, "flush")
        flusher.wait(start + .01, start + 8, "sleep", SLEEP)
        flusher.wait(start + 8.2, start + 9.9, "sleep", "usleep < flusher (log.c:32)")
        naps += [(start + .01, start + 8), (start + 8.2, start + 9.9)]
    count(made, flusher, between(naps, end), end)
    for number in range(4):
        row = made.thread(f"worker-{number}")
        waits = [(start + .5, start + 8.02 + number * .05) for start in range(0, end, 10)]
        for start, stop in waits:
            row.wait(start, stop, "lock", TAKE, 0x40)
        count(made, row, between(waits, end), end)
    return made


def test_a_lock_held_across_a_sleep() -> None:
    finding, = found(held_asleep())
    assert finding.kind == "lock-held-asleep"
    assert str(finding.place) == "flush_log (log.c:19)"
    assert "flush_log (log.c:19) sleeps while up to 4 threads wait for the lock taken at " \
        "add_line (log.c:12)" in finding.text
    assert "flush_log" in finding.next


def test_it_passes_from_hand_to_hand() -> None:
    """Three threads that do nothing but sleep with the lock: each waits for the one before."""
    made, end = Made(), 300
    rows = [made.thread(f"t{number}") for number in range(3)]
    waits: List[List[Tuple[float, float]]] = [[], [], []]
    for turn in range(30):
        holder, start = turn % 3, turn * 10
        waits[holder].append((start + .1, start + 9.8))
        rows[holder].wait(start + .1, start + 9.8, "write", "write < save (db.c:5) < run (db.c:9)")
        for other in (1, 2):
            if turn + other < 30 and other == 2 or turn == 0:
                begin, stop = start + .2, (turn + other) * 10 + .05
                waits[(turn + other) % 3].append((begin, stop))
    for row, mine in zip(rows, waits):
        mine.sort()
        for start, stop in mine:
            if abs(stop - start - 9.7) > .01:
                row.wait(start, stop, "lock", "pthread_mutex_lock < run (db.c:8)", 0x80)
        count(made, row, between(mine, end), end)
    finding, = found(made)
    assert finding.kind == "lock-held-asleep" and str(finding.place) == "save (db.c:5)"
    assert "held across a write" in finding.text and "run (db.c:8)" in finding.text


def test_one_that_takes_it_again_before_others_wake() -> None:
    """A convoy: the holder sleeps with the lock three times while the others still wait."""
    made, end = Made(), 360
    one, other = made.thread("one"), made.thread("other")
    waits: List[List[Tuple[float, float]]] = [[], []]
    for start in range(0, end, 36):
        for holder, row, wanter, waiter in ((0, one, 1, other), (1, other, 0, one)):
            begin = start + 18 * holder
            for nap in (.1, 6.1, 12.1):
                row.wait(begin + nap, begin + nap + 5.8, "sleep", SLEEP)
                waits[holder].append((begin + nap, begin + nap + 5.8))
            waiter.wait(begin + .2, begin + 18, "lock", TAKE, 64)
            waits[wanter].append((begin + .2, begin + 18))
    for row, mine in ((one, waits[0]), (other, waits[1])):
        count(made, row, between(mine, end), end)
    finding, = found(made)
    assert finding.kind == "lock-held-asleep" and str(finding.place) == "flush_log (log.c:19)"


def serialised(threads: int = 8, end: int = 400) -> Made:
    """One after the other computes for 1 ms with the lock; nobody sleeps."""
    made = Made()
    for number in range(threads):
        row = made.thread("worker")
        row.add(0, 1, "update", "region")
        waits = []
        for start in range(number - threads, end - threads, threads):
            begin, stop = max(start + 1.01, 0), min(start + threads, end)
            if begin < stop:
                waits.append((begin, stop))
                row.wait(begin, stop, "lock", "pthread_mutex_lock < update (f.c:42)", 0x40)
        count(made, row, between(waits, end), end)
        row.add(end, 2, "", "region")
    return made


def test_serialised_on_a_lock() -> None:
    finding, = found(serialised())
    assert finding.kind == "serialised" and str(finding.place) == "update (f.c:42)"
    assert "8 threads, 1.1 running on average: serialised on the lock taken at update (f.c:42)" \
        in finding.text and "region 'update'" in finding.text


def test_a_sleep_outside_of_the_lock_is_not_blamed() -> None:
    """Threads that compute with the lock for 5 ms, and then sleep 10 ms without it."""
    made, end = Made(), 600
    rows = [made.thread(f"t{number}") for number in range(4)]
    free, ready = 0.0, [0.0, .3, .6, .9]
    waits: List[List[Tuple[float, float]]] = [[], [], [], []]
    while min(ready) < end - 20:
        place = ready.index(min(ready))
        got = max(ready[place], free)
        if got > ready[place]:
            rows[place].wait(ready[place], got, "lock", "pthread_mutex_lock < f (f.c:1)", 64)
            waits[place].append((ready[place], got))
        free = got + 5
        rows[place].wait(free + .01, free + 10, "sleep", "usleep < g (f.c:9)")
        waits[place].append((free + .01, free + 10))
        ready[place] = free + 10.05
    for row, mine in zip(rows, waits):
        count(made, row, between(mine, end), end)
    assert all(finding.kind != "lock-held-asleep" for finding in found(made))


def test_nobody_sleeps_with_a_lock_that_others_get_meanwhile() -> None:
    """One computes with the lock and never waits for it; the others have it shortly, then sleep."""
    made, end = Made(), 600
    made.thread("owner").slice(0, end, "compute")
    rows = [made.thread(f"t{number}") for number in range(4)]
    waits: List[List[Tuple[float, float]]] = [[], [], [], []]
    for turn in range(end // 6 - 3):
        for number in (0, 1):
            place, got = 2 * (turn % 2) + number, 6 * turn + 5 + .05 * number
            rows[place].wait(6 * turn + 1, got, "lock", TAKE, 64)
            rows[place].wait(got + .04, got + 7.8, "sleep", SLEEP)
            waits[place] += [(6 * turn + 1, got), (got + .04, got + 7.8)]
    for row, mine in zip(rows, waits):
        count(made, row, between(mine, end), end)
    assert all(finding.kind != "lock-held-asleep" for finding in found(made))


@given(st.integers(0, 10 ** 6))
@settings(max_examples=60, deadline=None)
def test_who_holds_a_lock_is_never_one_who_waits_for_it(seed: int) -> None:
    """A lock simulated in any order of arrivals: what is inferred is what was."""
    rng = random.Random(seed)
    made = Made()
    rows = [made.thread(f"t{number}") for number in range(4)]
    free, truth = 0.0, []
    ready = [rng.random() * 5 for _ in rows]
    for _ in range(60):
        place = ready.index(min(ready))
        got = max(ready[place], free)
        if got > ready[place]:
            rows[place].wait(ready[place], got, "lock", TAKE, 64)
        held = .5 + rng.random() * 3
        truth.append((got, got + held, place))
        free = got + held
        ready[place] = free + .05 + rng.random() * 6
    timeline = made.timeline()
    for lock in locks(timeline):
        for place, blamed in lock.holding.items():
            real = sum(high - low for low, high, holder in truth if holder == place)
            assert blamed <= (real + 8) * 1e6


# processors ---------------------------------------------------------------------------------------


def crowd(threads: int, run: float, **facts: int) -> Made:
    made = Made(**facts)
    for number in range(threads):
        row = made.thread(f"worker-{number}")
        row.slice(0, 500, "hash")
        made.sched(row, [(start, start + 10, run, 10 - run) for start in range(0, 500, 10)])
        row.sample(3, "hash_block (h.c:9) < worker (h.c:30)")
    return made


def test_more_workers_than_processors() -> None:
    finding, = found(crowd(64, 10 * 2 / 64, processors=2))
    assert finding.kind == "too-many-threads" and str(finding.place) == "hash_block (h.c:9)"
    assert "97 %" in finding.text and "64 threads 'worker' on 2 processors" in finding.text
    assert "64 threads 'worker' where 2.0 run on average" in found(crowd(64, 10 * 2 / 64))[0].text


def test_a_busy_machine_is_not_the_programs_fault() -> None:
    finding, = found(crowd(3, 5, processors=8))
    assert finding.kind == "busy-machine" and not finding.place.function


def test_enough_processors_is_no_finding() -> None:
    assert found(crowd(4, 9.5, processors=4)) == []


# stages -------------------------------------------------------------------------------------------


def pipeline(slow: float, fast: float, idle: bool = False) -> Made:
    """parse -> compress -> store; an item takes the middle one ``slow`` ms, the others ``fast``."""
    made, step, end = Made(), max(slow, fast), 60 * max(slow, fast)
    for name, cost in (("parse", fast), ("compress", slow), ("store", fast)):
        row = made.thread(name + "r")
        waits = []
        for item in range(60):
            row.slice(item * step, item * step + cost, name)
            if cost < step - .01 or idle:
                waits.append((item * step + cost + .001, (item + 1) * step - .001))
                row.wait(*waits[-1], "condition", "pthread_cond_wait < queue_add (s.c:31)", 0x40)
        count(made, row, between(waits, end), end)
        row.sample(1, f"{name}_item (s.c:{len(name)}) < {name}r (s.c:80)")
    return made


def test_one_slow_stage() -> None:
    finding, = found(pipeline(5, .4))
    assert finding.kind == "slow-stage" and str(finding.place) == "compress_item (s.c:8)"
    assert "one slow stage: 'compress' (thread compressr" in finding.text
    assert "is busy 100 % of the time in compress_item (s.c:8)" in finding.text
    assert "2 others wait for it 92 % of theirs" in finding.text


def test_stages_of_equal_speed_are_no_finding() -> None:
    assert found(pipeline(5, 5)) == []
    assert found(pipeline(5, 4.5)) == []


def test_workers_that_main_waits_for_are_no_stage() -> None:
    made = Made()
    main, one = made.thread("main"), made.thread("worker")
    main.wait(1, 499, "join", "pthread_join < main (m.c:3)")
    made.sched(main, [(0, 10, 1, 0)])
    main.slice(499, 500, "end")
    one.slice(0, 500, "work")
    count(made, one, [(0, 500)], 500)
    assert found(made) == []


@pytest.mark.parametrize("seed", range(10))
def test_healthy_programs_have_no_findings(seed: int) -> None:
    """Workers that compute, now and then wait for a lock shortly, or read."""
    rng = random.Random(seed)
    made, end = Made(processors=8), 500
    for number in range(rng.randint(1, 8)):
        row = made.thread(f"worker-{number}")
        time, waits = 0.0, []
        while time < end - 20:
            time += rng.uniform(2, 12)
            length = rng.uniform(.05, 1)
            cause = rng.choice(("lock", "read", "sleep"))
            row.wait(time, time + length, cause, TAKE, 0x40 * (cause == "lock"))
            waits.append((time, time + length))
            time += length
        count(made, row, between(waits, end), end)
    assert found(made) == []


def test_a_trace_that_is_too_short_says_nothing() -> None:
    assert found(held_asleep(10)) == []


def test_the_programs_own_frame_is_the_place() -> None:
    assert str(leaf(TAKE)) == "add_line (log.c:12)"
    assert str(leaf("std::mutex::lock() < run(int, char) (m.cc:3)")) == "run(int, char) (m.cc:3)"
    assert str(leaf("__pthread_cond_wait < lib.so+0x10 < main (a.c:1)")) == "main (a.c:1)"
    assert str(leaf("usleep+0x4 < pause_it+0x1c < main+0x8 < ...")) == "pause_it+0x1c"
    assert str(leaf("readers+0x4 < main+0x8")) == "readers+0x4"
    assert leaf("").function == "a place that was not recorded"
