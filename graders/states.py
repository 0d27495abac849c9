"""What a thread was doing: the waits that the program noted, and the times that the kernel counted.

The two do not agree by themselves. A wait of the program ends when the thread runs again, so it
holds the time for which the thread waited for a processor after it was woken. The kernel knows run
and wait times exactly, as sums over intervals of some 10 ms, but not why the thread slept; and it
counts a wait for a processor when it is over, so that a long one stands in an interval that is
shorter than the wait. `spread` puts it where it was.

Sums (Times): running and runnable are the kernel's. What is left of the wall time was spent asleep;
it is shared out to the causes of the noted waits, and what these do not explain is idle. This is
done over stretches of 100 ms, since neither side knows what happened when within an interval.
"""
from __future__ import annotations

from bisect import bisect_left, bisect_right
from typing import Dict, Iterator, List, NamedTuple, Optional, Tuple

from .timeline import (BLOCKED, IDLE, RUNNABLE, RUNNING, STATE_NAMES, Sched, Slices, Thread, Times,
                       Timeline)

STRETCH = 100_000_000       # ns
BLIND = 30_000_000          # ns at a thread's ends for which the kernel may not have been asked


class Wait(NamedTuple):
    """An outermost wait of a thread."""
    start: int
    end: int
    slice: int


def settle(thread: Thread, timeline: Timeline, counted: bool) -> None:
    """Finds the thread's states and times. ``counted``: the trace has the kernel's counts."""
    if thread.tid:
        waits = list(outermost(thread.slices))
        thread.times = times(thread, waits, timeline, counted)
        thread.states = _states(thread, waits, timeline, counted)


def outermost(slices: Slices) -> Iterator[Wait]:
    """The waits that are in no other wait."""
    last = -1
    for at, kind in enumerate(slices.kind):
        if kind == BLOCKED:
            start = slices.start[at]
            end = start + slices.duration[at]
            if start >= last and end > start:
                yield Wait(start, end, at)
                last = end


def spread(sched: Sched) -> Sched:
    """The counts with no interval that holds more than its time: what is too much was before it."""
    rows: List[Tuple[int, int, int, int]] = []
    late, last = 0, None    # type: Tuple[int, Optional[int]]
    for at in range(len(sched) - 1, -1, -1):
        start, end = sched.start[at], sched.start[at] + sched.duration[at]
        if late and last is not None and end < last:
            part = min(late, last - end)
            rows.append((last - part, part, 0, part))
            late -= part
        run = min(sched.run[at], end - start)
        waited = sched.wait[at] + late
        wait = min(waited, end - start - run)
        late, last = waited - wait, start
        rows.append((start, end - start, run, wait))
    out = Sched()
    for row in reversed(rows):
        for column, value in zip((out.start, out.duration, out.run, out.wait), row):
            column.append(value)
    return out


def times(thread: Thread, waits: List[Wait], timeline: Timeline, counted: bool) -> Times:
    """Where the thread's life went."""
    total = Times()
    stretches = _stretches(thread.sched, thread.start, thread.end) if counted else \
        iter([(thread.start, thread.end, 0, 0, False)])
    at = 0
    for low, high, run, wait, measured in stretches:
        causes: Dict[str, int] = {}
        while at < len(waits) and waits[at].start < high:
            name = timeline.strings[thread.slices.name[waits[at].slice]]
            part = min(waits[at].end, high) - max(waits[at].start, low)
            causes[name] = causes.get(name, 0) + max(part, 0)
            if waits[at].end > high:
                break
            at += 1
        _add(total, causes, high - low, run, wait, measured)
    return total


def runnable(sched: Sched, start: int, end: int) -> int:
    """About how long a thread waited for a processor from start to end, most of which it did not
    run. (The counts do not say when within an interval.)"""
    total = 0
    for at in range(max(0, bisect_right(sched.start, start) - 1), bisect_left(sched.start, end)):
        low, length = sched.start[at], sched.duration[at]
        part = max(0, min(end, low + length) - max(start, low))
        total += min(sched.wait[at], part) if 2 * part >= length else \
            sched.wait[at] * part // length
    return total


