"""Ring files of killed programs: all that is whole comes back, and nothing in them is believed."""
from __future__ import annotations

import shutil
import struct
import subprocess
from pathlib import Path
from typing import List, Tuple

import pytest
from fixture_lab import REPOSITORY
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from made_rings import BASE, CHUNKS_AT, MODULE, NAMES_AT, SITES_AT, Made
from test_trace_file import nests
from test_trace_report import graders

from graders import assemble, perfetto, perfetto_write, recover, ring
from graders.model import GraderError
from graders.ring import (BEGIN, CONTINUED, COUNTER, END, FLOW_IN, FLOW_OUT, INSTANT, LOG, LOST,
                          MORE, NAME, SAMPLE, SCHED, TASK_BEGIN, TASK_END, TASK_ENTER, TASK_LEAVE,
                          TEXT, THREAD_END, WAIT_BEGIN, WAIT_END)
from graders.timeline import BLOCKED, REGION, WORK, Timeline
from graders.tracks import Trace

LOCK, SLEEP = 1, 17
US = 2000           # ticks: half a ns each


def timeline(made: Made, tmp_path: Path) -> Timeline:
    """Recovered, written and read, as a user does it."""
    path = tmp_path / "made.ring"
    path.write_bytes(made.file())
    trace = Trace()
    perfetto.load(perfetto_write.dump(recover.recover(path)), trace)
    found = assemble.timeline(trace)
    nests(found)
    return found


def u64(*values: int) -> bytes:
    return struct.pack(f"<{len(values)}Q", *values)


def names(found: Timeline, place: int = 0) -> List[str]:
    return [found.strings[name] for name in found.threads[place].slices.name]


def test_every_kind_of_record(tmp_path: Path) -> None:
    made = Made()
    made.threads[1] = "first"
    site = made.stack(BASE + 0x1010, BASE + 0x1020, 2)
    made.modules = MODULE.format(start=BASE + 0x1000, end=BASE + 0x2000, id="-", path="/gone/l.so")
    add = made.add
    add(1, 0, TASK_BEGIN, payload=u64(5, 3) + b"job")
    add(1, 1 * US, BEGIN, "outer")
    add(1, 2 * US, BEGIN, payload="caf\u00e9".encode())
    add(1, 3 * US, END)
    add(1, 4 * US, INSTANT, "now")
    add(1, 5 * US, COUNTER, "bytes", struct.pack("<d", 2.5))
    add(1, 5 * US, COUNTER, payload=struct.pack("<d", 4.5) + b"copied")
    add(1, 6 * US, LOG, "key", b"text")
    add(1, 7 * US, LOG, payload=b"own key\0own text")
    add(1, 8 * US, TASK_ENTER, payload=u64(5))
    add(1, 9 * US, WAIT_BEGIN, number=LOCK, payload=u64(0xABC0, 0))
    add(1, 10 * US, WAIT_END, number=LOCK, payload=u64(site))
    add(1, 11 * US, TASK_LEAVE, payload=u64(5))
    add(1, 12 * US, FLOW_OUT, "arrow", u64(77))
    add(2, 13 * US, FLOW_IN, "arrow", u64(77))
    add(2, 13 * US, SAMPLE, payload=u64(site, 10 ** 7))
    add(2, 14 * US, NAME, payload=struct.pack("<i16s", 1002, b"second"))
    add(2, 14 * US, LOST, payload=u64(6))
    add(1, 15 * US, END)
    add(1, 16 * US, TASK_END, payload=u64(5))
    add(1, 16 * US, THREAD_END)
    found = timeline(made, tmp_path)
    one, two = found.threads
    assert (one.label, two.label, one.pid) == ("first 1001", "second 1002", 321)
    assert names(found) == ["outer", "caf\u00e9", "job", "lock"]
    assert list(one.slices.kind) == [REGION, REGION, WORK, BLOCKED]
    assert list(one.slices.duration) == [14000, 1000, 3000, 1000]
    assert found.details[one.slices.detail[3]] == {
        "object": 0xABC0, "stack": "l.so+0x10 < l.so+0x20 < ..."}
    assert [(found.strings[name], found.details[detail].get("text", ""))
            for name, detail in zip(one.points.name, one.points.detail)] == [
        ("now", ""), ("key", "text"), ("own key", "own text"), ("arrow", "")]
    assert {item.name: list(item.value) for item in found.counters} == {
        "bytes": [2.5], "copied": [4.5]}
    task = found.tasks[0]
    assert (task.id, task.parent, task.name, task.end - task.start) == (5, 3, "job", 16000)
    assert [(flow.id, flow.thread) for flow in found.flows if flow.id == 77] == [(77, 0), (77, 1)]
    assert found.strings[two.points.name[1]] == "l.so+0x10"
    assert found.details[two.points.detail[1]]["weight_ns"] == 10 ** 7
    assert found.processes[0].facts["lost"] == 6
    assert found.processes[0].facts["ticks_per_second"] == 2 * 10 ** 9
    assert (found.processes[0].command, found.processes[0].program) == ("./made -x",
                                                                        "/usr/bin/made")


