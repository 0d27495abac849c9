"""Makes a Trace of the ring file of a killed program: what the program itself would have written.

Ends that do not fit are repaired and marked: an end closes what was begun inside ("misnested"), an
end without a begin is dropped and counted, what is open lasts to the end ("unclosed").
"""
from __future__ import annotations

import struct
from pathlib import Path
from typing import Dict, List, NamedTuple, Sequence, Tuple

from . import ring, ring_stacks
from .ring import Record, Ring, Strand
from .timeline import Value
from .tracks import (BEGIN, COUNTED, COUNTER, END, INSTANT, PLAIN, PROCESS, THREAD, Shape, Trace,
                     Track)

CAUSES = ("", "lock", "rwlock (read)", "rwlock (write)", "condition", "join", "semaphore",
          "barrier", "read", "write", "poll", "epoll", "select", "accept", "connect", "send",
          "receive", "sleep", "wait for a child")
REGION, WORK, WAIT = "region", "work", "blocked"
KIND_PROCESS, KIND_THREAD, KIND_STATE, KIND_COUNTER, KIND_TASK = range(1, 6)    # parts of a uuid
Annotations = Tuple[Tuple[str, Value], ...]
TEXT_LIMIT = 1 << 16        # of what a program copied into an event


def recover(path: Path) -> Trace:
    """The trace in the file."""
    found = Ring(path)
    strands = found.strands()
    trace = Trace()
    trace.sources = 1
    trace.unix = found.head.start_unix - found.head.start_boot
    _Recovery(trace, found, strands).run()
    trace.notes += found.notes
    if found.damaged:
        trace.skip("damaged records", found.damaged)
    return trace


class _Task(NamedTuple):
    name: str
    parent: int
    begin: int              # ticks


