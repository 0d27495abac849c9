"""Records as they stand in the chunks, and the trace that comes of them."""
from __future__ import annotations

import resource
import subprocess
from pathlib import Path
from typing import Dict, List, Tuple

import decoder
import pytest
from conftest import Export
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ring import (CHUNK, CONTINUED, FLOW_IN, FLOW_OUT, PROGRAM, START, TASK_END, TASK_ENTER,
                  TASK_LEAVE, Ring, boot)


def one(export: Export, ring: Ring, category: str = "", **more: int) -> decoder.Slice:
    """The only slice."""
    slices = export(ring, **more).slices(category)
    assert len(slices) == 1, slices
    return slices[0]


def test_the_process_and_its_clocks(export: Export) -> None:
    ring = Ring()
    ring.thread(3, 4712, b"worker")
    trace = export(ring)
    process, = [t for t in trace.tracks.values() if t.kind == "process"]
    assert (process.pid, process.name, process.command) == \
        (4711, PROGRAM.rpartition("/")[2], ["server --port 80"])
    thread, = trace.threads()
    assert (thread.pid, thread.tid, thread.name, thread.parent) == \
        (4711, 4712, "worker", process.uuid)
    assert trace.clocks == {1: START["unix"], 3: START["mono"], 6: START["boot"],
                            64: START["boot"]}


def test_regions_nest(export: Export) -> None:
    ring = Ring()
    thread = ring.thread(1)
    thread.begin(1010, "outer")
    thread.begin(1020, "inner")
    thread.end(1030)
    thread.begin(1040, b"copied")
    thread.end(1040)
    thread.end(1050)
    slices = export(ring).slices("region")
    assert [(s.name, s.begin, s.end, s.depth, s.notes) for s in slices] == [
        ("outer", boot(1010), boot(1050), 0, {}), ("inner", boot(1020), boot(1030), 1, {}),
        ("copied", boot(1040), boot(1040), 1, {})]
    assert slices[0].track == export(ring).threads()[0].uuid


def test_a_region_is_small(export: Export) -> None:
    """At most 20 bytes an event, in the middle."""
    ring = Ring()
    thread = ring.thread(1)
    for i in range(1000):
        thread.begin(1000 + 2000 * i, "parse")
        thread.end(2000 + 2000 * i)
    trace = export(ring, to=10 ** 9)
    assert len(trace.slices("region")) == 1000
    assert trace.size <= 20 * 2000


@pytest.mark.parametrize("name, shown", [
    (b"", ""), ("grün ∂ 漢字 🚀".encode(), "grün ∂ 漢字 🚀"), (b"a\xffb\xc3", "a�b�"),
    (b"\xed\xa0\x80", "���"), (b'"quotes" \\ <b> \n\x01', '"quotes" \\ <b> \n\x01'),
    (b"nul\x00inside\xff", "nul\0inside�"), ("ü".encode() * 40000, "ü" * 40000),
    (b"x" * 65536, "x" * 65536), (b"x" * 65536 + b"\xff", "x" * 65536 + "�")],
    ids=["none", "utf-8", "cut", "surrogate", "quotes", "nul", "long utf-8", "64 KiB", "cut, too"])
def test_any_text_is_a_name(export: Export, name: bytes, shown: str) -> None:
    ring = Ring()
    first, second = ring.thread(1), ring.thread(2)
    first.begin(1010, name)
    first.end(1020)
    second.instant(1010, name)
    second.log(1020, b"key", name)
    second.task(1030, 1, name)
    second.of(1040, TASK_ENTER, 1)
    trace = export(ring)
    for category in ("region", "task", "work"):
        assert [s.name for s in trace.slices(category)] == [shown]
    assert [t.name for t in trace.tracks.values() if t.kind == "other"] == [shown]
    assert [e.name for e in trace.of("instant")] == [shown]
    assert trace.of("log")[0].notes["text"] == shown


def test_a_text_that_was_cut(export: Export) -> None:
    """The rest of a text may be missing: overwritten, or never written."""
    ring = Ring()
    thread = ring.thread(1)
    chunk = thread.chunk
    assert chunk
    chunk.add(1010, 3, b"begun", flags=1)
    thread.end(1020)
    chunk.add(1030, 3, b"last", flags=1)
    assert [s.name for s in export(ring).slices()] == ["begun", "last"]


