"""A killed program's ring file, recovered by graders, against what the program itself would have
written of the same records; and graders' own files before the strict decoder.
"""
from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any, Dict, List, Tuple

import decoder
from conftest import ROOT
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ring import (FLOW_IN, FLOW_OUT, TASK_END, TASK_ENTER, TASK_LEAVE, Ring, Thread)

sys.path.insert(0, str(ROOT))

from graders import assemble, perfetto, perfetto_write, recover  # noqa: E402
from graders.timeline import Timeline  # noqa: E402
from graders.tracks import Trace  # noqa: E402

LAST = 1_000_001_000        # the ticks of the newest anchor in the files of ring.py
SAME = ("records", "overwritten", "lost", "dropped_ends", "unclosed", "misnested")


def ours(path: Path) -> bytes:
    """What graders makes of the file."""
    return perfetto_write.dump(recover.recover(path))


def theirs(exporter: Path, path: Path) -> bytes:
    """What the program writes."""
    return subprocess.run([str(exporter), str(path), "0", str(LAST)], stdout=subprocess.PIPE,
                          check=True, timeout=60).stdout


def seen(data: bytes) -> Dict[str, Any]:
    """All that a reader gets to know, in an order that does not depend on the file's."""
    trace = Trace()
    perfetto.load(data, trace)
    timeline = assemble.timeline(trace)
    facts = timeline.processes[0].facts
    return {
        "threads": sorted(thread_of(timeline, place) for place in range(len(timeline.threads))
                          if timeline.threads[place].end),
        "tasks": sorted((task.id, task.parent, task.name, task.start, task.end, task.closed)
                        for task in timeline.tasks),
        "counters": sorted((counter.name, list(counter.time), list(counter.value))
                           for counter in timeline.counters),
        "facts": {key: facts[key] for key in SAME}, "unix": timeline.unix}


def thread_of(timeline: Timeline, place: int) -> Tuple[Any, ...]:
    """A thread without numbers that mean something in its file only."""
    thread = timeline.threads[place]
    slices, points = thread.slices, thread.points

    def said(detail: int) -> List[Tuple[str, str]]:
        return sorted((key, str(value)) for key, value in timeline.details[detail].items())
    return (thread.tid, thread.name, thread.overwritten,
            [(timeline.strings[name], *rest, said(detail)) for name, detail, *rest in
             zip(slices.name, slices.detail, slices.start, slices.duration, slices.kind,
                 slices.depth)],
            [(timeline.strings[name], time, kind, said(detail)) for name, detail, time, kind in
             zip(points.name, points.detail, points.time, points.kind)],
            list(zip(thread.sched.start, thread.sched.duration, thread.sched.run,
                     thread.sched.wait)))


def apply(thread: Thread, ticks: int, what: str, number: int) -> None:
    """One step of a thread."""
    name = f"literal {number}" if number % 2 else f"copied {number}".encode()
    steps: Dict[str, Any] = {
        "begin": lambda: thread.begin(ticks, name), "end": lambda: thread.end(ticks),
        "instant": lambda: thread.instant(ticks, name),
        "counter": lambda: thread.counter(ticks, name, number / 4),
        "log": lambda: thread.log(ticks, name, b"text \xff" + b"x" * (1500 * number)),
        "task": lambda: thread.task(ticks, number + 1, f"task {number}".encode(), number // 2),
        "done": lambda: thread.of(ticks, TASK_END, number + 1),
        "enter": lambda: thread.of(ticks, TASK_ENTER, number + 1),
        "leave": lambda: thread.of(ticks, TASK_LEAVE, number + 1),
        "out": lambda: thread.flow(ticks, FLOW_OUT, name, number),
        "in": lambda: thread.flow(ticks, FLOW_IN, name, number),
        "wait": lambda: thread.wait(ticks, 1 + number, number * 64),
        "wake": lambda: thread.wake(ticks, 1 + number),
        "sample": lambda: thread.sample(ticks, 0, number),
        "sched": lambda: thread.sched(ticks, 1 + number % 3, 101 + number % 3, ticks, ticks // 3),
        "lost": lambda: thread.lost(ticks, number)}
    steps[what]()


WHAT = st.sampled_from(("begin", "end") * 4 + ("enter", "leave", "wait", "wake") * 2 + (
    "instant", "counter", "log", "task", "done", "out", "in", "sample", "sched", "lost"))
STEPS = st.lists(st.tuples(st.integers(0, 2), st.integers(1, 500), WHAT, st.integers(0, 9)),
                 min_size=1, max_size=80)


@given(STEPS, st.booleans())
@settings(max_examples=150, deadline=None,
          suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_recovered_is_what_would_have_been_written(
        exporter: Path, folder: Path, steps: List[Tuple[int, int, str, int]], cut: bool) -> None:
    made, ticks = Ring(), 1000
    threads = [made.thread(number + 1, name=f"t{number}".encode(), flags=2 * cut)
               for number in range(3)]
    begun: Dict[int, bool] = {}
    for place, wait, what, number in steps:
        ticks += wait
        if what == "task" and begun.setdefault(number, False):
            continue        # an id is given once
        begun[number] = begun.get(number, False) or what == "task"
        # only one thread writes the kernel's figures, and so they are in order
        apply(threads[2 if what == "sched" else place], ticks, what, number)
    path = made.write(folder / "made.ring")
    assert seen(ours(path)) == seen(theirs(exporter, path))


@given(STEPS)
@settings(max_examples=60, deadline=None,
          suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_graders_write_is_strictly_right(
        folder: Path, steps: List[Tuple[int, int, str, int]]) -> None:
    made, ticks = Ring(), 1000
    threads = [made.thread(number + 1) for number in range(3)]
    for place, wait, what, number in steps:
        ticks += wait
        apply(threads[place], ticks, what, number)
    data = ours(made.write(folder / "strict.ring"))
    trace = decoder.Trace(data)
    again = Trace()
    perfetto.load(data, again)
    assert len(trace.events) == again.events
    timeline = assemble.timeline(again)
    assert len(trace.slices()) == len(timeline.tasks) + sum(
        len(thread.slices) + len(thread.sched) for thread in timeline.threads)
