"""Makes a Timeline of a Trace: begins find their ends, threads their states, tasks their parents.

Whatever a file holds, the slices of a thread nest: an end belongs to the innermost slice that is
open, one without a begin is dropped and counted, a slice without an end lasts to the trace's end.
"""
from __future__ import annotations

import operator
from array import array
from itertools import islice
from typing import Dict, Iterator, List, Optional, Tuple

from . import states
from .timeline import (BLOCKED, FLOW, INSTANT, LOG, NO_TASK, NOTE, OTHER, REGION, SAMPLE,
                       STATE_NAMES, WORK, Counter, FlowPoint, Points, Process, Slices, Task, Thread,
                       Timeline)
from .tracks import BEGIN, COUNTED, END, PLAIN, PROCESS, THREAD, Trace, Track

SLICES = {"region": REGION, "work": WORK, "blocked": BLOCKED}
POINTS = {"log": LOG, "instant": INSTANT, "flow": FLOW, "cpu": SAMPLE, "perflab": NOTE}
COUNTED_NOTES = (
    ("overwritten", "events overwritten by newer ones", " (a larger buffer keeps more)"),
    ("lost", "events that found no room", " (a larger buffer has more)"),
    ("misnested", "regions that ended in another order than they began", ""),
    ("unclosed", "regions, waits and tasks that were still open at the end", ""),
    ("dropped_ends", "ends of regions without a begin", " (left out)"))
DEEPEST = 0xFFFF            # what the column of depths can hold


def timeline(trace: Trace) -> Timeline:
    """The trace as a model. It shares the tables of the trace."""
    return _Assembler(trace).timeline()