def test_logs_instants_and_counters(export: Export) -> None:
    ring = Ring()
    thread = ring.thread(1)
    thread.log(1010, "phase", b"reading")
    thread.log(1011, b"copied", b"text")
    thread.instant(1012, "full")
    thread.counter(1013, "queue", 3)
    thread.counter(1014, b"queue", -0.5)
    thread.counter(1015, b"other", 1e300)
    trace = export(ring)
    assert [(e.name, e.notes, e.ns) for e in trace.of("log")] == [
        ("phase", {"text": "reading"}, boot(1010)), ("copied", {"text": "text"}, boot(1011))]
    assert [e.name for e in trace.of("instant")] == ["full"]
    counted = [(trace.tracks[e.track].name, e.value) for e in trace.events if e.type == 4]
    assert counted == [("queue", 3), ("queue", -0.5), ("other", 1e300)]
    process = trace.named(PROGRAM.rpartition("/")[2]).uuid
    assert all(t.parent == process for t in trace.tracks.values() if t.counter)


def test_tasks_have_tracks_and_flows(export: Export) -> None:
    ring = Ring()
    # Chunks come in the order of their taking: the end is met before the begin.
    late, early = ring.thread(2), ring.thread(1)
    early.task(1010, 7, b"request")
    early.task(1020, 8, b"part", parent=7)
    early.of(1020, TASK_ENTER, 7)
    early.of(1030, TASK_LEAVE, 7)
    late.of(1040, TASK_ENTER, 7)
    late.of(1045, TASK_LEAVE, 7)
    late.of(1050, TASK_END, 7)
    late.of(1060, TASK_END, 8)
    trace = export(ring)
    tasks = trace.slices("task")
    assert [(t.name, t.begin, t.end, t.notes) for t in tasks] == [
        ("request", boot(1010), boot(1050), {"task": 7}),
        ("part", boot(1020), boot(1060), {"task": 8, "parent": 7})]
    assert [trace.tracks[t.track].name for t in tasks] == ["request", "part"]
    work = trace.slices("work")
    assert [(w.name, w.notes["task"]) for w in work] == [("request", 7)] * 2
    assert len({w.track for w in work}) == 2 and len({w.flows for w in work}) == 1 and work[0].flows


def test_flows_link(export: Export) -> None:
    ring = Ring()
    a, b = ring.thread(1), ring.thread(2)
    a.flow(1010, FLOW_OUT, "hand on", 1 << 63 | 5)
    b.flow(1020, FLOW_IN, b"take", 1 << 63 | 5)
    assert [(e.name, e.flows) for e in export(ring).of("flow")] == [
        ("hand on", (1 << 63 | 5,)), ("take", (1 << 63 | 5,))]


def test_waits_have_causes_and_stacks(export: Export) -> None:
    ring = Ring()
    thread = ring.thread(1)
    thread.wait(1010, 1, 0xdeadbeef, 1)
    thread.wake(1020, 1, 1)
    thread.wait(1030, 8)
    thread.wake(1040, 8, 1)
    lock, read = export(ring).slices("blocked")
    assert (lock.name, lock.notes["object"], read.name) == ("lock", 0xdeadbeef, "read")
    assert "object" not in read.notes
    for wait in (lock, read):
        stack = str(wait.notes["stack"])
        assert stack.startswith("leaf (export.c:") and " < middle (export.c:" in stack
        assert " < main (export.c:" in stack


def test_all_causes_have_names(export: Export) -> None:
    ring = Ring()
    thread = ring.thread(1)
    for cause in range(1, 19):
        thread.wait(1000 + cause, cause)
        thread.wake(1000 + cause, cause)
    assert [s.name for s in export(ring).slices("blocked")] == [
        "lock", "rwlock (read)", "rwlock (write)", "condition", "join", "semaphore", "barrier",
        "read", "write", "poll", "epoll", "select", "accept", "connect", "send", "receive", "sleep",
        "wait for a child"]


