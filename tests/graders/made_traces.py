"""Traces made by hand: threads with regions, waits and states at given times, in ms."""
from __future__ import annotations

from typing import Dict, List, Tuple

from graders import assemble, perfetto, perfetto_write
from graders.timeline import Timeline, Value
from graders.tracks import (BEGIN, COUNTED, COUNTER, END, INSTANT, PLAIN, PROCESS, THREAD, Shape,
                            Trace, Track)

MS = 1_000_000
START = 5 * 10 ** 12            # ns since boot
UNIX = 1_700_000_000 * 10 ** 9  # of the boot


class Row:
    """A track that is filled in any order; it is sorted in the end."""

    def __init__(self, made: "Made", track: Track) -> None:
        self.made = made
        self.track = track
        self.events: List[Tuple[int, int, Shape, float]] = []

    def add(self, time: float, kind: int, name: str = "", category: str = "",
            flows: Tuple[int, ...] = (), value: float = 0, **detail: Value) -> None:
        trace = self.made.trace
        shape = Shape(kind, trace.text(name), trace.text(category),
                      trace.detail(tuple(detail.items())), flows)
        self.events.append((START + round(time * MS), len(self.events), shape, value))

    def slice(self, start: float, end: float, name: str, category: str = "region",
              **detail: Value) -> None:
        self.add(start, BEGIN, name, category, **detail)
        self.add(end, END, "", category)

    def wait(self, start: float, end: float, cause: str, stack: str = "", object: int = 0) -> None:
        detail: Dict[str, Value] = {**({"stack": stack} if stack else {}),
                                    **({"object": object} if object else {})}
        self.slice(start, end, cause, "blocked", **detail)

    def sample(self, time: float, stack: str) -> None:
        self.add(time, INSTANT, stack.partition(" (")[0], "cpu", stack=stack, weight_ns=10 * MS)


class Made:
    """A trace of one process."""

    def __init__(self, pid: int = 100, command: str = "./made", **facts: Value) -> None:
        self.trace = Trace()
        self.trace.unix = UNIX
        self.trace.sources = 1
        self.pid = pid
        self.rows: List[Row] = []
        self.process = self._row(pid * 1000, PROCESS, command.rpartition("/")[2])
        self.process.track.command = (command,)
        self.facts = facts

    def _row(self, uuid: int, kind: int, name: str, parent: int = 0) -> Row:
        track = self.trace.track(uuid, 0)
        track.kind, track.name, track.pid = kind, name, self.pid
        track.parent, track.described = parent, True
        self.rows.append(Row(self, track))
        return self.rows[-1]

    def _child(self, kind: int, name: str, parent: "Row | None" = None) -> Row:
        owner = (parent or self.process).track.uuid
        row = self._row(self.pid * 1000 + len(self.rows), kind, name, owner)
        row.track.pid = self.pid if kind in (PROCESS, THREAD) else 0
        return row

    def thread(self, name: str, tid: int = 0) -> Row:
        row = self._child(THREAD, name)
        row.track.tid = tid or 200 + len(self.rows)
        return row

    def sched(self, thread: Row, spans: List[Tuple[float, float, float, float]]) -> None:
        """What the kernel counted: begin, end, run and wait of intervals, in ms."""
        row = self._child(PLAIN, "state", thread)
        for start, end, run, wait in spans:
            row.slice(start, end, "running", "sched", run_ns=round(run * MS),
                      wait_ns=round(wait * MS))

    def task(self, number: int, name: str, start: float, end: float, parent: int = 0) -> None:
        more = {"parent": parent} if parent else {}
        self._child(PLAIN, name).slice(start, end, name, "task", task=number, **more)

    def counter(self, name: str, values: List[Tuple[float, float]]) -> None:
        row = self._child(COUNTED, name)
        for time, value in values:
            row.add(time, COUNTER, value=value)

    def done(self) -> Trace:
        """The trace; what has the same time stays in the order in which it was added."""
        if self.facts:
            end = max((event[0] for row in self.rows for event in row.events), default=START)
            self.process.add((end - START) / MS, INSTANT, "trace", "perflab", **self.facts)
            self.facts = {}
        for row in self.rows:
            row.events.sort(key=lambda event: event[:2])
            for time, _, shape, value in row.events:
                row.track.time.append(time)
                row.track.shape.append(self.trace.shape(shape))
                if shape.type == COUNTER:
                    row.track.value.append(value)
            row.events = []
        return self.trace

    def bytes(self) -> bytes:
        return perfetto_write.dump(self.done())

    def timeline(self) -> Timeline:
        """Through the file's form, as a user gets it."""
        return load(self.bytes())


def load(*files: bytes) -> Timeline:
    trace = Trace()
    for number, data in enumerate(files):
        perfetto.load(data, trace, f"file{number}")
    return assemble.timeline(trace)