def test_long_texts_go_on_in_further_records_and_chunks(tmp_path: Path) -> None:
    text = "\u20ac" * 700
    data = text.encode()
    made = Made()
    made.add(1, 1, BEGIN, payload=data[:500], flags=MORE)
    for at in range(500, len(data), 400):
        made.add(1, 1, TEXT, payload=data[at:at + 400], flags=MORE * (at + 400 < len(data)))
    made.add(1, 9, END)
    assert names(timeline(made, tmp_path)) == [text]


def test_ends_that_do_not_fit_are_repaired_and_counted(tmp_path: Path) -> None:
    made = Made()
    for ticks, kind, number in ((1, END, 0), (2, BEGIN, 0), (3, WAIT_BEGIN, LOCK), (4, BEGIN, 0),
                                (5, WAIT_END, LOCK), (6, END, 0), (7, END, 0), (8, BEGIN, 0),
                                (9, WAIT_BEGIN, SLEEP)):
        payload = {WAIT_BEGIN: u64(0, 0), WAIT_END: u64(0), BEGIN: b"r"}.get(kind, b"")
        made.add(1, ticks * US, kind, number=number, payload=payload)
    found = timeline(made, tmp_path)
    assert names(found) == ["r", "lock", "r", "r", "sleep"]
    repaired = [found.details[detail].get("repaired") for detail in found.threads[0].slices.detail]
    assert repaired == [None, None, "misnested", "unclosed", "unclosed"]
    facts = found.processes[0].facts
    assert (facts["dropped_ends"], facts["misnested"], facts["unclosed"]) == (1, 1, 2)
    assert list(found.threads[0].slices.duration[:3]) == [5000, 2000, 1000]


def test_a_call_that_still_lasted_is_shown(tmp_path: Path) -> None:
    made = Made()
    made.add(1, 1 * US, BEGIN, payload=b"r")
    made.waiting[1] = 5 * US, 0x99, SLEEP
    made.add(2, 50 * US, INSTANT, payload=b"later")
    found = timeline(made, tmp_path)
    assert names(found) == ["r", "sleep"]
    assert found.threads[0].slices.duration[1] == 46000     # to the last sign of life
    assert found.details[found.threads[0].slices.detail[1]] == {"object": 0x99,
                                                                "repaired": "unclosed"}


def test_the_kernels_counts_become_intervals(tmp_path: Path) -> None:
    made = Made()
    made.add(1, 0, BEGIN, payload=b"r")
    for number, (run, wait) in enumerate(((10, 5), (9000, 5), (9000, 5), (12000, 4000))):
        made.add(9, number * 10 * US, SCHED, payload=struct.pack("<IiQQ", 1, 1001, run, wait))
    made.add(9, 40 * US, SCHED, payload=struct.pack("<IiQQ", 4, 1004, 0, 0))
    made.add(9, 50 * US, SCHED, payload=struct.pack("<IiQQ", 4, 1004, 7000, 0))
    found = timeline(made, tmp_path)
    sched = found.threads[0].sched
    assert list(sched.start) == [0, 20000] and list(sched.duration) == [10000, 10000]
    assert (list(sched.run), list(sched.wait)) == ([8990, 3000], [0, 3995])
    assert [thread.tid for thread in found.threads] == [1001, 1004]    # it wrote nothing itself