def test_samples(export: Export) -> None:
    ring = Ring()
    thread = ring.thread(1)
    thread.sample(1010, 1, 10_000_000)
    thread.sample(1020, 1, 1)
    events = export(ring).of("cpu")
    assert [(e.name, e.notes["weight_ns"]) for e in events] == [("leaf", 10_000_000), ("leaf", 1)]
    assert str(events[1].notes["stack"]).startswith("leaf (export.c:")


def test_states_are_what_was_most(export: Export) -> None:
    ring = Ring()
    tracer, worker = ring.thread(1), ring.thread(2, 55, b"worker")
    worker.begin(1001, "x")
    figures = [(1100, 0, 0), (1200, 150, 10), (1300, 150, 10), (1400, 170, 140), (1500, 180, 160)]
    for ticks, run, wait in figures:
        tracer.sched(ticks, 2, 55, run, wait)
    trace = export(ring)
    states = trace.slices("sched")
    assert [(s.name, s.notes, s.begin, s.end) for s in states] == [
        ("running", {"run_ns": 150, "wait_ns": 10}, boot(1100), boot(1200)),
        ("waiting for a processor", {"run_ns": 20, "wait_ns": 130}, boot(1300), boot(1400)),
        ("blocked or idle", {"run_ns": 10, "wait_ns": 20}, boot(1400), boot(1500))]
    track = trace.named("worker state")
    assert {s.track for s in states} == {track.uuid}
    assert trace.tracks[track.parent].tid == 55


def test_states_of_a_thread_without_records(export: Export) -> None:
    ring = Ring()
    tracer = ring.thread(1)
    tracer.sched(1100, 9, 99, 0, 0)
    tracer.sched(1200, 9, 99, 200, 0)
    trace = export(ring)
    assert trace.tracks[trace.named("99 state").parent].tid == 99
    assert trace.slices("sched")[0].name == "running"


def test_names_are_the_last_ones(export: Export) -> None:
    """A number may be another thread's later: the name goes to whoever had it then."""
    ring = Ring()
    tracer = ring.thread(1, 50, b"tracer")
    first, second = ring.thread(2, 60, b"program"), ring.thread(3, 60, ticks=1500)
    first.exit(1400)
    second.begin(1510, "x")
    tracer.rename(1100, 60, b"old")
    tracer.rename(1600, 60, b"new\xc3")
    assert [t.name for t in export(ring).threads()] == ["tracer", "old", "new�"]


# -- Repairs --

def test_what_is_open_at_the_end(export: Export) -> None:
    ring = Ring()
    ended, goes_on = ring.thread(1), ring.thread(2)
    ended.begin(1010, "a")
    ended.begin(1020, "b")
    ended.exit(1030)
    goes_on.begin(1010, "c")
    goes_on.task(1020, 5, b"task")
    trace = export(ring)
    assert [(s.name, s.end, s.notes["repaired"]) for s in trace.slices()] == [
        ("a", boot(1030), "unclosed"), ("c", boot(2000), "unclosed"),
        ("task", boot(2000), "unclosed"), ("b", boot(1030), "unclosed")]
    assert trace.facts()["unclosed"] == 4


def test_ends_whose_begins_are_gone(export: Export) -> None:
    ring = Ring()
    thread = ring.thread(1, flags=CONTINUED)
    thread.end(1010)
    thread.wake(1020, 1)
    thread.of(1030, TASK_LEAVE, 5)
    thread.of(1040, TASK_END, 5)
    thread.begin(1050, "whole")
    thread.end(1060)
    trace = export(ring)
    assert [s.name for s in trace.slices()] == ["whole"]
    assert trace.facts()["dropped_ends"] == 4
    assert [s.dropped for n, s in sorted(trace.sequences.items())] == [False, True]


def test_overlapping_is_flagged(export: Export) -> None:
    ring = Ring()
    thread = ring.thread(1)
    thread.begin(1010, "a")
    thread.of(1020, TASK_ENTER, 5)
    thread.begin(1030, "b")
    thread.of(1040, TASK_LEAVE, 5)      # ends b, too
    thread.begin(1050, "c")
    thread.end(1060)                    # of c
    thread.end(1070)                    # of b, which has ended
    thread.end(1080)                    # of a
    trace = export(ring)
    assert [(s.name, s.end, s.notes.get("repaired")) for s in trace.slices()] == [
        ("a", boot(1080), None), ("task", boot(1040), None), ("b", boot(1040), "misnested"),
        ("c", boot(1060), None)]
    assert (trace.facts()["dropped_ends"], trace.facts()["misnested"]) == (0, 1)


