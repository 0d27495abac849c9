"""Whole programs: what they trace is in the file, however they end."""
from __future__ import annotations

import os
import signal
import subprocess
from collections import Counter
from pathlib import Path
from typing import Dict, List

import decoder
import pytest
from conftest import FLAGS, HERE, LIBRARIES, ROOT


@pytest.fixture(scope="session")
def object_(folder: Path) -> Path:
    """The implementation."""
    target = folder / "perflab.o"
    subprocess.check_call(FLAGS + ["-DPERFLAB_IMPL", "-x", "c", "-c", str(ROOT / "perflab.h"), "-o",
                                   str(target)])
    return target


def built(object_: Path, name: str) -> Path:
    """One of the programs beside this file."""
    program = object_.with_name(name)
    subprocess.check_call(FLAGS + [str(HERE / f"{name}.c"), str(object_), "-o", str(program)] +
                          LIBRARIES)
    return program


@pytest.fixture(scope="session")
def ways(object_: Path) -> Path:
    return built(object_, "ways")


def run(program: Path, way: str, setting: str, cwd: Path) -> subprocess.CompletedProcess:
    """With PERFLAB set."""
    return subprocess.run([str(program), way], env=dict(os.environ, PERFLAB=setting), cwd=cwd,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60)


def regions(path: Path) -> Dict[str, decoder.Slice]:
    """By name."""
    return {s.name: s for s in decoder.read(path).slices("region")}


def test_all_there_is(object_: Path, tmp_path: Path) -> None:
    path = tmp_path / "t.pftrace"
    subprocess.check_call([str(built(object_, "traced")), str(path)])
    trace = decoder.read(path)
    assert [p.name for p in tmp_path.iterdir()] == ["t.pftrace"], "the ring is removed"
    task, = trace.slices("task")
    work = trace.slices("work")
    assert task.name == "request" and [w.name for w in work] == ["request"] * 3
    assert len({w.track for w in work}) == 3
    assert all(task.begin <= w.begin <= w.end <= task.end for w in work)
    assert Counter(s.name for s in trace.slices("region")) == Counter(
        {"work": 3, "n" * 65536: 1, "never ended": 1})
    for region in trace.slices("region"):
        assert (region.notes.get("repaired") == "unclosed") == (region.name == "never ended")
    assert [(e.name, e.notes["text"]) for e in trace.of("log")] == [("who", "worker")] * 3
    flows = trace.of("flow")
    assert Counter(e.name for e in flows) == {"handed on": 1, "taken": 3}
    assert len({e.flows for e in flows}) == 1 and flows[0].name == "handed on"
    joined = [e.value for e in trace.events
              if e.type == decoder.COUNTER and trace.tracks[e.track].name == "joined"]
    assert joined == [1, 2, 3]
    facts = trace.facts()
    assert (facts["overwritten"], facts["lost"], facts["unclosed"]) == (0, 0, 1)


def test_perfettos_own_description_reads_it(object_: Path, tmp_path: Path) -> None:
    """With the classes that Perfetto generates of its .proto files."""
    pb2 = pytest.importorskip("perfetto.protos.perfetto.trace.perfetto_trace_pb2")
    unknown = pytest.importorskip("google.protobuf.unknown_fields")
    path = tmp_path / "t.pftrace"
    subprocess.check_call([str(built(object_, "traced")), str(path)])
    theirs = pb2.Trace()
    theirs.ParseFromString(path.read_bytes())
    assert not len(unknown.UnknownFieldSet(theirs))
    ours = decoder.read(path)
    events = [p for p in theirs.packet if p.HasField("track_event")]
    assert [e.type for e in ours.events] == [p.track_event.type for p in events]
    for packet in theirs.packet:
        assert packet.trusted_packet_sequence_id and not len(unknown.UnknownFieldSet(packet))
        assert not len(unknown.UnknownFieldSet(packet.track_event))
    tracks = [p.track_descriptor for p in theirs.packet if p.HasField("track_descriptor")]
    assert [t.uuid for t in tracks] == list(ours.tracks)
    assert [t.thread.tid for t in tracks if t.HasField("thread")] == \
        [t.tid for t in ours.threads()]


def test_ping_pong_never_goes_backwards(object_: Path, tmp_path: Path) -> None:
    """Each log was written after the one before, in another thread."""
    path = tmp_path / "t.pftrace"
    subprocess.check_call([str(built(object_, "pingpong")), str(path)])
    trace = decoder.read(path)
    numbers: List[int] = [int(e.notes["text"]) for e in trace.of("log")]
    assert numbers == list(range(20000))
    tracks = [e.track for e in trace.of("log")]
    assert len(set(tracks)) == 2 and all(a != b for a, b in zip(tracks, tracks[1:]))


