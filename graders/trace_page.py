"""The page of `graders trace FILE --html OUT`: one file with a timeline, that needs nothing else.

The trace stands in the page as base64 of a zlib stream: a header in JSON, then columns of numbers
(page/unpack.js says how). Numbers are packed by array and bytes, not one by one: a million events
take a second or two, and some megabytes. Names and stacks reach the browser as JSON in there, and
are only ever shown as text, so that no name can become part of the page.
"""
from __future__ import annotations

import base64
import json
import sys
import zlib
from array import array
from html import escape
from itertools import chain
from math import isfinite
from operator import sub
from pathlib import Path
from typing import Any, Dict, Iterable, List, NamedTuple, Sequence, Tuple

from .files import keep
from .timeline import Counter, Detail, FlowPoint, Process, Slices, Task, Thread, Timeline, Value
from .trace_findings import Finding

ASSETS = Path(__file__).resolve().parent / "page"
SCRIPTS = ("unpack.js", "model.js", "sums.js", "format.js", "paint.js", "scales.js", "panel.js",
           "app.js", "input.js")
WIDTHS = ((1 << 8, "B"), (1 << 16, "H"), (1 << 32, "I"), (1 << 64, "Q"))
EXACT = 1 << 53     # integers up to here are exact in a browser; larger ones travel as text
Column = Dict[str, Any]
Table = Dict[str, Any]
# Characters that do not show, or turn the order of others: they are spelled out.
HIDDEN = {code: f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}" for code in (
    *range(9), *range(11, 32), *range(127, 160), 0x61c, 0x200e, 0x200f, *range(0x2028, 0x202f),
    *range(0x2066, 0x206a))}
LINE = 16384        # characters of base64 on one line: editors like short ones


def write(timeline: Timeline, target: Path, title: str = "",
          findings: Sequence[Finding] = ()) -> None:
    """Writes the page, with what was found in words at its top."""
    keep(target, page(timeline, title, findings))


def page(timeline: Timeline, title: str = "", findings: Sequence[Finding] = ()) -> str:
    """The whole page as text."""
    data = packed(timeline, title, findings)
    parts = {"title": escape(title or "trace"), "style": asset("style.css"),
             "size": str(data.size), "data": data.text,
             "script": "\n".join(asset(name) for name in SCRIPTS)}
    text = asset("page.html")
    for name, value in parts.items():
        text = text.replace(f"<!-- {name} -->", value, 1)
    return text


def asset(name: str) -> str:
    return (ASSETS / name).read_text(encoding="utf-8")


def readable(value: Any) -> Any:
    """The same with every text in it as it may be shown."""
    if isinstance(value, str):
        return value if value.isprintable() else value.translate(HIDDEN)
    if isinstance(value, list):
        return [readable(item) for item in value]
    if isinstance(value, dict):
        return {key: readable(item) for key, item in value.items()}
    return value


class Packed(NamedTuple):
    """The data of a page, and how many bytes it unpacks to."""
    text: str
    size: int


def packed(timeline: Timeline, title: str, findings: Sequence[Finding] = ()) -> Packed:
    """The trace as unpack.js reads it."""
    strings = Strings(timeline.strings)
    columns = Columns()
    tasks = sorted(timeline.tasks, key=lambda task: task.start)
    process = _process_numbers(timeline)
    _thread_columns(columns, timeline.threads)
    _other_columns(columns, timeline, tasks, strings, process)
    header = {"version": 1, "tables": columns.tables,
              "details": [_detail(item, strings) for item in timeline.details],
              **readable({"title": title,
                          "findings": [[finding.text, finding.next] for finding in findings],
                          **_header(timeline, tasks, process), "strings": strings.all})}
    text = json.dumps(header, separators=(",", ":")).encode("ascii")
    whole = b"".join([len(text).to_bytes(4, "little"), text, *columns.parts])
    letters = base64.b64encode(zlib.compress(whole, 6)).decode("ascii")
    lines = (letters[at:at + LINE] for at in range(0, len(letters), LINE))
    return Packed("\n".join(lines), len(whole))


# columns ------------------------------------------------------------------------------------------