STEPS = st.lists(st.tuples(st.integers(0, 1), st.sampled_from(
    ["begin", "end", "enter", "leave", "wait", "wake", "task", "done", "exit"]),
    st.integers(1, 3), st.integers(0, 30)), max_size=60)


@settings(max_examples=300, deadline=None,
          suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS, from_=st.integers(0, 1200), length=st.integers(0, 1200))
def test_anything_becomes_a_trace_that_nests(export: Export, steps: List[Tuple[int, str, int, int]],
                                             from_: int, length: int) -> None:
    """The decoder itself checks that all slices nest. What is counted is what is flagged."""
    ring = Ring()
    threads = [ring.thread(1), ring.thread(2)]
    ticks, tasks = 1000, set()
    for who, step, number, pause in steps:
        ticks += pause
        thread = threads[who]
        if step == "begin":
            thread.begin(ticks, f"r{number}")
        elif step == "end":
            thread.end(ticks)
        elif step == "task":
            if number not in tasks:
                thread.task(ticks, number, b"t")
            tasks.add(number)
        elif step == "exit":
            thread.exit(ticks)
            threads[who] = ring.thread(10 + len(ring.chunks), ticks=ticks)
        elif step in ("wait", "wake"):
            thread.wait(ticks, number) if step == "wait" else thread.wake(ticks, number)
        else:
            thread.of(ticks, {"enter": TASK_ENTER, "leave": TASK_LEAVE, "done": TASK_END}[step],
                      number)
    first, last = 1000 + from_, 1000 + from_ + length
    trace = export(ring, first, last)
    slices = trace.slices()
    assert all(boot(first) <= s.begin <= s.end <= boot(last) for s in slices)
    for flag in ("unclosed", "misnested"):
        assert trace.facts()[flag] == sum(s.notes.get("repaired") == flag for s in slices)


# -- A part of the time --

def test_what_reaches_into_the_time_that_is_written(export: Export) -> None:
    ring = Ring()
    gone, stays = ring.thread(1, name=b"gone"), ring.thread(2, name=b"stays")
    gone.begin(1010, "before")
    gone.task(1020, 5, b"long")
    gone.task(1021, 6, b"short")
    gone.of(1030, TASK_END, 6)
    gone.exit(1040)
    stays.begin(1010, "outer")
    stays.begin(1020, "over")
    stays.end(1030)
    stays.instant(1050, "early")
    stays.wait(1060, 17)
    stays.counter(1070, "n", 1)
    stays.wake(1200, 17)
    stays.begin(1210, "inner")
    stays.end(1400)
    stays.end(1500)
    stays.of(1600, TASK_END, 5)
    trace = export(ring, 1100, 1300)
    assert [t.name for t in trace.threads()] == ["stays"]
    assert [(s.name, s.begin, s.end, s.notes.get("clipped_ns"), s.notes.get("repaired"))
            for s in trace.slices()] == [
        ("outer", boot(1100), boot(1300), 180, "unclosed"),
        ("long", boot(1100), boot(1300), 160, "unclosed"),
        ("sleep", boot(1100), boot(1200), 80, None),
        ("inner", boot(1210), boot(1300), None, "unclosed")]
    assert not trace.of("instant") and not any(e.type == 4 for e in trace.events)


def test_a_thread_that_only_waits_is_there(export: Export) -> None:
    ring = Ring()
    thread = ring.thread(1)
    thread.wait(1010, 13, 7)
    assert one(export, ring, from_=1500).notes == {"object": 7, "clipped_ns": 980,
                                                   "repaired": "unclosed"}


def test_a_call_that_still_lasts(export: Export) -> None:
    ring = Ring()
    thread = ring.thread(1)
    thread.begin(1010, "serve")
    assert thread.chunk
    thread.chunk.wait = (1100, 77, 8, 1)
    wait = one(export, ring, "blocked")
    assert (wait.name, wait.begin, wait.end) == ("read", boot(1100), boot(2000))
    assert str(wait.notes.pop("stack")).startswith("leaf (export.c:")
    assert wait.notes == {"object": 77, "repaired": "unclosed"}


