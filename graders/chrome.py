"""Writes a Timeline as Chrome's JSON, which chrome://tracing, Perfetto and others read.

The form is a list of events, a line each, that stays readable when its end is cut off. Times are
in microseconds since the beginning of the trace, with three digits, so that no ns is lost.
"""
from __future__ import annotations

import json
from math import isfinite
from typing import Dict, Iterator, List, Set, Tuple

from .timeline import Detail, Slices, Thread, Timeline

INVENTED = 1 << 30              # tids of tracks that have none, and of tids that came again
CATEGORIES = ("region", "work", "blocked", "other")
POINTS = ("log", "instant", "flow", "cpu", "perflab")


def lines(timeline: Timeline) -> Iterator[str]:
    """The file, line by line."""
    before = "["
    for event in _events(timeline):
        yield before + event
        before = ",\n"
    yield "\n]\n" if before != "[" else "[]\n"


def _events(timeline: Timeline) -> Iterator[str]:
    for process in timeline.processes:
        yield _meta("process_name", process.pid, 0, process.name)
    tids = _tids(timeline.threads)
    for thread, tid in zip(timeline.threads, tids):
        yield _meta("thread_name", thread.pid, tid, thread.name)
        yield from _thread(timeline, thread, f'"pid":{thread.pid},"tid":{tid}')
    for task in timeline.tasks:
        where = f'"cat":"task","id":"{task.id:#x}","pid":{task.pid},"tid":0'
        args = _args(timeline.details[task.detail])
        yield f'{{"ph":"b","name":{_text(task.name)},{where},"ts":{_us(task.start)}{args}}}'
        yield f'{{"ph":"e","name":{_text(task.name)},{where},"ts":{_us(task.end)}}}'
    for counter in timeline.counters:
        head = f'{{"ph":"C","name":{_text(counter.name)},"pid":{counter.pid},"tid":0'
        for time, value in zip(counter.time, counter.value):
            if isfinite(value):
                yield f'{head},"ts":{_us(time)},"args":{{"value":{value!r}}}}}'
    yield from _flows(timeline, tids)


def _thread(timeline: Timeline, thread: Thread, where: str) -> Iterator[str]:
    slices, points = thread.slices, thread.points
    names = timeline.strings
    for start, duration, name, kind, detail in zip(slices.start, slices.duration, slices.name,
                                                   slices.kind, slices.detail):
        yield (f'{{"ph":"X","name":{_text(names[name])},"cat":"{CATEGORIES[kind]}",{where},'
               f'"ts":{_us(start)},"dur":{_us(duration)}{_args(timeline.details[detail])}}}')
    for time, name, kind, detail in zip(points.time, points.name, points.kind, points.detail):
        yield (f'{{"ph":"i","s":"t","name":{_text(names[name])},"cat":"{POINTS[kind]}",{where},'
               f'"ts":{_us(time)}{_args(timeline.details[detail])}}}')
    yield from _states(timeline, thread.states, where)


def _states(timeline: Timeline, states: Slices, where: str) -> Iterator[str]:
    """As asynchronous slices, since they do not nest with the regions."""
    for start, duration, name in zip(states.start, states.duration, states.name):
        head = f'"name":{_text(timeline.strings[name])},"cat":"state","id":1,{where}'
        yield f'{{"ph":"b",{head},"ts":{_us(start)}}}'
        yield f'{{"ph":"e",{head},"ts":{_us(start + duration)}}}'


def _flows(timeline: Timeline, tids: List[int]) -> Iterator[str]:
    """Arrows: a start, steps, an end."""
    left: Dict[int, int] = {}
    for flow in timeline.flows:
        left[flow.id] = left.get(flow.id, 0) + 1
    begun: Set[int] = set()
    for flow in timeline.flows:
        left[flow.id] -= 1
        thread = timeline.threads[flow.thread]
        phase = "t" if flow.id in begun and left[flow.id] else "f" if flow.id in begun else "s"
        begun.add(flow.id)
        yield (f'{{"ph":"{phase}","bp":"e","name":"flow","cat":"flow","id":"{flow.id:#x}",'
               f'"pid":{thread.pid},"tid":{tids[flow.thread]},"ts":{_us(flow.time)}}}')


def _tids(threads: List[Thread]) -> List[int]:
    """A tid for each thread, none of them twice in a process."""
    taken: Set[Tuple[int, int]] = set()
    out: List[int] = []
    for place, thread in enumerate(threads):
        tid = thread.tid
        if not tid or (thread.pid, tid) in taken:
            tid = INVENTED + place
        taken.add((thread.pid, tid))
        out.append(tid)
    return out


def _meta(kind: str, pid: int, tid: int, name: str) -> str:
    return (f'{{"ph":"M","name":"{kind}","pid":{pid},"tid":{tid},'
            f'"args":{{"name":{_text(name)}}}}}')


def _args(detail: Detail) -> str:
    """Annotations; large numbers as text, since JavaScript would round them."""
    if not detail:
        return ""
    values = {key: value if isinstance(value, str) or abs(value) < 2 ** 53 else str(value)
              for key, value in detail.items()}
    return ',"args":' + json.dumps(values, ensure_ascii=False, separators=(",", ":"))


def _text(text: str) -> str:
    """As UTF-8: Perfetto shows a \\u escape as it stands."""
    return json.dumps(text, ensure_ascii=False)


def _us(ns: int) -> str:
    """Microseconds with three digits, exactly."""
    return f"{ns // 1000}.{ns % 1000:03d}"
