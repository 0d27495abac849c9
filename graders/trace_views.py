"""A trace as text and as JSON: findings, threads, regions, tasks, waits.

    life     from the first to the last event of a thread
    total    of a region or task; one inside another of its name counts once
    self     without the regions inside; blocked: the part of it in which the thread waited
    p50 ...  the duration that half (90 %, 99 %) of them do not exceed
"""
from __future__ import annotations

import time
from dataclasses import dataclass
from math import isfinite
from textwrap import wrap
from typing import Dict, Iterator, List, Sequence, Tuple

from . import trace_findings, trace_stats
from .plain import printable, short
from .timeline import STATE_NAMES, RUNNABLE, Counter, Thread, Timeline, Times
from .trace_findings import Finding
from .trace_stats import Durations, Story, Waits
from .units import label

FORMAT, VERSION = "perflab-trace", 1
ROWS, TASKS = 20, 5             # of a table, unless told otherwise; longest tasks told of
WIDTH = 100
STACK = 6                       # frames of a stack that are shown
BOLD, DIM, PLAIN = "1", "2", ""
TABLES = ("threads", "regions", "tasks", "waits")
HEAD = "   count      total       self    blocked        p50        p90        p99        max  "


@dataclass(frozen=True)
class Report:
    """All that is said about a trace."""
    files: Tuple[str, ...]
    timeline: Timeline
    regions: Tuple[Durations, ...]
    tasks: Tuple[Durations, ...]
    stories: Tuple[Story, ...]
    waits: Tuple[Waits, ...]
    samples: Tuple[Tuple[str, int, int], ...]
    findings: Tuple[Finding, ...]


def report(timeline: Timeline, files: Sequence[str], longest: int = TASKS) -> Report:
    """Adds everything up."""
    work = trace_stats.pieces(timeline)
    waits = trace_stats.waits(timeline)
    return Report(tuple(files), timeline, tuple(trace_stats.regions(timeline)),
                  tuple(trace_stats.tasks(timeline, work)),
                  tuple(trace_stats.stories(timeline, work, longest)), tuple(waits),
                  tuple(trace_stats.samples(timeline)),
                  tuple(trace_findings.findings(timeline, waits)))


# text ---------------------------------------------------------------------------------------------


def text(found: Report, tables: Sequence[str], rows: int = ROWS, colour: bool = False) -> str:
    """The report for a person; ``tables`` says which parts of it, none: all."""
    lines = list(_header(found))
    if not tables:
        lines += _findings(found.findings, colour)
    wanted = tables or TABLES
    if "threads" in wanted:
        lines += _threads(found.timeline, rows, colour)
    if "regions" in wanted:
        lines += _durations("regions", found.regions, rows, colour)
    if "waits" in wanted:
        lines += _waits(found.waits, rows, colour)
    if "tasks" in wanted:
        lines += _durations("tasks", found.tasks, rows, colour)
        lines += _stories(found, colour)
    if not tables:
        lines += _samples(found.samples, rows, colour)
    return "\n".join(line.rstrip() for line in lines) + "\n"


def _header(found: Report) -> Iterator[str]:
    timeline = found.timeline
    for file in found.files:
        yield f"File: {printable(file)}"
    for process in timeline.processes[:ROWS]:
        words = process.command or process.program or process.name or "?"
        yield f"Program: {short(words, 80)} (process {process.pid})"
    if timeline.unix:
        yield "Time: " + _date(timeline.unix)
    threads = sum(1 for thread in timeline.threads if thread.tid)
    yield (f"Duration: {label(timeline.duration, 'ns')}, {_plural(threads, 'thread')}, "
           f"{_plural(timeline.events, 'event')}")
    for note in timeline.notes:
        yield f"Note: {printable(note)}"


def _findings(findings: Sequence[Finding], colour: bool) -> Iterator[str]:
    yield ""
    if not findings:
        yield "Findings: nothing stands out; the tables below say where the time went"
        return
    yield _paint("Findings", BOLD, colour)
    for number, finding in enumerate(findings, 1):
        first, *more = wrap(printable(finding.text), WIDTH - 5)
        yield f"  {number}. " + _paint(first, BOLD, colour)
        for line in more:
            yield "     " + _paint(line, BOLD, colour)
        for line in wrap(printable("Next: " + finding.next), WIDTH - 5):
            yield "     " + line