# -- Order and bounds --

def test_a_record_that_comes_late_has_its_time(export: Export) -> None:
    """A wait is written when it turned out to be long: behind what a handler wrote meanwhile."""
    ring = Ring()
    thread = ring.thread(1)
    thread.instant(1500, "in a handler")
    thread.wait(1100, 8)
    thread.wake(1600, 8)
    thread.instant(1700, "after")
    trace = export(ring)
    assert [(s.begin, s.end) for s in trace.slices()] == [(boot(1100), boot(1600))]
    assert [e.ns for e in trace.of("instant")] == [boot(1500), boot(1700)]


def test_many_chunks_and_threads_in_order(export: Export) -> None:
    ring = Ring()
    threads = [ring.thread(i, name=b"t%d" % i) for i in range(1, 41)]
    expected: Dict[int, List[int]] = {}
    for ticks in range(1001, 1900):
        for thread in threads[ticks % 7::7]:
            thread.log(ticks, "n", b"%d" % ticks + b" " * 300)
            expected.setdefault(thread.tid, []).append(ticks)
    assert len(ring.chunks) > 40
    trace = export(ring)
    got: Dict[int, List[int]] = {}
    for event in trace.events:
        if event.category == "log":
            ticks = int(str(event.notes["text"]).split()[0])
            assert event.ns == boot(ticks)
            got.setdefault(trace.tracks[event.track].tid, []).append(ticks)
    assert got == expected
    # The first record of each chunk says whose it is.
    assert trace.facts()["records"] == sum(map(len, expected.values())) + len(ring.chunks)


def test_the_facts(export: Export) -> None:
    ring = Ring()
    thread = ring.thread(1)
    thread.lost(1010, 5)
    thread.lost(1020, 6)
    ring.chunk(dropped=1000)
    ring.chunks[0].dropped = 23
    facts = export(ring).facts()
    assert (facts["lost"], facts["overwritten"], facts["program"]) == (11, 1023, PROGRAM)
    assert facts["ticks_per_second"] == 500_000_000 and "flight" not in facts


def test_no_records_at_all(export: Export) -> None:
    trace = export(Ring())
    assert [t.kind for t in trace.tracks.values()] == ["process"]
    assert trace.facts()["records"] == 0


def test_in_an_emergency_the_same_comes(export: Export) -> None:
    ring = Ring()
    thread = ring.thread(1)
    thread.sample(1010, 1, 5)
    thread.begin(1020, "ü" * (CHUNK // 5))
    assert export(ring).events == export(ring, 0, 2000, "emergency").events


def test_without_memory_there_is_no_trace(exporter: Path, tmp_path: Path) -> None:
    """All of it, or an error: whichever allocation fails."""
    ring = Ring()
    threads = [ring.thread(i) for i in range(1, 10)]
    for ticks in range(1001, 1500):
        for thread in threads:
            thread.begin(ticks, b"name %d" % ticks)
        threads[0].task(ticks, ticks, b"t" * 5000)
        threads[0].wait(ticks, 1, 1, 1)
    path = ring.write(tmp_path / "test.ring")
    results = set()
    for kilobytes in range(7000, 30000, 500):
        limit = kilobytes << 10
        done = subprocess.run(
            [str(exporter), str(path), "0", "2000"], stdout=subprocess.PIPE, timeout=60,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (limit, limit)))
        results.add(done.returncode)
        if done.returncode == 0:
            assert len(decoder.Trace(done.stdout).slices("region")) == 9 * 499
    assert {0, 1} <= results and all(code >= 0 for code in results)


def test_two_processes_have_other_tracks(export: Export) -> None:
    """Their files can be put one behind the other."""
    ring = Ring()
    ring.thread(1).begin(1010, "x")
    first = export(ring)
    START["unix"] += 1
    try:
        second = export(ring)
    finally:
        START["unix"] -= 1
    assert len(first.tracks) == 2 and not set(first.tracks) & set(second.tracks)
