"""Who held a lock while others waited for it: not recorded, but to be inferred.

A lock that is fought for passes from hand to hand: whoever's wait for it ended last has it, until
the next wait for it ends or the holder asks for it again. When nobody has waited for it before, the
holder is the one who woke from a sleep, a read or another wait just before the lock became free.

What is inferred counts only if nothing speaks against it: nobody may get the lock while the one who
is said to hold it sleeps.
"""
from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import dataclass, field
from typing import Dict, Iterator, List, NamedTuple, Optional, Set, Tuple

from .states import outermost, runnable
from .timeline import Timeline

LOCKS = ("lock", "rwlock (read)", "rwlock (write)")
GIVES_UP = ("condition", "join")    # waits that let go of a lock, or are not for the holder
SOON = 1_000_000            # ns from the holder's waking to the next one's
SOON_SHARE = 0.05           # or this share of the wait


class Held(NamedTuple):
    """A wait of any kind, of any thread. It ends when the thread runs again."""
    start: int
    end: int
    woken: int              # about when what was waited for came
    thread: int
    cause: str
    stack: str
    object: int


@dataclass
class Blame:
    """What holders of a lock waited for while others waited for the lock."""
    cause: str
    stack: str
    time: int = 0           # ns in which the lock was waited for, for this reason
    count: int = 0
    near: int = 0           # times that the lock changed hands soon after the holder woke
    against: int = 0        # times that the lock changed hands while the holder slept
    holders: Set[int] = field(default_factory=set)

    @property
    def believed(self) -> bool:
        """Whether what was seen fits to a holder who sleeps, and to little else."""
        return 2 * self.near >= self.count and 4 * self.against <= self.count


@dataclass
class Lock:
    """A lock with all waits for it."""
    object: int
    pid: int
    waits: List[Held]               # in the order of their ends, which is that of getting it
    total: int = 0
    contended: int = 0              # ns in which at least one thread waited
    known: int = 0                  # of that: where the holder was inferred,
    queued: int = 0                 # and waited for a processor
    most: int = 0                   # threads that waited at the same time
    threads: Set[int] = field(default_factory=set)
    stacks: Dict[str, int] = field(default_factory=dict)
    blames: List[Blame] = field(default_factory=list)       # the longest first
    holding: Dict[int, int] = field(default_factory=dict)   # known, by thread


Pieces = List[Tuple[int, int]]


def locks(timeline: Timeline) -> List[Lock]:
    """Every lock that was waited for, the one with the longest waits first."""
    by_thread = {place: list(_waits(timeline, place)) for place in range(len(timeline.threads))}
    found: Dict[Tuple[int, int], List[Held]] = {}
    for place, row in by_thread.items():
        for wait in row:
            if wait.cause in LOCKS and wait.object:
                key = timeline.threads[place].pid, wait.object
                found.setdefault(key, []).append(wait)
    out = [_lock(pid, item, waits) for (pid, item), waits in found.items()]
    out.sort(key=lambda lock: -lock.total)
    for lock in out[:8]:            # the others are no one's problem
        _blame(lock, timeline, {place: row for place, row in by_thread.items()
                                if timeline.threads[place].pid == lock.pid})
    return out


def _waits(timeline: Timeline, place: int) -> Iterator[Held]:
    slices, sched = timeline.threads[place].slices, timeline.threads[place].sched
    for wait in outermost(slices):
        detail = timeline.details[slices.detail[wait.slice]]
        item = detail.get("object", 0)
        woken = max(wait.start, wait.end - runnable(sched, wait.start, wait.end))
        yield Held(wait.start, wait.end, woken, place, timeline.strings[slices.name[wait.slice]],
                   str(detail.get("stack", "")), item if isinstance(item, int) else 0)


def _lock(pid: int, item: int, waits: List[Held]) -> Lock:
    waits.sort(key=lambda wait: wait.end)
    lock = Lock(item, pid, waits, sum(wait.woken - wait.start for wait in waits))
    for wait in waits:
        lock.threads.add(wait.thread)
        lock.stacks[wait.stack] = lock.stacks.get(wait.stack, 0) + wait.woken - wait.start
    lock.contended = sum(end - start for start, end in contended(waits))
    edges = sorted([(wait.start, 1) for wait in waits] + [(wait.woken, -1) for wait in waits])
    waiting = 0
    for _, step in edges:
        waiting += step
        lock.most = max(lock.most, waiting)
    return lock