class Columns:
    """Tables of numbers, each column in the smallest width that holds it."""

    def __init__(self) -> None:
        self.tables: List[Table] = []
        self.parts: List[bytes] = []

    def table(self, name: str, count: int) -> None:
        """Begins a table; what follows are its columns."""
        self.tables.append({"name": name, "count": count, "columns": []})

    def numbers(self, name: str, *tracks: Sequence[int]) -> None:
        """Whole numbers that are not negative, track after track."""
        self._integers(name, list(chain.from_iterable(tracks)), {})

    def times(self, name: str, *tracks: Sequence[int]) -> None:
        """Times or durations."""
        self._integers(name, list(chain.from_iterable(tracks)), {"time": True})

    def rising(self, name: str, *tracks: Sequence[int]) -> None:
        """Times that do not fall within a track: kept as differences, which pack better."""
        values: List[int] = []
        first: List[int] = []
        for track in tracks:
            first.append(len(values))
            values.extend(chain(track[:1], map(sub, track[1:], track)))
        self._integers(name, values, {"time": True, "first": first})

    def reals(self, name: str, *tracks: Sequence[float]) -> None:
        self._add({"name": name, "real": True}, array("d", chain.from_iterable(tracks)))

    def _integers(self, name: str, values: List[int], traits: Column) -> None:
        largest = max(values, default=0)
        code = next(code for limit, code in WIDTHS if largest < limit)
        self._add({"name": name, **traits}, array(code, values))

    def _add(self, column: Column, cells: "array[int] | array[float]") -> None:
        """All first bytes, then all second bytes, ...: equal neighbours pack best."""
        if sys.byteorder == "big":
            cells.byteswap()
        data, width = cells.tobytes(), cells.itemsize
        self.tables[-1]["columns"].append({**column, "width": width})
        self.parts.extend(data[plane::width] for plane in range(width))


def _thread_columns(columns: Columns, threads: Sequence[Thread]) -> None:
    """What belongs to threads: one after the other; the header says how many each has."""
    _slice_columns(columns, [thread.slices for thread in threads])
    sched = [thread.sched for thread in threads]
    columns.table("sched", sum(map(len, sched)))
    columns.rising("start", *(track.start for track in sched))
    columns.times("duration", *(track.duration for track in sched))
    columns.times("run", *(track.run for track in sched))
    columns.times("wait", *(track.wait for track in sched))
    points = [thread.points for thread in threads]
    columns.table("points", sum(map(len, points)))
    columns.rising("time", *(track.time for track in points))
    columns.numbers("name", *(track.name for track in points))
    columns.numbers("kind", *(track.kind for track in points))
    columns.numbers("detail", *(track.detail for track in points))


def _slice_columns(columns: Columns, tracks: Sequence[Slices]) -> None:
    columns.table("slices", sum(map(len, tracks)))
    columns.rising("start", *(track.start for track in tracks))
    columns.times("duration", *(track.duration for track in tracks))
    columns.numbers("name", *(track.name for track in tracks))
    columns.numbers("kind", *(track.kind for track in tracks))
    columns.numbers("depth", *(track.depth for track in tracks))
    columns.numbers("detail", *(track.detail for track in tracks))


def _other_columns(columns: Columns, timeline: Timeline, tasks: Sequence[Task],
                   strings: "Strings", process: Dict[int, int]) -> None:
    """Tasks, arrows and counters. A parent is the number of its task and 1; 0: none."""
    numbers = {(task.pid, task.id): number for number, task in enumerate(tasks, 1)}
    columns.table("tasks", len(tasks))
    columns.rising("start", [task.start for task in tasks])
    columns.times("duration", [task.end - task.start for task in tasks])
    columns.numbers("name", [strings.number(task.name) for task in tasks])
    columns.numbers("process", [process[task.pid] for task in tasks])
    columns.numbers("parent", [numbers.get((task.pid, task.parent), 0) for task in tasks])
    columns.numbers("detail", [task.detail for task in tasks])
    arrows = list(_arrows(timeline.flows))
    columns.table("flows", len(arrows))
    columns.rising("start", [begin.time for begin, _ in arrows])
    columns.times("end", [end.time for _, end in arrows])
    columns.numbers("from", [begin.thread for begin, _ in arrows])
    columns.numbers("to", [end.thread for _, end in arrows])
    values = [_finite(counter) for counter in timeline.counters]
    columns.table("values", sum(len(value) for _, value in values))
    columns.rising("time", *(time for time, _ in values))
    columns.reals("value", *(value for _, value in values))


