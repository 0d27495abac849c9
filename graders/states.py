"""What a thread was doing: the waits that the program noted, and the times that the kernel counted.

The two do not agree by themselves. A wait of the program ends when the thread runs again, so it
holds the time for which the thread waited for a processor after it was woken. The kernel knows run
and wait times exactly, as sums over intervals of some 10 ms, but not why the thread slept; and it
counts a wait for a processor when it is over, so that a long one stands in an interval that is
shorter than the wait. `spread` puts it where it was.

Sums (Times): running and runnable are the kernel's. What is left of the wall time was spent asleep;
it is shared out to the causes of the noted waits, without and then with their time for a processor,
and what these do not explain is idle. This is done over stretches of 100 ms, which lend each other
what is too much in one and missing in the next: the counts do not say when within an interval.
"""
from __future__ import annotations

from bisect import bisect_left, bisect_right
from typing import Dict, Iterator, List, NamedTuple, Optional, Tuple

from .timeline import (BLOCKED, IDLE, RUNNABLE, RUNNING, STATE_NAMES, Sched, Slices, Thread, Times,
                       Timeline)

STRETCH = 100_000_000       # ns
BLIND = 30_000_000          # ns at a thread's ends for which the kernel may not have been asked


class Wait(NamedTuple):
    """An outermost wait of a thread. It ends when the thread runs again."""
    start: int
    end: int
    woken: int              # about when what was waited for came
    slice: int


class _Stretch:
    """A part of a thread's life, and the waits in it."""

    def __init__(self, low: int, high: int, awake: int, measured: bool) -> None:
        self.low, self.high = low, high
        self.measured = measured
        self.asleep = high - low - awake
        self.causes: Dict[int, List[int]] = {}      # by name: ns until woken, ns until running

    @property
    def noted(self) -> Tuple[int, int]:
        return (sum(pair[0] for pair in self.causes.values()),
                sum(pair[1] for pair in self.causes.values()))


def settle(thread: Thread, timeline: Timeline, counted: bool) -> None:
    """Finds the thread's states and times. ``counted``: the trace has the kernel's counts."""
    if thread.tid:
        waits = list(outermost(thread))
        thread.times = times(thread, waits, timeline, counted)
        thread.states = _states(thread, waits, timeline, counted)


def outermost(thread: Thread) -> Iterator[Wait]:
    """The thread's waits that are in no other wait."""
    slices, sched = thread.slices, thread.sched
    last = -1
    for at, kind in enumerate(slices.kind):
        if kind == BLOCKED:
            start = slices.start[at]
            end = start + slices.duration[at]
            if start >= last and end > start:
                yield Wait(start, end, max(start, end - runnable(sched, start, end)), at)
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


def times(thread: Thread, waits: List[Wait], timeline: Timeline, counted: bool) -> Times:
    """Where the thread's life went."""
    stretches = list(_stretches(thread.sched, thread.start, thread.end)) if counted else \
        [_Stretch(thread.start, thread.end, 0, False)]
    _note(stretches, thread, waits)
    for one, other in zip(stretches, stretches[1:]):
        if one.measured and other.measured:
            _lend(one, other)
            _lend(other, one)
    total = Times(sum(thread.sched.run), sum(thread.sched.wait))
    for stretch in stretches:
        noted = stretch.noted[1]
        if not stretch.measured:
            total.unknown += stretch.asleep - noted
            stretch.asleep = noted
        total.idle += max(0, stretch.asleep - noted)
        for name, part in _shares(stretch):
            cause = timeline.strings[name]
            total.blocked[cause] = total.blocked.get(cause, 0) + part
    return total


def _note(stretches: List[_Stretch], thread: Thread, waits: List[Wait]) -> None:
    """Puts the waits into the stretches."""
    at = 0
    for stretch in stretches:
        low, high = stretch.low, stretch.high
        while at < len(waits) and waits[at].start < high:
            wait = waits[at]
            start = max(wait.start, low)
            pair = stretch.causes.setdefault(thread.slices.name[wait.slice], [0, 0])
            pair[0] += max(0, min(wait.woken, high) - start)
            pair[1] += max(0, min(wait.end, high) - start)
            if wait.end > high:
                break
            at += 1


def _lend(one: _Stretch, other: _Stretch) -> None:
    """Sleep that nothing explains in one stretch, and that is missing in the other."""
    part = min(one.asleep - one.noted[1], other.noted[0] - other.asleep)
    if part > 0:
        one.asleep -= part
        other.asleep += part


def _shares(stretch: _Stretch) -> Iterator[Tuple[int, int]]:
    """The sleep of a stretch by cause, with nothing lost to rounding."""
    least, most = stretch.noted
    left = min(stretch.asleep, most)
    for name, (low, high) in stretch.causes.items():
        if left <= least:
            mine = left * low // least if least else 0
        else:
            mine = low + (left - least) * (high - low) // (most - least)
        yield name, mine
        left, least, most = left - mine, least - low, most - high


def _stretches(sched: Sched, start: int, end: int) -> Iterator[_Stretch]:
    """A life in pieces.

    An interval that is not there is one in which the thread neither ran nor waited; but at the ends
    of a thread's life a short one may never have been asked for.
    """
    low = start
    first = sched.start[0] if len(sched) else end
    if 0 < first - low <= BLIND:
        yield _Stretch(low, first, 0, False)
        low = first
    high, awake = low, 0
    for at, begin in enumerate(sched.start):
        high = begin + sched.duration[at]
        awake += sched.run[at] + sched.wait[at]
        if high - low >= STRETCH:
            yield _Stretch(low, high, awake, True)
            low, awake = high, 0
    if high > low:
        yield _Stretch(low, high, awake, True)
    if end > high:
        yield _Stretch(high, end, 0, end - high > BLIND)


# for the eye --------------------------------------------------------------------------------------


def _states(thread: Thread, waits: List[Wait], timeline: Timeline, counted: bool) -> Slices:
    """The states one after the other: waits as noted, and what was most in between."""
    out = Slices()
    rows = list(_kinds(thread.sched, waits)) if counted else []
    names = {kind: timeline.strings.index(text) for kind, text in STATE_NAMES.items()
             } if counted else {}
    at, low = 0, thread.start
    for wait in [*waits, Wait(thread.end, thread.end, thread.end, -1)]:
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