def contended(waits: List[Held]) -> Pieces:
    """The times in which at least one of the waits went on."""
    out: Pieces = []
    for wait in sorted(waits):
        if out and wait.start <= out[-1][1]:
            out[-1] = out[-1][0], max(out[-1][1], wait.woken)
        elif wait.woken > wait.start:
            out.append((wait.start, wait.woken))
    return out


def _blame(lock: Lock, timeline: Timeline, by_thread: Dict[int, List[Held]]) -> None:
    """Finds what the holders did in the contended times."""
    found: Dict[Tuple[str, str], Blame] = {}
    pieces = contended(lock.waits)
    ends = {place: [wait.end for wait in row] for place, row in by_thread.items()}
    for holder, start, end in _holders(lock, by_thread, ends, pieces):
        known = _common(pieces, start, end)
        lock.known += known
        lock.queued += min(known, runnable(timeline.threads[holder].sched, start, end))
        lock.holding[holder] = lock.holding.get(holder, 0) + known
        row = by_thread[holder]
        for wait in row[bisect_right(ends[holder], start):]:
            if wait.start >= end:
                break
            if wait.object == lock.object or wait.cause in GIVES_UP:
                continue
            blame = found.setdefault((wait.cause, wait.stack), Blame(wait.cause, wait.stack))
            if wait.woken > end:
                blame.against += 1
            else:
                blame.time += _common(pieces, max(wait.start, start), wait.woken)
                blame.count += 1
                blame.near += end - wait.end <= max(SOON, (wait.end - wait.start) // 4)
                blame.holders.add(holder)
    lock.blames = sorted(found.values(), key=lambda blame: -blame.time)


def _common(pieces: Pieces, start: int, end: int) -> int:
    """How much of the pieces lies from start to end."""
    at = max(0, bisect_right(pieces, (start, 1 << 63)) - 1)
    total = 0
    while at < len(pieces) and pieces[at][0] < end:
        total += max(0, min(end, pieces[at][1]) - max(start, pieces[at][0]))
        at += 1
    return total


def _holders(lock: Lock, by_thread: Dict[int, List[Held]], ends: Dict[int, List[int]],
             pieces: Pieces) -> Iterator[Tuple[int, int, int]]:
    """Thread, begin and end of every time for which the holder is known."""
    starts = {thread: sorted(wait.start for wait in lock.waits if wait.thread == thread)
              for thread in lock.threads}
    for wait, after in zip(lock.waits, lock.waits[1:]):
        again = starts[wait.thread]
        at = bisect_left(again, wait.end)
        released = min(after.woken, again[at] if at < len(again) else after.woken)
        if wait.end < released:
            yield wait.thread, wait.end, released
    by_end = [wait.end for wait in lock.waits]
    for start, _ in pieces:         # who had it when the first one had to wait
        first = lock.waits[bisect_left(by_end, start + 1)]
        before = _woken(first, by_thread, ends)
        if before is not None:
            yield before.thread, before.start, max(before.end, first.woken)


def _woken(wait: Held, by_thread: Dict[int, List[Held]], ends: Dict[int, List[int]]
           ) -> Optional[Held]:
    """The wait of another thread whose end let this one end; None if it could be several."""
    soon = max(SOON, int((wait.end - wait.start) * SOON_SHARE))
    found: List[Held] = []
    for place, row in by_thread.items():
        at = bisect_left(ends[place], wait.end) - 1
        if place == wait.thread or at < 0:
            continue
        other = row[at]
        overlap = other.end - max(other.start, wait.start)      # of its sleep with our wait
        if (wait.woken - other.end <= soon and 2 * overlap >= wait.woken - wait.start
                and other.object != wait.object and other.cause not in GIVES_UP):
            found.append(other)
    return found[0] if len(found) == 1 else None