def _threads(timeline: Timeline, rows: int, colour: bool) -> Iterator[str]:
    those = sorted((thread for thread in timeline.threads if thread.tid),
                   key=lambda thread: (-thread.times.life, thread.tid))
    if not those:
        return
    yield ""
    yield _paint("Threads    life  running  waiting  blocked     idle  unknown  blocked on",
                 BOLD, colour)
    for thread in those[:rows]:
        yield _thread(thread, colour)
    yield from _more(len(those) - rows, "thread")
    total = sum(thread.times.running for thread in those)
    ready = total + sum(thread.times.runnable for thread in those)
    if timeline.duration and ready:
        yield (f"  On average {total / timeline.duration:.2f} threads ran and "
               f"{(ready - total) / timeline.duration:.2f} waited for a processor")


def _thread(thread: Thread, colour: bool) -> str:
    times = thread.times
    shares = (times.running, times.runnable, sum(times.blocked.values()), times.idle, times.unknown)
    causes = sorted(times.blocked.items(), key=lambda item: -item[1])
    words = ", ".join(f"{cause} {_percent(length, times.life).strip()}"
                      for cause, length in causes[:3] if length)
    cells = " ".join(f"{_percent(share, times.life):>8}" for share in shares)
    name = short(thread.label, 30) + " (its beginning is lost)" * thread.overwritten
    line = f"  {label(times.life, 'ns'):>13} {cells}  {name}"
    return _paint(line, PLAIN if times.running else DIM, colour) + (f": {words}" if words else "")


def _durations(kind: str, found: Sequence[Durations], rows: int, colour: bool) -> Iterator[str]:
    if not found:
        return
    yield ""
    head = HEAD if kind == "regions" else HEAD.replace("   self    blocked", " worked           ")
    yield _paint(head + kind, BOLD, colour)
    for row in found[:rows]:
        values = [row.total, row.self, row.blocked, row.at(.5), row.at(.9), row.at(.99), row.max]
        cells = [label(value, "ns") for value in values]
        if kind == "tasks":
            cells[2] = ""
        yield f"{row.count:>8} " + " ".join(f"{cell:>10}" for cell in cells) + \
            "  " + short(row.name, 60)
    yield from _more(len(found) - rows, kind[:-1])


def _waits(found: Sequence[Waits], rows: int, colour: bool) -> Iterator[str]:
    if not found:
        return
    yield ""
    yield _paint("   count      total        max  waits", BOLD, colour)
    for row in found[:rows]:
        yield (f"{row.count:>8} {label(row.total, 'ns'):>10} {label(row.max, 'ns'):>10}  "
               f"{row.cause}  {_stack(row.stack)}")
    yield from _more(len(found) - rows, "place")


def _stories(found: Report, colour: bool) -> Iterator[str]:
    if not found.stories:
        return
    yield ""
    yield _paint("Longest tasks", BOLD, colour)
    for story in found.stories:
        yield from _story(found.timeline, story)


def _story(timeline: Timeline, story: Story) -> Iterator[str]:
    task = story.task
    open_ = "" if task.closed else ", still open at the end"
    on = ", ".join(short(timeline.threads[place].label, 30) for place in story.threads[:4])
    on += f" and {len(story.threads) - 4} more" if len(story.threads) > 4 else ""
    yield (f"  {label(task.end - task.start, 'ns'):>10}  {short(task.name, 40)} {task.id}, "
           f"from {label(task.start, 'ns')}{open_}" + (f", on {on}" if on else ""))
    parts = [("not blocked", story.running), (STATE_NAMES[RUNNABLE], story.runnable),
             ("on no thread", story.nowhere)]
    yield "              " + ", ".join(f"{words} {label(value, 'ns')}" for words, value in parts
                                       if value > 0)
    for cause, stack, length in story.waits[:3]:
        yield f"              {cause} {label(length, 'ns')}  {_stack(stack, 3)}"
    own = [f"{short(name, 30)} {label(length, 'ns')}" for name, length in story.regions[:4]]
    if own:
        yield "              regions: " + ", ".join(own)


def _samples(found: Sequence[Tuple[str, int, int]], rows: int, colour: bool) -> Iterator[str]:
    if not found:
        return
    yield ""
    yield _paint("   count       time  CPU samples", BOLD, colour)
    for name, count, weight in found[:rows]:
        yield f"{count:>8} {label(weight, 'ns'):>10}  {short(name, 60)}"
    yield from _more(len(found) - rows, "function")


