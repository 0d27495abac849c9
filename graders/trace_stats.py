"""Sums over a Timeline: regions, tasks, waits, samples; and the stories of the longest tasks."""
from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from dataclasses import dataclass, field, replace
from math import ceil
from typing import Dict, Iterable, List, NamedTuple, Optional, Sequence, Tuple

from .states import outermost
from .timeline import BLOCKED, SAMPLE, WORK, Slices, Task, Thread, Timeline

WAIT, NO_REGION = -1, -2
Group = Tuple[str, str]     # a cause and a stack


@dataclass
class Durations:
    """How long the things of one name took, in ns."""
    name: str
    count: int = 0
    total: int = 0              # what lies in another one of the name counts once
    self: int = 0               # regions: without those inside; tasks: worked on by threads
    blocked: int = 0            # regions: waits that are in no region inside
    each: "array[int]" = field(default_factory=lambda: array("q"))      # sorted

    def at(self, share: float) -> int:
        """The duration that this share of them does not exceed."""
        if not self.each:
            return 0
        return self.each[max(0, ceil(share * len(self.each)) - 1)]

    @property
    def max(self) -> int:
        return self.each[-1] if self.each else 0


@dataclass
class Waits:
    """The waits at one place for one cause."""
    cause: str
    stack: str
    count: int = 0
    total: int = 0
    max: int = 0
    objects: Dict[int, int] = field(default_factory=dict)       # ns by what was waited for
    threads: Dict[int, int] = field(default_factory=dict)       # ns by thread
    turns: Dict[int, int] = field(default_factory=dict)         # how many by thread


class Piece(NamedTuple):
    """A stretch in which a thread works for a task."""
    thread: int
    start: int
    end: int
    slice: int


@dataclass
class Story:
    """Where a task's time went."""
    task: Task
    threads: List[int]
    regions: List[Tuple[str, int]]              # time of their own, ns
    waits: List[Tuple[str, str, int]]           # cause, stack, ns
    runnable: int
    nowhere: int                                # no thread worked for it
    running: int


# regions ------------------------------------------------------------------------------------------


def regions(timeline: Timeline, places: Optional[Iterable[int]] = None) -> List[Durations]:
    """The regions by name, that with the longest total first; of some threads only, if wanted."""
    found: Dict[int, Durations] = {}
    for place in range(len(timeline.threads)) if places is None else places:
        _regions_of(timeline.threads[place].slices, timeline, found)
    return _sorted(found.values())


def _regions_of(slices: Slices, timeline: Timeline, found: Dict[int, Durations]) -> None:
    """Adds a thread's regions. Written for speed."""
    path: List[int] = []                    # names of the open slices; WAIT, NO_REGION
    owners: List[Durations] = []            # for each of them, the innermost region's sums
    nobody = Durations("")
    for name, kind, depth, duration in zip(slices.name, slices.kind, slices.depth, slices.duration):
        del path[depth:], owners[depth:]
        owner = owners[-1] if owners else nobody
        if kind == BLOCKED:
            if not path or path[-1] != WAIT:
                owner.blocked += duration
            path.append(WAIT)
        elif kind == WORK:
            path.append(NO_REGION)
        else:
            mine = found.get(name)
            if mine is None:
                mine = found[name] = Durations(timeline.strings[name])
            mine.count += 1
            mine.self += duration
            mine.each.append(duration)
            if name not in path:
                mine.total += duration
            owner.self -= duration
            owner = mine
            path.append(name)
        owners.append(owner)


def _sorted(found: Iterable[Durations]) -> List[Durations]:
    rows = list(found)
    for row in rows:
        row.each = array("q", sorted(row.each))
    return sorted(rows, key=lambda row: (-row.total, row.name))


# tasks --------------------------------------------------------------------------------------------


def tasks(timeline: Timeline, work: Dict[Tuple[int, int], List[Piece]]) -> List[Durations]:
    """The tasks by name."""
    found: Dict[str, Durations] = {}
    for task in timeline.tasks:
        row = found.setdefault(task.name, Durations(task.name))
        row.count += 1
        row.total += task.end - task.start
        row.each.append(task.end - task.start)
        row.self += sum(piece.end - piece.start for piece in work.get((task.pid, task.id), ()))
    return _sorted(found.values())


def pieces(timeline: Timeline) -> Dict[Tuple[int, int], List[Piece]]:
    """For each task, by process and id, what threads worked for it."""
    found: Dict[Tuple[int, int], List[Piece]] = {}
    numbers = [detail.get("task", 0) for detail in timeline.details]
    for place, thread in enumerate(timeline.threads):
        slices = thread.slices
        for at, kind in enumerate(slices.kind):
            if kind == WORK:
                number = numbers[slices.detail[at]]
                row = found.setdefault((thread.pid, number if isinstance(number, int) else 0), [])
                start = slices.start[at]
                if row and row[-1].thread == place and start < row[-1].end:
                    continue        # PL_TASK inside PL_TASK of the same task
                row.append(Piece(place, start, start + slices.duration[at], at))
    return found


