"""Perfetto files: what is written is read again, and nothing from outside stops the reader."""
from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import List, Tuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_traces import MS, START, UNIX, Made, load

from graders import assemble, chrome, perfetto, perfetto_write
from graders.model import GraderError
from graders.timeline import BLOCKED, LOG, REGION, WORK, Slices, Thread, Timeline
from graders.tracks import BEGIN, END, INSTANT, Trace
from graders.wire import fields, put_bytes, put_number, put_text

HOSTILE = ("", "a", "</script>", "\"quotes\" \\ and\nlines", "\u05d0\u05d1 \u202e rtl",
           "\U0001f600",
           "x" * 65536, "\x00nul", "%s%n")


def small() -> Made:
    made = Made(program="/usr/bin/made", records=9, overwritten=2)
    one, two = made.thread("one", 201), made.thread("two", 202)
    one.slice(0, 10, "outer")
    one.slice(1, 4, "inner")
    one.wait(5, 8, "lock", "f (f.c:42) < main (f.c:9)", 4096)
    one.add(3, INSTANT, "key", "log", text="value \u20ac")
    two.slice(2, 9, "job", "work", task=7)
    two.add(2.5, INSTANT, "arrow", "flow", flows=(99,))
    one.add(2, INSTANT, "arrow", "flow", flows=(99,))
    made.sched(one, [(0, 5, 4, 1), (5, 10, 2, 0.5)])
    made.task(7, "job", 1, 11)
    made.counter("bytes", [(0, 1.5), (4, -2), (8, 1e300)])
    return made