def _stack(stack: str, count: int = STACK) -> str:
    found = [str(place) for place in trace_findings.frames(stack)]
    return printable(" < ".join(found[:count])) + " < ..." * (len(found) > count)


def _more(count: int, word: str) -> Iterator[str]:
    if count > 0:
        yield f"  ... and {_plural(count, word)} more: --top shows more rows"


def _plural(count: int, word: str) -> str:
    return f"{count:,} {word}{'s' * (count != 1)}"


def _percent(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f} %" if whole > 0 else "-"


def _date(nanos: int) -> str:
    try:
        return time.strftime("%Y-%m-%d %H:%M:%S %Z", time.localtime(nanos // 10 ** 9))
    except (OverflowError, ValueError, OSError):
        return f"{nanos} ns"


def _paint(words: str, style: str, colour: bool) -> str:
    return f"\x1b[{style}m{words}\x1b[0m" if colour and style and words else words


# JSON ---------------------------------------------------------------------------------------------


def as_json(found: Report) -> Dict[str, object]:
    """The report for programs. All times are in ns. Fields may be added; a version changes when
    one is taken away or means something else."""
    timeline = found.timeline
    return {
        "format": FORMAT, "version": VERSION, "files": list(found.files),
        "start_unix_ns": timeline.unix, "start_boot_ns": timeline.start,
        "duration_ns": timeline.duration, "events": timeline.events, "notes": list(timeline.notes),
        "processes": [{"pid": item.pid, "name": item.name, "command": item.command,
                       "facts": item.facts} for item in timeline.processes],
        "findings": [{"kind": item.kind, "text": item.text, "function": item.place.function,
                      "line": item.place.line, "next": item.next, "share": round(item.share, 4)}
                     for item in found.findings],
        "threads": [_thread_json(thread) for thread in timeline.threads],
        "regions": [_durations_json(row, "self", "blocked") for row in found.regions],
        "tasks": [_durations_json(row, "worked", "") for row in found.tasks],
        "longest_tasks": [_story_json(timeline, story) for story in found.stories],
        "waits": [{"cause": row.cause, "stack": row.stack, "count": row.count,
                   "total_ns": row.total, "max_ns": row.max} for row in found.waits],
        "samples": [{"function": name, "count": count, "weight_ns": weight}
                    for name, count, weight in found.samples],
        "counters": [_counter_json(counter) for counter in timeline.counters]}


def _thread_json(thread: Thread) -> Dict[str, object]:
    return {"pid": thread.pid, "tid": thread.tid, "name": thread.name, "start_ns": thread.start,
            "end_ns": thread.end, "overwritten": thread.overwritten, **_times_json(thread.times)}


def _times_json(times: Times) -> Dict[str, object]:
    return {"life_ns": times.life, "running_ns": times.running, "runnable_ns": times.runnable,
            "blocked_ns": dict(sorted(times.blocked.items())), "idle_ns": times.idle,
            "unknown_ns": times.unknown}


def _durations_json(row: Durations, own: str, blocked: str) -> Dict[str, object]:
    found: Dict[str, object] = {"name": row.name, "count": row.count, "total_ns": row.total,
                                f"{own}_ns": row.self}
    if blocked:
        found["blocked_ns"] = row.blocked
    return {**found, "p50_ns": row.at(.5), "p90_ns": row.at(.9), "p99_ns": row.at(.99),
            "max_ns": row.max}


def _story_json(timeline: Timeline, story: Story) -> Dict[str, object]:
    task = story.task
    return {"name": task.name, "id": task.id, "parent": task.parent, "pid": task.pid,
            "start_ns": task.start, "duration_ns": task.end - task.start, "closed": task.closed,
            "threads": [timeline.threads[place].tid for place in story.threads],
            "running_ns": story.running, "runnable_ns": story.runnable,
            "no_thread_ns": story.nowhere,
            "waits": [{"cause": cause, "stack": stack, "total_ns": length}
                      for cause, stack, length in story.waits],
            "regions": [{"name": name, "self_ns": length} for name, length in story.regions]}


def _counter_json(counter: Counter) -> Dict[str, object]:
    values: List[float] = [value for value in counter.value if isfinite(value)]
    return {"name": counter.name, "pid": counter.pid, "count": len(values),
            "min": min(values, default=0.0), "max": max(values, default=0.0),
            "last": values[-1] if values else 0.0}