def stories(timeline: Timeline, work: Dict[Tuple[int, int], List[Piece]], count: int
            ) -> List[Story]:
    """The longest tasks, and what their time went to."""
    longest = sorted(timeline.tasks, key=lambda task: (task.start - task.end, task.start))[:count]
    return [_story(timeline, task, work.get((task.pid, task.id), [])) for task in longest]


def _story(timeline: Timeline, task: Task, parts: Sequence[Piece]) -> Story:
    """What the threads did while they worked for the task. The part for which they were not
    blocked is shared out as the kernel counted running and waiting in these intervals."""
    inside: Dict[int, Durations] = {}
    waits: Dict[Group, int] = {}
    running = runnable = 0
    for part in parts:
        thread = timeline.threads[part.thread]
        row = _inside(thread.slices, part.slice)
        _regions_of(row, timeline, inside)
        blocked = 0
        for wait in outermost(replace(thread, slices=row)):
            group = (timeline.strings[row.name[wait.slice]],
                     str(timeline.details[row.detail[wait.slice]].get("stack", "")))
            waits[group] = waits.get(group, 0) + wait.end - wait.start
            blocked += wait.end - wait.start
        free = max(0, part.end - part.start - blocked)
        waited = round(free * _runnable_share(thread, part.start, part.end))
        running, runnable = running + free - waited, runnable + waited
    return Story(
        task, list(dict.fromkeys(part.thread for part in parts)),
        sorted(((row.name, row.self) for row in inside.values()), key=lambda pair: -pair[1]),
        sorted(((*group, total) for group, total in waits.items()), key=lambda row: -row[2]),
        runnable, task.end - task.start - covered(parts, task.start, task.end), running)


def _inside(slices: Slices, at: int) -> Slices:
    """The slices within a slice, at depth 0 and below."""
    depth, end, stop = slices.depth[at], slices.start[at] + slices.duration[at], at + 1
    while stop < len(slices) and slices.depth[stop] > depth and slices.start[stop] <= end:
        stop += 1
    return Slices(slices.start[at + 1:stop], slices.duration[at + 1:stop], slices.name[at + 1:stop],
                  slices.kind[at + 1:stop],
                  array("H", (value - depth - 1 for value in slices.depth[at + 1:stop])),
                  slices.detail[at + 1:stop])


def _runnable_share(thread: Thread, start: int, end: int) -> float:
    """Of the time for which the thread was not asleep: the share that it waited."""
    sched = thread.sched
    first = max(0, bisect_right(sched.start, start) - 1)
    last = bisect_left(sched.start, end)
    run, wait = sum(sched.run[first:last]), sum(sched.wait[first:last])
    return wait / (run + wait) if run + wait else 0.0


def covered(parts: Sequence[Piece], low: int, high: int) -> int:
    """How much of the time from low to high at least one of the parts covers."""
    total = 0
    for start, end in sorted((part.start, part.end) for part in parts):
        start, end = max(start, low), min(end, high)
        if end > start:
            total += end - start
            low = end
    return total


# waits and samples --------------------------------------------------------------------------------


def waits(timeline: Timeline) -> List[Waits]:
    """The waits by cause and stack, the longest total first."""
    found: Dict[Tuple[int, str], Waits] = {}
    for place, thread in enumerate(timeline.threads):
        slices = thread.slices
        for wait in outermost(thread):
            detail = timeline.details[slices.detail[wait.slice]]
            cause, stack = slices.name[wait.slice], str(detail.get("stack", ""))
            row = found.get((cause, stack))
            if row is None:
                row = found[cause, stack] = Waits(timeline.strings[cause], stack)
            length = wait.end - wait.start
            row.count += 1
            row.total += length
            row.max = max(row.max, length)
            row.threads[place] = row.threads.get(place, 0) + length
            row.turns[place] = row.turns.get(place, 0) + 1
            item = detail.get("object", 0)
            if isinstance(item, int) and item:
                row.objects[item] = row.objects.get(item, 0) + length
    return sorted(found.values(), key=lambda row: (-row.total, row.stack))


def samples(timeline: Timeline) -> List[Tuple[str, int, int]]:
    """Functions in which the CPU profile found the program: name, samples, ns."""
    found: Dict[int, List[int]] = {}
    for thread in timeline.threads:
        points = thread.points
        for kind, name, detail in zip(points.kind, points.name, points.detail):
            if kind == SAMPLE:
                weight = timeline.details[detail].get("weight_ns", 0)
                row = found.setdefault(name, [0, 0])
                row[0] += 1
                row[1] += weight if isinstance(weight, int) else 0
    return sorted(((timeline.strings[name], count, weight)
                   for name, (count, weight) in found.items()), key=lambda row: (-row[2], row[0]))