def check(timeline: Timeline) -> None:
    one, two = timeline.threads
    names = timeline.strings
    assert (one.label, two.label, one.pid) == ("one 201", "two 202", 100)
    assert list(map(names.__getitem__, one.slices.name)) == ["outer", "inner", "lock"]
    assert list(one.slices.start) == [0, 1 * MS, 5 * MS]
    assert list(one.slices.duration) == [10 * MS, 3 * MS, 3 * MS]
    assert list(one.slices.depth) == [0, 1, 1]
    assert list(one.slices.kind) == [REGION, REGION, BLOCKED]
    assert timeline.details[one.slices.detail[2]] == {"stack": "f (f.c:42) < main (f.c:9)",
                                                      "object": 4096}
    assert one.points.kind[1] == LOG
    assert timeline.details[one.points.detail[1]] == {"text": "value \u20ac"}
    assert list(two.slices.kind) == [WORK]
    assert list(one.sched.run) == [4 * MS, 2 * MS]
    assert list(one.sched.wait) == [1 * MS, MS // 2]
    task = timeline.tasks[0]
    assert (task.id, task.name, task.start, task.end, task.pid) == (7, "job", 1 * MS, 11 * MS, 100)
    assert list(timeline.counters[0].value) == [1.5, -2, 1e300]
    assert [(flow.thread, flow.time) for flow in timeline.flows] == [(0, 2 * MS), (1, 2.5 * MS)]
    assert timeline.processes[0].facts["records"] == 9
    assert timeline.unix == UNIX + START
    assert "events overwritten by newer ones: 2" in timeline.notes[0]


def test_what_is_written_is_read() -> None:
    check(small().timeline())


def test_read_and_written_again_it_is_the_same() -> None:
    once = small().bytes()
    trace = Trace()
    perfetto.load(once, trace)
    assert perfetto_write.dump(trace) == once


def test_gzip_and_a_cut_gzip(tmp_path: Path) -> None:
    packed = gzip.compress(small().bytes())
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    whole.write_bytes(packed)
    cut.write_bytes(packed[:-40])
    check(assemble.timeline(perfetto.read([whole])))
    assert assemble.timeline(perfetto.read([cut])).events > 5
    cut.write_bytes(packed[:10] + b"\xff" * 30)
    with pytest.raises(GraderError, match="cut: is damaged: gzip says"):
        perfetto.read([cut])


def test_cut_off_at_every_byte() -> None:
    data = small().bytes()
    whole, last = load(data).events, 0
    for size in range(1, len(data)):
        trace = Trace()
        try:
            perfetto.load(data[:size], trace)
        except GraderError:
            assert not trace.events and size < 200
            continue
        timeline = assemble.timeline(trace)
        nests(timeline)
        assert last <= trace.events <= whole
        last = trace.events
    assert last >= whole - 1


@given(st.integers(0, 10 ** 6), st.binary(min_size=1, max_size=12))
@settings(max_examples=300, deadline=None)
def test_damage_anywhere_is_survived(at: int, noise: bytes) -> None:
    data = bytearray(small().bytes())
    at %= len(data)
    data[at:at + len(noise)] = noise
    try:
        nests(load(bytes(data)))
    except GraderError as error:
        assert "\n" not in str(error)


@given(st.binary(max_size=300))
@settings(max_examples=300, deadline=None)
def test_any_bytes_are_a_trace_or_one_line(data: bytes) -> None:
    try:
        nests(load(data))
    except GraderError as error:
        assert "\n" not in str(error) and str(error).startswith("file0: ")


Step = Tuple[int, int, str]
STEPS = st.lists(st.tuples(st.sampled_from((BEGIN, END, INSTANT)), st.integers(0, 5),
                           st.sampled_from(("region", "blocked", "work", "odd"))), max_size=40)


@given(STEPS)
@settings(max_examples=200, deadline=None)
def test_any_events_become_slices_that_nest(steps: List[Step]) -> None:
    made = Made()
    row, time = made.thread("t"), 0
    for kind, wait, category in steps:
        time += wait
        row.add(time, kind, "n", category)
    timeline = made.timeline()
    nests(timeline)
    thread = timeline.threads[0] if timeline.threads else Thread(0, 0, 0, "")   # it did nothing
    assert len(thread.slices) == sum(kind == BEGIN for kind, _, _ in steps)
    assert len(thread.points) == sum(kind == INSTANT for kind, _, _ in steps)
    assert timeline.events == len(steps)
    depth = dropped = 0
    for kind, _, _ in steps:
        dropped += kind == END and not depth
        depth += {BEGIN: 1, END: -1 if depth else 0}.get(kind, 0)
    text = " ".join(timeline.notes)
    assert (f"still open at the end: {depth}" in text) == (depth > 0)
    assert (f"without a begin: {dropped} (left out)" in text) == (dropped > 0)


def nests(timeline: Timeline) -> None:
    """Every slice lies in the one around it, and states are side by side."""
    for thread in timeline.threads:
        slices: Slices = thread.slices
        around: List[Tuple[int, int]] = []
        for at, start in enumerate(slices.start):
            end = start + slices.duration[at]
            assert start <= end
            del around[slices.depth[at]:]
            assert len(around) == slices.depth[at]
            assert all(low <= start and end <= high for low, high in around)
            around.append((start, end))
        last = -1
        for start, duration in zip(thread.states.start, thread.states.duration):
            assert start >= last and duration > 0
            last = start + duration
        if thread.tid:
            assert abs(thread.times.life - (thread.end - thread.start)) <= 5


def test_two_processes_on_one_timeline() -> None:
    one, two = Made(100), Made(200)
    one.thread("a").slice(0, 4, "x")
    two.thread("b").slice(1, 6, "x")
    two.trace.unix += 10 ** 6       # clocks were set a little meanwhile
    timeline = load(one.bytes(), two.bytes())
    assert [(thread.pid, thread.slices.start[0]) for thread in timeline.threads] == [
        (100, 0), (200, 1 * MS)]
    assert timeline.duration == 6 * MS and not timeline.notes


def test_another_boot_is_placed_by_the_wall_clock() -> None:
    one, two = Made(100), Made(200)
    one.thread("a").slice(0, 4, "x")
    two.thread("b").slice(0, 4, "x")
    two.trace.unix += 7 * MS + 3600 * 10 ** 9
    two_start = two.bytes()
    timeline = load(one.bytes(), two_start)
    assert timeline.threads[1].slices.start[0] == 7 * MS + 3600 * 10 ** 9
    assert "file1: is of another boot" in timeline.notes[0]


def test_merged_and_written_it_reads_as_both() -> None:
    trace = Trace()
    for number, data in enumerate((small().bytes(), small().bytes())):     # even with equal uuids
        perfetto.load(data, trace, str(number))
    timeline = load(perfetto_write.dump(trace))
    assert [thread.label for thread in timeline.threads] == ["one 201", "two 202"] * 2
    assert timeline.events == 2 * small().timeline().events
    nests(timeline)


@pytest.mark.parametrize("name", HOSTILE)
def test_names_of_any_kind(name: str) -> None:
    made = Made()
    row = made.thread(name[:15])
    row.slice(0, 1, name)
    row.add(1, INSTANT, name, "log", text=name)
    made.task(1, name, 0, 1)
    made.counter(name, [(0, 1)])
    timeline = made.timeline()
    assert timeline.strings[timeline.threads[0].slices.name[0]] == name
    assert timeline.tasks[0].name == name and timeline.counters[0].name == name
    events = json.loads("".join(chrome.lines(timeline)))
    assert {event["name"] for event in events if event["ph"] in "XbC"} >= {name}


def test_what_others_write_is_shown_and_the_rest_counted() -> None:
    clocks = put_bytes(6, b"".join(put_bytes(1, put_number(1, clock) + put_number(2, value))
                                   for clock, value in ((6, 5000), (3, 1000))))
    event = put_number(9, 1) + put_number(11, 77) + put_text(22, "net") + put_text(23, "dynamic")
    packets = [clocks + put_number(10, 1), put_bytes(60, put_number(1, 77) + put_text(2, "lane")),
               put_number(8, 1500) + put_number(58, 3) + put_bytes(11, event) + put_number(10, 5),
               put_number(8, 6500) + put_number(10, 5)
               + put_bytes(11, put_number(9, 2) + put_number(11, 77)),
               put_number(10, 5) + put_bytes(1, b"ftrace"),
               put_number(10, 9) + put_number(13, 2) + put_number(8, 1) + put_bytes(11, event)]
    timeline = load(b"".join(put_bytes(1, packet) for packet in packets) + put_bytes(9, b"?"))
    lane = timeline.threads[0]
    assert (lane.label, lane.slices.duration[0]) == ("lane", 1000)     # 1500 is 5500 since boot
    assert timeline.strings[lane.slices.name[0]] == "dynamic"
    assert timeline.notes == ("left out: events whose beginning is missing: 1",
                              "left out: packets of other kinds: 1", "left out: unknown fields: 1")


def test_events_of_one_track_from_several_writers_are_sorted() -> None:
    made = Made()
    row = made.thread("t")
    row.slice(5, 6, "late")
    row.slice(1, 2, "early")
    trace = made.done()
    track = trace.tracks[1]
    track.time, track.shape = track.time[2:] + track.time[:2], track.shape[2:] + track.shape[:2]
    timeline = assemble.timeline(trace)
    assert [timeline.strings[name] for name in timeline.threads[0].slices.name] == ["early", "late"]


def test_an_event_takes_few_bytes() -> None:
    made = Made()
    row = made.thread("t")
    for number in range(1000):
        row.slice(number, number + .5, f"region {number % 10}")
    data = made.bytes()
    assert len(data) / 2000 < 20


def test_numbers_are_written_as_the_format_wants_them() -> None:
    """Without our own reader: packets by their field numbers."""
    made = Made()
    made.thread("t", 77).slice(0, 1, "r")
    packets = [dict(fields(content, 0, len(content)))
               for _, content in fields(made.bytes(), 0, len(made.bytes()))]
    assert all(packet[10] > 0 for packet in packets)
    begin = packets[-2]
    assert begin[8] == 0 and begin[13] == 2 and packets[-1][8] == MS
    event = dict(fields(begin[11], 0, len(begin[11])))
    assert event[9] == 1
    named = {number: dict(fields(entry, 0, len(entry)))
             for number, entry in fields(begin[12], 0, len(begin[12]))}
    assert named[2] == {1: event[10], 2: b"r"} and named[1] == {1: event[3], 2: b"region"}
    described = [dict(fields(packet[60], 0, len(packet[60]))) for packet in packets if 60 in packet]
    thread = dict(fields(described[1][4], 0, len(described[1][4])))
    assert thread == {1: 100, 2: 77, 5: b"t"} and described[1][5] == described[0][1]


def test_what_is_no_trace_is_said_in_a_line(tmp_path: Path) -> None:
    for content, words in ((b"", "is empty"), (b"hello world\n", "is no trace"),
                           (b"perflab ring 1\n\0....", "--recover"), (b"\x0a\x00", "")):
        path = tmp_path / "file"
        path.write_bytes(content)
        if words:
            with pytest.raises(GraderError, match=words) as caught:
                perfetto.read([path])
            assert str(caught.value).startswith(str(path)) and "\n" not in str(caught.value)
        else:
            assert perfetto.read([path]).events == 0
    with pytest.raises(GraderError, match="cannot be read: No such file"):
        perfetto.read([tmp_path / "absent"])


def test_chrome_keeps_every_ns_and_nests() -> None:
    timeline = small().timeline()
    text = "".join(chrome.lines(timeline))
    assert text.startswith("[{")
    events = json.loads(text)
    inner = next(event for event in events if event["name"] == "inner")
    assert (inner["ph"], inner["ts"], inner["dur"], inner["tid"]) == ("X", 1000.0, 3000.0, 201)
    assert [event["args"] for event in events if event["ph"] == "C"] == [
        {"value": 1.5}, {"value": -2.0}, {"value": 1e300}]
    assert {event["ph"] for event in events} >= {"M", "X", "i", "b", "e", "C", "s", "f"}
    assert sum(event["ph"] == "b" for event in events) == sum(event["ph"] == "e"
                                                              for event in events)
    wait = next(event for event in events if event["name"] == "lock" and event["ph"] == "X")
    assert wait["args"]["object"] == 4096
    one_ns = Made()
    one_ns.thread("t").slice(1e-6, 3e-6, "tiny")
    one_ns.thread("u").slice(0, 1, "zero")
    tiny = next(event for event in json.loads("".join(chrome.lines(one_ns.timeline())))
                if event["name"] == "tiny")
    assert (tiny["ts"], tiny["dur"]) == (0.001, 0.002)


def test_an_empty_timeline() -> None:
    made = Made()
    made.thread("t")
    timeline = made.timeline()
    assert (timeline.duration, timeline.events) == (0, 0)
    assert isinstance(json.loads("".join(chrome.lines(timeline))), list)