def _add(total: Times, causes: Dict[str, int], length: int, run: int, wait: int, measured: bool
         ) -> None:
    """Adds a stretch."""
    noted = asleep = sum(causes.values())
    if measured:
        total.running += run
        total.runnable += wait
        asleep = length - run - wait
        total.idle += max(asleep - noted, 0)
    else:
        total.unknown += length - noted
    left, shared = min(asleep, noted), noted
    for cause, part in causes.items():      # so that nothing is lost to rounding
        mine = left * part // shared if shared else 0
        total.blocked[cause] = total.blocked.get(cause, 0) + mine
        left, shared = left - mine, shared - part


def _stretches(sched: Sched, start: int, end: int) -> Iterator[Tuple[int, int, int, int, bool]]:
    """A life in pieces: begin, end, run, wait, whether the kernel was asked.

    An interval that is not there is one in which the thread neither ran nor waited; but at the ends
    of a thread's life a short one may never have been asked for.
    """
    low = start
    first = sched.start[0] if len(sched) else end
    if 0 < first - low <= BLIND:
        yield low, first, 0, 0, False
        low = first
    high, run, wait = low, 0, 0
    for at, begin in enumerate(sched.start):
        high = begin + sched.duration[at]
        run += sched.run[at]
        wait += sched.wait[at]
        if high - low >= STRETCH:
            yield low, high, run, wait, True
            low, run, wait = high, 0, 0
    if high > low:
        yield low, high, run, wait, True
    if end > high:
        yield high, end, 0, 0, end - high > BLIND


# for the eye --------------------------------------------------------------------------------------


def _states(thread: Thread, waits: List[Wait], timeline: Timeline, counted: bool) -> Slices:
    """The states one after the other: waits as noted, and what was most in between."""
    out = Slices()
    rows = list(_kinds(thread.sched, waits)) if counted else []
    names = {kind: timeline.strings.index(text) for kind, text in STATE_NAMES.items()
             } if counted else {}
    at, low = 0, thread.start
    for wait in [*waits, Wait(thread.end, thread.end, -1)]:
        while counted and low < wait.start:
            while at < len(rows) and rows[at][1] <= low:
                at += 1
            begin, end, kind = rows[at] if at < len(rows) else (wait.start, wait.start, IDLE)
            high, kind = (min(begin, wait.start), IDLE) if low < begin else \
                (min(end, wait.start), kind)
            _put(out, low, high, kind, names[kind], 0)
            low = high
        if wait.slice >= 0:
            _put(out, wait.start, wait.end, BLOCKED, thread.slices.name[wait.slice],
                 thread.slices.detail[wait.slice])
            low = wait.end
    return out


def _kinds(sched: Sched, waits: List[Wait]) -> Iterator[Tuple[int, int, int]]:
    """Begin, end and state of each interval, where no wait was noted."""
    at = 0
    for begin, length, run, wait in zip(sched.start, sched.duration, sched.run, sched.wait):
        noted, end = 0, begin + length
        while at < len(waits) and waits[at].start < end:
            noted += max(0, min(waits[at].end, end) - max(waits[at].start, begin))
            if waits[at].end > end:
                break
            at += 1
        idle = length - noted - run - wait
        yield begin, end, (IDLE if idle > max(run, wait) else RUNNING if run >= wait else RUNNABLE)


def _put(out: Slices, start: int, end: int, kind: int, name: int, detail: int) -> None:
    """Adds a state, or makes the last one longer."""
    if end <= start:
        return
    if kind != BLOCKED and len(out) and out.kind[-1] == kind and \
            out.start[-1] + out.duration[-1] == start:
        out.duration[-1] += end - start
        return
    out.start.append(start)
    out.duration.append(end - start)
    out.kind.append(kind)
    out.name.append(name)
    out.depth.append(0)
    out.detail.append(detail)
