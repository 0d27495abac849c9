"""What a trace says, as a model: threads with their regions, waits and states; tasks; counters.

    Timeline        everything, in ns since its start
      Thread        slices (regions, work for tasks, waits: they nest), states (side by side),
                    points (logs, instants, samples), lost and exact times
      Task          begin, end, parent, and what the threads did for it
      Counter       a value over time
      Flow          an arrow between points of threads

What comes in great numbers is held in columns (array.array), so that a million events need
neither minutes nor gigabytes. Strings and annotations are numbers into tables of the Timeline.
"""
from __future__ import annotations

from array import array
from dataclasses import dataclass, field
from typing import Dict, List, Tuple, Union

# Kinds of slices. Those of Thread.slices:
REGION, WORK, BLOCKED, OTHER = 0, 1, 2, 3
# and those of Thread.states, which are BLOCKED too where the cause is known:
RUNNING, RUNNABLE, IDLE = 4, 5, 6
# Kinds of points.
LOG, INSTANT, FLOW, SAMPLE, NOTE = 0, 1, 2, 3, 4

STATE_NAMES = {RUNNING: "running", RUNNABLE: "waiting for a processor", BLOCKED: "blocked",
               IDLE: "blocked or idle"}
NO_TASK = 0

Value = Union[int, float, str]
Detail = Dict[str, Value]       # annotations: stack, object, task, text, repaired, ...


@dataclass
class Slices:
    """Intervals of one track, in the order of their begin; an outer one before its inner ones."""
    start: "array[int]" = field(default_factory=lambda: array("q"))      # ns since the beginning
    duration: "array[int]" = field(default_factory=lambda: array("q"))   # ns
    name: "array[int]" = field(default_factory=lambda: array("I"))       # in Timeline.strings
    kind: "array[int]" = field(default_factory=lambda: array("B"))       # REGION, WORK, ...
    depth: "array[int]" = field(default_factory=lambda: array("H"))      # 0: the outermost
    detail: "array[int]" = field(default_factory=lambda: array("I"))     # in Timeline.details

    def __len__(self) -> int:
        return len(self.start)


@dataclass
class Points:
    """Moments on one track, in the order of time."""
    time: "array[int]" = field(default_factory=lambda: array("q"))
    name: "array[int]" = field(default_factory=lambda: array("I"))
    kind: "array[int]" = field(default_factory=lambda: array("B"))       # LOG, INSTANT, ...
    detail: "array[int]" = field(default_factory=lambda: array("I"))

    def __len__(self) -> int:
        return len(self.time)


@dataclass
class Sched:
    """What the kernel counted, by interval: exact sums, but not when within the interval."""
    start: "array[int]" = field(default_factory=lambda: array("q"))
    duration: "array[int]" = field(default_factory=lambda: array("q"))
    run: "array[int]" = field(default_factory=lambda: array("q"))        # ns on a processor
    wait: "array[int]" = field(default_factory=lambda: array("q"))       # ns waiting for one

    def __len__(self) -> int:
        return len(self.start)


@dataclass
class Times:
    """Where a thread's time went, in ns: together it is the thread's life.

    Running and runnable are the kernel's counts. A wait as the program sees it ends when the thread
    runs again, so it holds some of the runnable time: here each moment counts once.
    """
    running: int = 0
    runnable: int = 0           # it could have run, but no processor was free
    blocked: Dict[str, int] = field(default_factory=dict)       # by cause: "lock", "read", ...
    idle: int = 0               # it slept, and nobody noted why
    unknown: int = 0            # not blocked, and the kernel's counts are missing

    @property
    def life(self) -> int:
        return (self.running + self.runnable + sum(self.blocked.values()) + self.idle
                + self.unknown)


@dataclass
class Thread:
    """One thread, from its begin to its end; the kernel may use its tid again for another."""
    uuid: int
    pid: int
    tid: int
    name: str
    start: int = 0
    end: int = 0
    slices: Slices = field(default_factory=Slices)
    states: Slices = field(default_factory=Slices)      # no two at the same time; for the eye
    points: Points = field(default_factory=Points)
    sched: Sched = field(default_factory=Sched)
    times: Times = field(default_factory=Times)         # exact, for sums
    overwritten: bool = False   # what it did first is missing

    @property
    def label(self) -> str:
        """What people call it; the tid tells threads of one name apart. A track of another
        producer that is no thread has no tid."""
        return f"{self.name or 'thread'} {self.tid}" if self.tid else self.name or "track"


@dataclass
class Task:
    """A piece of work with a name, on whatever threads it was done."""
    uuid: int
    id: int
    parent: int                 # an id of the same process; NO_TASK: none
    pid: int
    name: str
    start: int
    end: int
    detail: int = 0
    closed: bool = True         # False: it still went on when the trace ended


@dataclass
class Counter:
    uuid: int
    pid: int
    name: str
    time: "array[int]" = field(default_factory=lambda: array("q"))
    value: "array[float]" = field(default_factory=lambda: array("d"))


@dataclass(frozen=True)
class FlowPoint:
    """An end of an arrow: those of one id belong together, in the order of time."""
    id: int
    time: int
    thread: int                 # in Timeline.threads
    slice: int                  # in its slices, -1: on none


@dataclass
class Process:
    pid: int
    name: str = ""
    command: str = ""
    program: str = ""           # path
    facts: Detail = field(default_factory=dict)         # records, overwritten, lost, clock, ...


@dataclass
class Timeline:
    """A trace, or several on one clock. ``start`` is in ns since boot, ``unix`` since 1970."""
    start: int = 0
    unix: int = 0
    duration: int = 0
    strings: List[str] = field(default_factory=lambda: [""])
    details: List[Detail] = field(default_factory=lambda: [{}])
    processes: List[Process] = field(default_factory=list)
    threads: List[Thread] = field(default_factory=list)
    tasks: List[Task] = field(default_factory=list)
    counters: List[Counter] = field(default_factory=list)
    flows: List[FlowPoint] = field(default_factory=list)
    events: int = 0
    notes: Tuple[str, ...] = ()         # what was repaired, lost or not understood