class _Recovery:
    """The replay of what the threads wrote."""

    def __init__(self, trace: Trace, found: Ring, strands: Sequence[Strand]) -> None:
        self.trace = trace
        self.ring = found
        self.stacks = ring_stacks.Stacks(found, _sites(strands), {
            call.pc for strand in strands for call in strand.waiting if call.pc})
        self.end = found.boot(max(found.end_ticks, found.last_anchor()))
        self.unclosed = self.misnested = self.dropped_ends = self.lost = 0
        self._strands = strands
        self._counters: Dict[str, Track] = {}
        self._tasks: Dict[int, _Task] = {}
        self._ends: Dict[int, int] = {}
        self._threads: Dict[int, Track] = {}
        self._process = self._track(KIND_PROCESS, 0, PROCESS, found.program.rpartition("/")[2])
        self._process.command = tuple(found.command.split())

    def run(self) -> None:
        """All threads; tasks first, since those who work for them may be read before them."""
        self._meet_tasks()
        threads = [_Replay(self, strand) for strand in self._strands]
        for thread in threads:
            thread.run()
        self._write_tasks()
        owners = self._states(threads)
        self._names()
        for number, track in owners.items():
            track.name = f"{self._threads[number].name} state".strip()
        self._facts()
        seen = {track.parent for track in owners.values()}
        self.trace.tracks = [track for track in self.trace.tracks
                             if track.time or track.uuid in seen]

    def thread(self, instance: int, tid: int, name: str) -> Track:
        track = self._track(KIND_THREAD, instance, THREAD, name)
        track.tid, track.parent = tid & 0x7FFFFFFF, self._process.uuid
        return track

    def _track(self, kind: int, number: int, form: int, name: str) -> Track:
        head = self.ring.head
        uuid = _mixed(head.start_unix, head.pid, kind, number)
        track = self.trace.track(uuid, 0)
        track.kind, track.name, track.pid, track.described = form, name, head.pid, True
        return track

    def add(self, track: Track, ticks: int, shape: Shape) -> None:
        """An event. What was written down late, as a wait that turned out to be long, may be before
        the last one of its track."""
        track.time.append(min(self.ring.boot(ticks), self.end))
        track.shape.append(self.trace.shape(shape))

    def shape(self, kind: int, name: str = "", category: str = "", detail: Annotations = (),
              flows: Tuple[int, ...] = ()) -> Shape:
        trace = self.trace
        return Shape(kind, trace.text(name), trace.text(category), trace.detail(detail), flows)

    def name(self, record: Record) -> str:
        """Of a literal, or copied."""
        if record.name:
            return self.ring.name(record.name)
        return record.text[:TEXT_LIMIT].decode("utf-8", "replace")

    # tasks and counters

    def _meet_tasks(self) -> None:
        """Begins and ends may be of several threads; the first end counts."""
        for strand in self._strands:
            for record in strand.records:
                if record.kind == ring.TASK_BEGIN:
                    number, parent = struct.unpack("<QQ", record.words)
                    self._tasks[number] = _Task(self.name(record), parent, record.ticks)
                elif record.kind == ring.TASK_END:
                    number = struct.unpack("<Q", record.words)[0]
                    self._ends[number] = min(record.ticks, self._ends.get(number, record.ticks))
        self.dropped_ends += len(self._ends.keys() - self._tasks.keys())

    def task_name(self, number: int) -> str:
        return self._tasks[number].name if number in self._tasks else "task"

    def _write_tasks(self) -> None:
        for number, task in self._tasks.items():
            track = self._track(KIND_TASK, number, PLAIN, task.name)
            track.parent = self._process.uuid
            detail: Annotations = (("task", number),)
            detail += (("parent", task.parent),) if task.parent else ()
            self.add(track, task.begin, self.shape(BEGIN, task.name, "task", detail))
            if number in self._ends:
                self.add(track, max(self._ends[number], task.begin), self.shape(END, "", "task"))
            else:
                self.close(track, "task", self.end)

    def close(self, track: Track, category: str, time: int) -> None:
        """What was open when its thread or the program ended."""
        self.unclosed += 1
        track.time.append(max(time, track.time[-1]))
        track.shape.append(self.trace.shape(
            self.shape(END, "", category, (("repaired", "unclosed"),))))

    def count(self, record: Record) -> None:
        name = self.name(record)
        track = self._counters.get(name)
        if track is None:
            track = self._track(KIND_COUNTER, len(self._counters) + 1, COUNTED, name)
            track.parent = self._process.uuid
            self._counters[name] = track
        track.time.append(min(self.ring.boot(record.ticks), self.end))
        track.shape.append(self.trace.shape(self.shape(COUNTER)))
        track.value.append(struct.unpack("<d", record.words)[0])

    # what the tracer's thread wrote about others

    def _states(self, threads: List["_Replay"]) -> Dict[int, Track]:
        """Intervals between two looks at a thread's counts: a track for each instance."""
        known = {thread.strand.instance: thread.track for thread in threads}
        last: Dict[int, Tuple[int, int, int]] = {}
        tracks: Dict[int, Track] = {}
        records = sorted((record for strand in self._strands for record in strand.records
                          if record.kind == ring.SCHED), key=lambda record: record.ticks)
        for record in records:
            instance, tid, run, wait = struct.unpack("<IiQQ", record.words)
            if instance not in known:
                known[instance] = self.thread(instance, tid, "")
            before, last[instance] = last.get(instance), (record.ticks, run, wait)
            if before is None or record.ticks <= before[0]:
                continue
            ran, waited = run - before[1], wait - before[2]
            if ran < 0 or waited < 0 or ran + waited == 0:
                continue
            if instance not in tracks:
                tracks[instance] = self._track(KIND_STATE, instance, PLAIN, "state")
                tracks[instance].parent = known[instance].uuid
            self._interval(tracks[instance], before[0], record.ticks, ran, waited)
        self._threads = known
        return tracks

    def _interval(self, track: Track, start: int, end: int, ran: int, waited: int) -> None:
        asleep = self.ring.boot(end) - self.ring.boot(start) - ran - waited
        most = max((ran, 2, "running"), (waited, 1, "waiting for a processor"),
                   (asleep, 0, "blocked or idle"))[2]
        self.add(track, start, self.shape(BEGIN, most, "sched",
                                          (("run_ns", ran), ("wait_ns", waited))))
        self.add(track, end, self.shape(END, "", "sched"))

    def _names(self) -> None:
        """Names that the kernel had for tids; a tid may have been used by several threads."""
        records = sorted((record for strand in self._strands for record in strand.records
                          if record.kind == ring.NAME), key=lambda record: record.ticks)
        by_tid: Dict[int, List[Tuple[int, str]]] = {}
        for record in records:
            tid = struct.unpack_from("<i", record.words)[0]
            name = record.words[4:20].partition(b"\0")[0].decode("utf-8", "replace")
            by_tid.setdefault(tid, []).append((self.ring.boot(record.ticks), name))
        users: Dict[int, List[Track]] = {}
        for track in self.trace.tracks:
            if track.kind == THREAD:
                users.setdefault(track.tid, []).append(track)
        for tid, names in by_tid.items():
            for time, name in names:
                begun = [track for track in users.get(tid, ()) if not track.time
                         or track.time[0] <= time] or users.get(tid, [])[:1]
                for track in begun[-1:]:
                    track.name = name or track.name

    def _facts(self) -> None:
        head = self.ring.head
        facts: Dict[str, Value] = {
            "records": self.ring.records, "overwritten": self.ring.overwritten,
            "lost": max(head.lost, self.lost), "dropped_ends": self.dropped_ends,
            "unclosed": self.unclosed, "misnested": self.misnested,
            "ticks_per_second": self.ring.ticks_per_second, "program": self.ring.program,
            "recovered": 1}
        if head.processors:
            facts["processors"] = head.processors
        self._process.time.append(self.end)
        self._process.shape.append(self.trace.shape(
            self.shape(INSTANT, "trace", "perflab", tuple(facts.items()))))