def test_overwritten_beginnings_are_said(tmp_path: Path) -> None:
    made = Made()
    made.continued.add(1)
    made.add(1, 5, END)
    made.add(1, 6, BEGIN, payload=b"r")
    made.add(2, 6, BEGIN, payload=b"r")
    found = timeline(made, tmp_path)
    assert [thread.overwritten for thread in found.threads] == [True, False]
    assert found.processes[0].facts["overwritten"] == 6
    assert CONTINUED == 2


def test_many_records_over_many_chunks_keep_their_order(tmp_path: Path) -> None:
    made = Made()
    for number in range(600):
        made.add(1 + number % 3, 2 * number * US, BEGIN if number % 6 < 3 else END, payload=b"r")
    found = timeline(made, tmp_path)
    assert [len(thread.slices) for thread in found.threads] == [100, 100, 100]
    assert set(found.threads[0].slices.duration) == {6000}


RECORDS = st.lists(st.tuples(
    st.integers(1, 3), st.integers(0, 50), st.integers(1, 21), st.integers(0, 20),
    st.one_of(st.binary(max_size=40), st.builds(u64, st.integers(0, 4), st.integers(0, 4)))),
    max_size=60)


@given(RECORDS)
@settings(max_examples=200, deadline=None,
          suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_records_become_a_trace_that_nests(
        tmp_path: Path, records: List[Tuple[int, int, int, int, bytes]]) -> None:
    made, ticks = Made(), 0
    made.name("literal")
    for instance, wait, kind, number, payload in records:
        ticks += wait
        made.add(instance, ticks, kind, payload=payload, number=number)
    found = timeline(made, tmp_path)
    assert found.notes == tuple(note for note in found.notes if "without a begin" not in note
                                or found.processes[0].facts["dropped_ends"])


def rich() -> bytes:
    made = Made()
    site = made.stack(BASE + 0x1010)
    made.modules = MODULE.format(start=BASE + 0x1000, end=BASE + 0x2000, id="-", path="/gone/l.so")
    for instance in (1, 2):
        for number in range(12):
            made.add(instance, 100 * number, BEGIN, "literal")
            made.add(instance, 100 * number + 10, WAIT_BEGIN, number=LOCK, payload=u64(4096, site))
            made.add(instance, 100 * number + 20, WAIT_END, number=LOCK, payload=u64(0))
            made.add(instance, 100 * number + 50, END)
    return made.file()


@pytest.mark.parametrize("depth", [-1, 2 ** 31 - 1, 10 ** 6, 1030])
def test_a_stack_that_claims_to_be_deeper_than_the_file(tmp_path: Path, depth: int) -> None:
    made = Made()
    made.add(1, 1, WAIT_BEGIN, number=LOCK, payload=u64(0, made.stack(BASE + 0x1010)))
    data = bytearray(made.file())
    struct.pack_into("<i", data, SITES_AT + 28, depth)
    path = tmp_path / "deep.ring"
    path.write_bytes(data)
    trace = recover.recover(path)
    assert trace.events == 3 and trace.skipped == {"damaged records": 1}


def test_a_name_that_claims_to_be_longer_than_its_table(tmp_path: Path) -> None:
    made = Made()
    made.add(1, 1, BEGIN, "name")
    data = bytearray(made.file())
    struct.pack_into("<I", data, NAMES_AT + 16 + 12, 2 ** 20)
    path = tmp_path / "long.ring"
    path.write_bytes(data)
    trace = recover.recover(path)
    assert trace.skipped == {"damaged records": 1} and max(map(len, trace.strings)) < 100


@given(st.integers(0, 10 ** 6), st.binary(min_size=1, max_size=16))
@settings(max_examples=300, deadline=None,
          suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_damage_anywhere_is_survived(tmp_path: Path, at: int, noise: bytes) -> None:
    data = bytearray(rich())
    at %= len(data)
    data[at:at + len(noise)] = noise
    survives(bytes(data), tmp_path)


def test_cut_off_anywhere_is_survived(tmp_path: Path) -> None:
    data, last = rich(), 0
    for size in [*range(0, 1100), *range(1100, len(data), 97)]:
        events = survives(data[:size], tmp_path)
        assert events >= last or size < CHUNKS_AT
        last = events


def survives(data: bytes, tmp_path: Path) -> int:
    """Recovers what there is; the number of events, 0 when it was refused in one line."""
    path = tmp_path / "damaged.ring"
    path.write_bytes(data)
    try:
        trace = recover.recover(path)
    except GraderError as error:
        assert "\n" not in str(error) and str(error).startswith(str(path))
        return 0
    nests(assemble.timeline(trace))
    perfetto_write.dump(trace)
    return trace.events


def test_stacks_have_names_and_lines(tmp_path: Path) -> None:
    compiler, tool = shutil.which("gcc") or shutil.which("cc"), shutil.which("addr2line")
    if not compiler or not tool:
        pytest.skip("no compiler or no addr2line")
    source, library = tmp_path / "code.c", tmp_path / "code.so"
    source.write_text("static inline int inner(int n)\n{\n    return n * 3;\n}\n"
                      "int outer(int n)\n{\n    return inner(n) + 1;\n}\n")
    subprocess.run([compiler, "-g", "-O0", "-shared", "-fPIC", "-Wl,--build-id", "-o", library,
                    source], check=True)
    listing = subprocess.run(["nm", library], check=True, capture_output=True, text=True).stdout
    address = next(int(line.split()[0], 16) for line in listing.splitlines()
                   if line.endswith(" outer"))
    made = Made()
    site = made.stack(BASE + address + 6)
    made.add(1, 1, WAIT_BEGIN, number=LOCK, payload=u64(0, site))
    elf = ring_elf(library)
    for build_id, expected in ((elf, "outer (code.c:"), ("00ff", "code.so+0x"), ("-", "outer (")):
        made.modules = MODULE.format(start=BASE, end=BASE + 0x10000, id=build_id, path=library)
        found = timeline(made, tmp_path)
        stack = found.details[found.threads[0].slices.detail[0]]["stack"]
        assert str(stack).startswith(expected)


def ring_elf(path: Path) -> str:
    from graders.elf import Elf
    return Elf(path).build_id()


def test_the_command_recovers(tmp_path: Path) -> None:
    path = tmp_path / "t.pftrace.ring"
    path.write_bytes(rich())
    done = graders("trace", "--recover", path)
    assert done.code == 0 and "t.pftrace: 97 events;" in done.out
    assert graders("trace", tmp_path / "t.pftrace", "--regions").code == 0
    again = graders("trace", "--recover", path)
    assert again.code == 2 and "is there already; name another file with -o" in again.err
    assert graders("trace", "--recover", path, "-o", tmp_path / "other").code == 0
    assert (tmp_path / "other").read_bytes() == (tmp_path / "t.pftrace").read_bytes()
    plain = graders("trace", path)
    assert plain.code == 2 and f"trace --recover {path}" in plain.err and plain.err.count("\n") == 1
    wrong = graders("trace", "--recover", tmp_path / "other", "-o", tmp_path / "x")
    assert wrong.code == 2 and "is no ring file" in wrong.err


def test_the_layout_is_that_of_the_header() -> None:
    """perflab.h asserts its own offsets; these are the numbers that both sides agree on."""
    text = (REPOSITORY / "perflab.h").read_text(encoding="utf-8")
    order = ["THREAD", "THREAD_END", "BEGIN", "END", "INSTANT", "COUNTER", "LOG", "TASK_BEGIN",
             "TASK_END", "TASK_ENTER", "TASK_LEAVE", "FLOW_OUT", "FLOW_IN", "WAIT_BEGIN",
             "WAIT_END", "SAMPLE", "SCHED", "NAME", "LOST", "TEXT"]
    enum = text[text.index("PLI_RECORD_THREAD = 1"):]
    enum = enum[:enum.index("};")]
    found = [word.strip(" ,=1") for word in enum.replace(",", " ").split()
             if word.startswith("PLI_RECORD_")]
    assert found == ["PLI_RECORD_" + name for name in order]
    assert [getattr(ring, name) for name in order] == list(range(1, 21))