def test_what_the_tracer_adds(ways: Path, tmp_path: Path) -> None:
    """States of the threads, the heap and the number of threads, by themselves."""
    run(ways, "exit", "trace=t.pftrace", tmp_path)
    trace = decoder.read(tmp_path / "t.pftrace")
    nap = next(s for s in trace.slices("blocked") if s.name == "sleep")
    assert nap.ns >= 120e6 and " < main (ways.c:" in str(nap.notes["stack"])
    counters: Dict[str, List[float]] = {}
    for event in trace.events:
        if event.value is not None:
            counters.setdefault(trace.tracks[event.track].name, []).append(event.value)
    assert counters["threads"] == [1]
    assert all(0 <= value < 1e7 for value in counters["heap live bytes"])


@pytest.mark.parametrize("way, status", [("exit", 0), ("_exit", 0), ("term", -signal.SIGTERM),
                                         ("stop", 0), ("busy", 0)])
def test_however_a_program_ends(ways: Path, tmp_path: Path, way: str, status: int) -> None:
    done = run(ways, way, "trace=t.pftrace,tracebytes=1000000", tmp_path)
    assert (done.returncode, done.stderr) == (status, b"")
    assert [p.name for p in tmp_path.iterdir()] == ["t.pftrace"]
    found = regions(tmp_path / "t.pftrace")
    assert set(found) == {"whole", "part"}
    assert 120e6 <= found["part"].ns <= found["whole"].ns
    assert ("repaired" in found["whole"].notes) == (way != "exit")


def test_a_forked_child_has_its_own(ways: Path, tmp_path: Path) -> None:
    done = run(ways, "fork", "trace=t.pftrace", tmp_path)
    assert (done.returncode, done.stderr) == (0, b"")
    first, second = sorted(tmp_path.iterdir())
    assert (first.name, second.name[:10]) == ("t.pftrace", "t.pftrace.")
    assert set(regions(first)) == {"whole", "part"} and set(regions(second)) == {"child"}
    assert decoder.read(second).threads()[0].pid == int(second.name[10:])


def test_an_executed_child_has_its_own(ways: Path, tmp_path: Path) -> None:
    done = run(ways, "exec", "trace=t.%p.pftrace", tmp_path)
    assert (done.returncode, done.stderr) == (0, b"")
    files = sorted(tmp_path.iterdir())
    assert len(files) == 2, files
    for path in files:
        assert set(regions(path)) == {"whole", "part"}
        assert f"t.{decoder.read(path).threads()[0].pid}.pftrace" == path.name


def test_a_signal_writes_it_now(ways: Path, tmp_path: Path) -> None:
    done = run(ways, "dump", "trace=t.pftrace,signal=USR2", tmp_path)
    assert (done.returncode, done.stderr) == (-signal.SIGKILL, b"")
    assert set(regions(tmp_path / "t.pftrace")) == {"whole", "part"}
    assert (tmp_path / "t.pftrace.ring").exists(), "what a killed program leaves"


@pytest.mark.parametrize("setting, said", [
    ("trace=", b"write trace=FILE"),
    ("trace=/nowhere/t", b"trace=/nowhere/t: its folder cannot be written to"),
    ("trace=t,tracebytes=1000",
     b"tracebytes='1000' is not a number from 262144 to 4294967296"),
])
def test_mistakes_are_named(ways: Path, tmp_path: Path, setting: str, said: bytes) -> None:
    done = run(ways, "exit", setting, tmp_path)
    assert done.returncode == 0
    assert done.stderr.splitlines() == [b"perflab: PERFLAB: " + said]


def test_a_program_that_knows_nothing_of_it(folder: Path, tmp_path: Path) -> None:
    """Preloaded; each of its threads is there."""
    library = folder / "libperflab.so"
    subprocess.check_call(FLAGS + ["-shared", "-fPIC", "-DPERFLAB_IMPL", "-x", "c",
                                   str(ROOT / "perflab.h"), "-o", str(library)] + LIBRARIES)
    subprocess.check_call(["sleep", "0.2"], cwd=tmp_path,
                          env=dict(os.environ, LD_PRELOAD=str(library), PERFLAB="trace=t.pftrace"))
    process, = [t for t in decoder.read(tmp_path / "t.pftrace").tracks.values()
                if t.kind == "process"]
    assert (process.name, process.command) == ("sleep", ["sleep 0.2"])
