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
from itertools import takewhile
from typing import Dict, Iterable, Iterator, List, NamedTuple, Optional, Set, Tuple

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


class _Turn(NamedTuple):
    """A time for which one thread has the lock, until another one gets it."""
    start: int
    end: int
    thread: int
    given: int              # about when it was given back


@dataclass
class Blame:
    """What holders of a lock waited for while others waited for the lock."""
    cause: str
    stack: str
    time: int = 0           # ns in which the lock was waited for, for this reason
    count: int = 0
    turns: int = 0          # how often it was the last wait before the lock changed hands,
    near: int = 0           # and how often that was soon afterwards
    against: int = 0        # times that the lock changed hands while the holder slept
    holders: Set[int] = field(default_factory=set)

    @property
    def believed(self) -> bool:
        """Whether what was seen fits to a holder who sleeps, and to little else."""
        return 2 * self.near >= self.turns > 0 and 4 * self.against <= self.count


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
    slices = timeline.threads[place].slices
    for wait in outermost(timeline.threads[place]):
        detail = timeline.details[slices.detail[wait.slice]]
        item = detail.get("object", 0)
        yield Held(wait.start, wait.end, wait.woken, place,
                   timeline.strings[slices.name[wait.slice]], str(detail.get("stack", "")),
                   item if isinstance(item, int) else 0)


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
    for turn in _turns(lock, by_thread, ends, pieces):
        known = _common(pieces, turn.start, turn.end)
        waited = runnable(timeline.threads[turn.thread].sched, turn.start, turn.end)
        lock.known += known
        lock.queued += min(known, waited)
        lock.holding[turn.thread] = lock.holding.get(turn.thread, 0) + known
        row = by_thread[turn.thread]
        inside = row[bisect_right(ends[turn.thread], turn.start):]
        _judge(found, turn, takewhile(lambda wait: wait.start < turn.end, inside), lock, pieces)
    lock.blames = sorted(found.values(), key=lambda blame: -blame.time)


def _judge(found: Dict[Tuple[str, str], Blame], turn: _Turn, waits: Iterable[Held], lock: Lock,
           pieces: Pieces) -> None:
    """Adds the holder's waits of one turn."""
    last: Optional[Held] = None
    for wait in waits:
        if wait.object == lock.object or wait.cause in GIVES_UP:
            continue
        blame = found.setdefault((wait.cause, wait.stack), Blame(wait.cause, wait.stack))
        blame.count += 1
        if wait.end > turn.end:
            blame.against += 1
            continue
        blame.time += _common(pieces, max(wait.start, turn.start), wait.woken)
        blame.holders.add(turn.thread)
        last = wait
    if last:
        blame = found[last.cause, last.stack]
        blame.turns += 1
        blame.near += turn.given - last.end <= max(SOON, (last.end - last.start) // 4)


def _common(pieces: Pieces, start: int, end: int) -> int:
    """How much of the pieces lies from start to end."""
    at = max(0, bisect_right(pieces, (start, 1 << 63)) - 1)
    total = 0
    while at < len(pieces) and pieces[at][0] < end:
        total += max(0, min(end, pieces[at][1]) - max(start, pieces[at][0]))
        at += 1
    return total


def _turns(lock: Lock, by_thread: Dict[int, List[Held]], ends: Dict[int, List[int]],
           pieces: Pieces) -> List[_Turn]:
    """Every time for which the holder is known."""
    starts = {thread: sorted(wait.start for wait in lock.waits if wait.thread == thread)
              for thread in lock.threads}
    turns: List[_Turn] = []
    for wait, after in zip(lock.waits, lock.waits[1:]):
        again = starts[wait.thread]
        at = bisect_left(again, wait.end)
        limit = again[at] if at < len(again) else after.end
        if wait.end < min(after.end, limit):
            turns.append(_Turn(wait.end, min(after.end, limit), wait.thread,
                               min(after.woken, limit)))
    by_end = [wait.end for wait in lock.waits]
    for start, _ in pieces:         # who had it when the first one had to wait
        first = lock.waits[bisect_left(by_end, start + 1)]
        before = _woken(first, by_thread, ends)
        if before is not None:
            turns.append(_Turn(before.start, first.end, before.thread, first.woken))
    return _side_by_side(turns)


def _side_by_side(turns: List[_Turn]) -> List[_Turn]:
    """The turns without overlap: of two guesses the one that began later is the better one."""
    out: List[_Turn] = []
    for turn in sorted(turns):
        if out:
            last = out.pop()
            end = min(last.end, turn.start)
            if end > last.start:
                out.append(last._replace(end=end, given=min(last.given, end)))
        out.append(turn)
    return out


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