class _Open:
    """A slice that was begun. One that was ended early, to mend the nesting, stays as a ghost: the
    end that belongs to it ends nothing else."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.ghost = False


class _Replay:
    """One thread: its records become events that nest."""

    def __init__(self, recovery: _Recovery, strand: Strand) -> None:
        self.strand = strand
        self._all = recovery
        name = strand.name or recovery.stacks.function(strand.start)
        self.track = recovery.thread(strand.instance, strand.tid, name)
        self.track.dropped = strand.continued
        self._open: List[_Open] = []

    def run(self) -> None:
        actions = {ring.BEGIN: self._begin, ring.END: self._end, ring.INSTANT: self._instant,
                   ring.COUNTER: self._all.count, ring.LOG: self._log,
                   ring.TASK_ENTER: self._enter, ring.TASK_LEAVE: self._leave,
                   ring.FLOW_OUT: self._flow, ring.FLOW_IN: self._flow,
                   ring.WAIT_BEGIN: self._wait, ring.WAIT_END: self._wake,
                   ring.SAMPLE: self._sample, ring.LOST: self._lost, ring.THREAD_END: self._over}
        for record in self.strand.records:
            action = actions.get(record.kind)
            if action:
                action(record)
        ended = any(record.kind == ring.THREAD_END for record in self.strand.records[-1:])
        for waiting in () if ended else self.strand.waiting:
            stack = self._all.stacks.call(waiting.pc)
            detail: Annotations = (("stack", stack),) if stack else ()
            detail += (("object", waiting.object),) if waiting.object else ()
            self._put(waiting.ticks, BEGIN, _cause(waiting.cause), WAIT, detail)
            self._open.append(_Open(WAIT))
        self._close_all(self._all.end)

    def _put(self, ticks: int, kind: int, name: str = "", category: str = "",
             detail: Annotations = (), flows: Tuple[int, ...] = ()) -> None:
        self._all.add(self.track, ticks, self._all.shape(kind, name, category, detail, flows))

    def _begin(self, record: Record) -> None:
        self._open.append(_Open(REGION))
        self._put(record.ticks, BEGIN, self._all.name(record), REGION)

    def _end(self, record: Record) -> None:
        self._close(record.ticks, REGION)

    def _close(self, ticks: int, kind: str, detail: Annotations = ()) -> None:
        """Ends the innermost slice of this kind, and before it those of other kinds inside it."""
        at = next((at for at in range(len(self._open) - 1, -1, -1)
                   if self._open[at].kind == kind), -1)
        if at < 0:
            self._all.dropped_ends += 1
            return
        if not self._open[at].ghost:
            for inner in reversed(self._open[at + 1:]):
                if not inner.ghost:
                    self._all.misnested += 1
                    self._put(ticks, END, "", inner.kind, (("repaired", "misnested"),))
                inner.ghost = True
            self._put(ticks, END, "", kind, detail)
        del self._open[at]

    def _over(self, record: Record) -> None:
        """The thread ended, and with it what was open."""
        self._close_all(self._all.ring.boot(record.ticks))

    def _close_all(self, time: int) -> None:
        for item in reversed(self._open):
            if not item.ghost:
                self._all.close(self.track, item.kind, time)
        self._open = []

    def _instant(self, record: Record) -> None:
        self._put(record.ticks, INSTANT, self._all.name(record), "instant")

    def _log(self, record: Record) -> None:
        key, text = self._all.ring.name(record.name) if record.name else "", record.text
        if not record.name:
            head, _, text = record.text.partition(b"\0")
            key = head.decode("utf-8", "replace")
        self._put(record.ticks, INSTANT, key, "log",
                  (("text", text[:TEXT_LIMIT].decode("utf-8", "replace")),))

    def _enter(self, record: Record) -> None:
        number = struct.unpack("<Q", record.words)[0]
        self._open.append(_Open(WORK))
        self._put(record.ticks, BEGIN, self._all.task_name(number), WORK, (("task", number),),
                  (number,))

    def _leave(self, record: Record) -> None:
        self._close(record.ticks, WORK)

    def _flow(self, record: Record) -> None:
        self._put(record.ticks, INSTANT, self._all.name(record), "flow", (),
                  struct.unpack("<Q", record.words))

    def _wait(self, record: Record) -> None:
        item, site = struct.unpack("<QQ", record.words)
        self._open.append(_Open(WAIT))
        detail: Annotations = (("object", item),) if item else ()
        self._put(record.ticks, BEGIN, _cause(record.name), WAIT, self._stack(site) + detail)

    def _wake(self, record: Record) -> None:
        site = struct.unpack("<Q", record.words)[0]
        self._close(record.ticks, WAIT, self._stack(site))

    def _stack(self, site: int) -> Annotations:
        stack = self._all.stacks.text(site)
        return (("stack", stack),) if stack else ()

    def _sample(self, record: Record) -> None:
        site, weight = struct.unpack("<QQ", record.words)
        self._put(record.ticks, INSTANT, self._all.stacks.leaf(site), "cpu",
                  self._stack(site) + (("weight_ns", weight),))

    def _lost(self, record: Record) -> None:
        self._all.lost += struct.unpack("<Q", record.words)[0]


def _sites(strands: Sequence[Strand]) -> "set[int]":
    """The addresses of all stacks that are named."""
    at = {ring.WAIT_BEGIN: 8, ring.WAIT_END: 0, ring.SAMPLE: 0}
    return {struct.unpack_from("<Q", record.words, at[record.kind])[0] for strand in strands
            for record in strand.records if record.kind in at} - {0}


def _cause(number: int) -> str:
    return CAUSES[number] if 0 < number < len(CAUSES) else "wait"


def _mixed(*parts: int) -> int:
    """A number of 64 bits in which all parts are mixed."""
    value = 0
    for part in parts:
        value = (value ^ part) % 2 ** 64 * 0x9E3779B97F4A7C15 % 2 ** 64
        value ^= value >> 32
    return value or 1