def _finite(counter: Counter) -> Tuple[Sequence[int], Sequence[float]]:
    """The times and values that can be drawn."""
    if all(map(isfinite, counter.value)):
        return counter.time, counter.value
    pairs = [pair for pair in zip(counter.time, counter.value) if isfinite(pair[1])]
    return [time for time, _ in pairs], [value for _, value in pairs]


def _arrows(points: Sequence[FlowPoint]) -> List[Tuple[FlowPoint, FlowPoint]]:
    """From each end of a flow to the next one in time, by their begin."""
    last: Dict[int, FlowPoint] = {}
    arrows: List[Tuple[FlowPoint, FlowPoint]] = []
    for point in sorted(points, key=lambda item: item.time):
        if point.id in last:
            arrows.append((last[point.id], point))
        last[point.id] = point
    return sorted(arrows, key=lambda arrow: arrow[0].time)


# the header ---------------------------------------------------------------------------------------


class Strings:
    """The timeline's strings, and what else is written; each once."""

    def __init__(self, strings: Sequence[str]) -> None:
        self.all = list(strings)
        self._numbers: Dict[str, int] = {}
        for number, text in enumerate(strings):
            self._numbers.setdefault(text, number)

    def number(self, text: str) -> int:
        number = self._numbers.setdefault(text, len(self.all))
        if number == len(self.all):
            self.all.append(text)
        return number


def _process_numbers(timeline: Timeline) -> Dict[int, int]:
    """Places in the list of processes, by pid; those that the trace does not name come last."""
    owners: Sequence[Iterable[Any]] = (timeline.processes, timeline.threads, timeline.tasks,
                                       timeline.counters)
    pids = dict.fromkeys(item.pid for item in chain.from_iterable(owners))
    return {pid: number for number, pid in enumerate(pids)}


def _header(timeline: Timeline, tasks: Sequence[Task], process: Dict[int, int]) -> Column:
    """What is not a column of numbers."""
    known = {item.pid: item for item in reversed(timeline.processes)}
    return {
        "unix": str(timeline.unix), "duration": timeline.duration, "events": timeline.events,
        "notes": list(timeline.notes),
        "processes": [_process(known.get(pid, Process(pid))) for pid in process],
        "threads": [_thread(thread, process) for thread in timeline.threads],
        "counters": [{"process": process[item.pid], "name": item.name,
                      "count": len(_finite(item)[0])}
                     for item in timeline.counters],
        "taskIds": [_exact(task.id) for task in tasks]}


def _process(process: Process) -> Column:
    return {"pid": process.pid, "name": process.name, "command": process.command,
            "program": process.program,
            "facts": [[key, _exact(value)] for key, value in process.facts.items()
                      if key != "program"]}


def _thread(thread: Thread, process: Dict[int, int]) -> Column:
    """A thread, with the numbers of its rows in the columns and where its time went."""
    times = thread.times
    return {"process": process[thread.pid], "label": thread.label, "tid": thread.tid,
            "start": thread.start, "end": thread.end, "overwritten": thread.overwritten,
            "slices": len(thread.slices), "sched": len(thread.sched), "points": len(thread.points),
            "times": {"running": times.running, "runnable": times.runnable,
                      "blocked": times.blocked, "idle": times.idle + times.unknown}}


def _detail(detail: Detail, strings: Strings) -> List[object]:
    """key, value, key, value: keys by number; texts by number in a list of their own."""
    flat: List[object] = []
    for key, value in detail.items():
        flat.append(strings.number(key))
        if key == "object" and isinstance(value, int):
            value = hex(value)      # an address
        value = _exact(value)
        flat.append([strings.number(value)] if isinstance(value, str) else value)
    return flat


def _exact(value: Value) -> Value:
    """The value as JSON can carry it to a browser without loss."""
    if isinstance(value, int):
        return value if abs(value) < EXACT else str(value)
    return str(value) if isinstance(value, float) and not isfinite(value) else value
