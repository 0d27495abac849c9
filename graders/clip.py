"""A part of a Timeline, as if it had been recorded from then to then."""
from __future__ import annotations

from array import array
from dataclasses import replace
from typing import Dict, List, Tuple

from . import states
from .timeline import Counter, FlowPoint, Points, Sched, Slices, Task, Thread, Timeline


def clip(timeline: Timeline, low: int, high: int) -> Timeline:
    """What happened between two moments, given in ns since the start."""
    high = min(high, timeline.duration)
    counted = any(len(thread.sched) for thread in timeline.threads)
    out = replace(timeline, start=timeline.start + low, duration=max(0, high - low),
                  unix=timeline.unix + low if timeline.unix else 0, threads=[],
                  tasks=[_task(task, low, high) for task in timeline.tasks
                         if task.start < high and task.end > low],
                  counters=[_counter(counter, low, high) for counter in timeline.counters])
    places: Dict[int, Tuple[int, List[int]]] = {}
    for place, thread in enumerate(timeline.threads):
        if thread.start <= high and thread.end >= low:
            part, kept = _thread(thread, low, high)
            places[place] = len(out.threads), kept
            out.threads.append(part)
            states.settle(part, out, counted)
    out.flows = [_flow(flow, low, places) for flow in timeline.flows
                 if low <= flow.time <= high and flow.thread in places]
    out.events = sum(2 * len(thread.slices) + len(thread.points) for thread in out.threads)
    return out


def _thread(thread: Thread, low: int, high: int) -> Tuple[Thread, List[int]]:
    """The thread's part, and which of its slices are in it."""
    slices, kept = _slices(thread.slices, low, high)
    return replace(thread, start=max(thread.start, low) - low, end=min(thread.end, high) - low,
                   slices=slices, points=_points(thread.points, low, high),
                   sched=_sched(thread.sched, low, high)), kept


def _slices(slices: Slices, low: int, high: int) -> Tuple[Slices, List[int]]:
    kept = [at for at, (start, duration) in enumerate(zip(slices.start, slices.duration))
            if start < high and start + duration > low or low <= start <= high and not duration]
    starts = array("q", (max(slices.start[at], low) for at in kept))
    ends = (min(slices.start[at] + slices.duration[at], high) for at in kept)
    return Slices(array("q", (start - low for start in starts)),
                  array("q", (end - start for start, end in zip(starts, ends))),
                  *(array(column.typecode, (column[at] for at in kept))
                    for column in (slices.name, slices.kind, slices.depth, slices.detail))), kept


def _points(points: Points, low: int, high: int) -> Points:
    kept = [at for at, time in enumerate(points.time) if low <= time <= high]
    return Points(array("q", (points.time[at] - low for at in kept)),
                  *(array(column.typecode, (column[at] for at in kept))
                    for column in (points.name, points.kind, points.detail)))


def _sched(sched: Sched, low: int, high: int) -> Sched:
    """Of an interval that is cut, its share."""
    out = Sched()
    for start, duration, run, wait in zip(sched.start, sched.duration, sched.run, sched.wait):
        begin, end = max(start, low), min(start + duration, high)
        if end > begin:
            out.start.append(begin - low)
            out.duration.append(end - begin)
            out.run.append(run * (end - begin) // duration)
            out.wait.append(wait * (end - begin) // duration)
    return out


def _task(task: Task, low: int, high: int) -> Task:
    return replace(task, start=max(task.start, low) - low, end=min(task.end, high) - low)


def _counter(counter: Counter, low: int, high: int) -> Counter:
    kept = [at for at, time in enumerate(counter.time) if low <= time <= high]
    return replace(counter, time=array("q", (counter.time[at] - low for at in kept)),
                   value=array("d", (counter.value[at] for at in kept)))


def _flow(flow: FlowPoint, low: int, places: Dict[int, Tuple[int, List[int]]]) -> FlowPoint:
    thread, kept = places[flow.thread]
    numbers = {old: new for new, old in enumerate(kept)} if flow.slice >= 0 else {}
    return FlowPoint(flow.id, flow.time - low, thread, numbers.get(flow.slice, -1))