class _Assembler:

    def __init__(self, trace: Trace) -> None:
        self._trace = trace
        self._start = min((min(track.time) for track in trace.tracks if track.time), default=0)
        self._end = max((max(track.time) for track in trace.tracks if track.time), default=0)
        self._types = bytes(shape.type for shape in trace.shapes)
        kinds = {number: SLICES.get(text, OTHER) for number, text in enumerate(trace.strings)}
        points = {number: POINTS.get(text, INSTANT) for number, text in enumerate(trace.strings)}
        self._kinds = [kinds[shape.category] for shape in trace.shapes]
        self._points = [points[shape.category] for shape in trace.shapes]
        self._names = [shape.name for shape in trace.shapes]
        self._details = [shape.detail for shape in trace.shapes]
        self._linked = bytes(bool(shape.flows) for shape in trace.shapes)
        self._known = {(track.source, track.uuid): track for track in trace.tracks if track.pid}
        self._threads: Dict[Tuple[int, int], Thread] = {}
        self._dropped = self._unclosed = 0
        self._out = Timeline(self._start, trace.unix + self._start if trace.unix else 0,
                             self._end - self._start, trace.strings, trace.details,
                             events=trace.events)

    def timeline(self) -> Timeline:
        """All tracks; threads first, since others belong to them."""
        for track in self._trace.tracks:
            _sort(track)
            if track.kind == THREAD:
                self._thread(track)
        for track in self._trace.tracks:
            if track.kind == PROCESS:
                self._process(track)
            elif track.kind == COUNTED:
                self._counter(track)
            elif track.kind == PLAIN:
                self._plain(track)
        counted = any(len(thread.sched) for thread in self._out.threads)
        for text in STATE_NAMES.values():
            self._trace.text(text)
        self._out.threads = [thread for thread in self._out.threads
                             if thread.end or thread.slices or thread.points]
        for thread in self._out.threads:
            states.settle(thread, self._out, counted)
        self._out.threads.sort(key=lambda thread: (thread.pid, thread.tid == 0))
        self._out.tasks.sort(key=lambda task: task.start)
        self._out.flows = self._flows()
        self._out.notes = tuple(self._notes())
        return self._out

    # tracks

    def _thread(self, track: Track) -> Thread:
        thread = Thread(track.uuid, track.pid, track.tid, track.name, overwritten=track.dropped)
        if track.time:
            thread.start, thread.end = track.time[0] - self._start, track.time[-1] - self._start
        thread.slices, thread.points = self._pairs(track)
        thread.end = max(thread.end, _last(thread.slices))
        self._threads[track.source, track.uuid] = thread
        self._out.threads.append(thread)
        return thread

    def _process(self, track: Track) -> None:
        process = Process(track.pid, track.name, " ".join(track.command))
        self._out.processes.append(process)
        slices, points = self._pairs(track)
        for kind, detail in zip(points.kind, points.detail):
            if kind == NOTE:
                process.facts = self._trace.details[detail]
        process.program = str(process.facts.get("program", ""))
        if len(slices) or any(kind != NOTE for kind in points.kind):
            self._lane(track, slices, points)

    def _counter(self, track: Track) -> None:
        owner = self._owner(track)
        times = array("q", (time - self._start for time in track.time))
        self._out.counters.append(Counter(track.uuid, owner.pid if owner else 0, track.name,
                                          times[:len(track.value)], track.value))

    def _plain(self, track: Track) -> None:
        """A thread's states, a task, or a track of another producer."""
        if not track.time:
            return
        category = self._trace.strings[self._trace.shapes[track.shape[0]].category]
        slices, points = self._pairs(track)
        thread = self._threads.get((track.source, track.parent))
        if category == "sched" and thread:
            self._sched(thread, slices)
        elif category == "task":
            self._tasks(track, slices)
        else:
            self._lane(track, slices, points)

    def _lane(self, track: Track, slices: Slices, points: Points) -> None:
        """A track that is no thread, shown beside them."""
        owner = self._owner(track)
        self._out.threads.append(Thread(
            track.uuid, owner.pid if owner else track.pid, 0, track.name,
            track.time[0] - self._start, track.time[-1] - self._start, slices, points=points))

    def _owner(self, track: Track) -> Optional[Track]:
        """The process or thread that a track stands below."""
        return self._known.get((track.source, track.parent))

    def _sched(self, thread: Thread, slices: Slices) -> None:
        for start, duration, detail in zip(slices.start, slices.duration, slices.detail):
            found = self._trace.details[detail]
            run, wait = found.get("run_ns", 0), found.get("wait_ns", 0)
            if isinstance(run, int) and isinstance(wait, int) and duration > 0:
                thread.sched.start.append(start)
                thread.sched.duration.append(duration)
                thread.sched.run.append(max(0, min(run, 1 << 62)))
                thread.sched.wait.append(max(0, min(wait, 1 << 62)))
        if len(thread.sched):
            thread.sched = states.spread(thread.sched)
            first, last = thread.sched.start[0], thread.sched.start[-1] + thread.sched.duration[-1]
            seen = thread.end or len(thread.slices) or len(thread.points)
            thread.start = min(thread.start, first) if seen else first
            thread.end = max(thread.end, last)

    def _tasks(self, track: Track, slices: Slices) -> None:
        owner = self._owner(track)
        for at, start in enumerate(slices.start):
            found = self._trace.details[slices.detail[at]]
            number, parent = found.get("task", 0), found.get("parent", 0)
            self._out.tasks.append(Task(
                track.uuid, number if isinstance(number, int) else NO_TASK,
                parent if isinstance(parent, int) else NO_TASK, owner.pid if owner else 0,
                self._trace.strings[slices.name[at]], start, start + slices.duration[at],
                slices.detail[at], "repaired" not in found))

    # slices

    def _pairs(self, track: Track) -> Tuple[Slices, Points]:
        """A track's slices and points. Written for speed."""
        slices, points, stack = Slices(), Points(), []
        types, names, kinds, details = self._types, self._names, self._kinds, self._details
        begins, durations = slices.start, slices.duration
        first = self._start
        for time, shape in zip(track.time, track.shape):
            kind = types[shape]
            if kind == BEGIN:
                stack.append(len(begins))
                begins.append(time - first)
                durations.append(0)
                slices.name.append(names[shape])
                slices.kind.append(kinds[shape])
                slices.depth.append(min(len(stack) - 1, DEEPEST))
                slices.detail.append(details[shape])
            elif kind == END:
                if not stack:
                    self._dropped += 1
                    continue
                at = stack.pop()
                durations[at] = time - first - begins[at]
                if details[shape]:
                    self._more(slices, at, details[shape])
            else:
                points.time.append(time - first)
                points.name.append(names[shape])
                points.kind.append(self._points[shape])
                points.detail.append(details[shape])
        for at in stack:
            self._unclosed += 1
            durations[at] = self._end - first - begins[at]
            self._more(slices, at, self._trace.detail((("repaired", "unclosed"),)))
        return slices, points

    def _more(self, slices: Slices, at: int, detail: int) -> None:
        """What stands at the end of a slice is the slice's, too."""
        found = self._trace.details
        merged = {**found[slices.detail[at]], **found[detail]}
        slices.detail[at] = self._trace.detail(tuple(merged.items()))

    # flows

    def _flows(self) -> List[FlowPoint]:
        """The ends of all arrows."""
        numbers = {id(thread): number for number, thread in enumerate(self._out.threads)}
        out: List[FlowPoint] = []
        for track in self._trace.tracks:
            thread = self._threads.get((track.source, track.uuid))
            if thread is not None and id(thread) in numbers:
                out += self._flows_of(track, numbers[id(thread)])
        out.sort(key=lambda flow: flow.time)
        return out

    def _flows_of(self, track: Track, number: int) -> Iterator[FlowPoint]:
        linked, types, begun, stack = self._linked, self._types, 0, []
        if not any(linked[shape] for shape in set(track.shape)):
            return
        for time, shape in zip(track.time, track.shape):
            if types[shape] == BEGIN:
                stack.append(begun)
                begun += 1
            elif types[shape] == END and stack:
                stack.pop()
            if linked[shape]:
                for flow in self._trace.shapes[shape].flows:
                    yield FlowPoint(flow, time - self._start, number, stack[-1] if stack else -1)

    def _notes(self) -> Iterator[str]:
        """What was repaired, lost, or not understood."""
        yield from self._trace.notes
        for what, count in sorted(self._trace.skipped.items()):
            yield f"left out: {what}: {count:,}"
        for key, words, more in COUNTED_NOTES:
            count = sum(_whole(process.facts.get(key)) for process in self._out.processes)
            count += {"unclosed": self._unclosed, "dropped_ends": self._dropped}.get(key, 0)
            if count:
                yield f"{words}: {count:,}{more}"


def _whole(value: object) -> int:
    return value if isinstance(value, int) else 0


def _last(slices: Slices) -> int:
    return max(map(operator.add, slices.start, slices.duration), default=0)


def _sort(track: Track) -> None:
    """Events of one track may come from several writers, each in order."""
    times = track.time
    if not any(map(operator.gt, times, islice(times, 1, None))):
        return
    order = sorted(range(len(times)), key=times.__getitem__)
    track.time = array("q", (times[at] for at in order))
    track.shape = array("I", (track.shape[at] for at in order))
    if track.value:
        track.value = array("d", (track.value[at] for at in order if at < len(track.value)))
