"""The flight recorder in whole programs: what is in a snapshot, and what is left behind."""
from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import decoder
import pytest
from conftest import FLAGS, HERE, LIBRARIES, ROOT

ASKED = "flight=f.pftrace,flightage=500ms,slowtask=request:100ms"


@pytest.fixture(scope="session")
def flown(folder: Path) -> Path:
    """flown.c, with the implementation."""
    program, object_ = folder / "flown", folder / "flown.o"
    subprocess.check_call(FLAGS + ["-DPERFLAB_IMPL", "-x", "c", "-c", str(ROOT / "perflab.h"), "-o",
                                   str(object_)])
    subprocess.check_call(FLAGS + [str(HERE / "flown.c"), str(object_), "-o", str(program)] +
                          LIBRARIES)
    return program


def run(program: Path, asked: str, cwd: Path, *more: str) -> "subprocess.CompletedProcess[bytes]":
    """In an empty folder."""
    return subprocess.run([str(program), *more], env=dict(os.environ, PERFLAB=asked), cwd=cwd,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60)


def test_a_slow_request(flown: Path, tmp_path: Path) -> None:
    """Nothing older than the age, all threads, and where the one is that did not come back."""
    done = run(flown, ASKED, tmp_path)
    assert (done.returncode, done.stderr) == (0, b"")
    assert [path.name for path in tmp_path.iterdir()] == ["f.pftrace"]
    trace = decoder.read(tmp_path / "f.pftrace")
    assert trace.facts()["flight"] == "1"
    assert [s.name for s in trace.slices("region")] == ["slow"]
    task, = trace.slices("task")
    assert task.name == "request" and task.ns >= 150_000_000
    read, = (s for s in trace.slices("blocked") if s.name == "read")
    assert "read_for_ever" in str(read.notes["stack"]) and read.notes["repaired"] == "unclosed"
    assert {s.name for s in trace.slices("blocked")} == {"read", "sleep"}
    first = min(s.begin for s in trace.slices("blocked"))
    assert task.end - first <= 700_000_000


def test_killed(flown: Path, tmp_path: Path) -> None:
    """The events stay behind, and who was waiting where."""
    assert run(flown, ASKED, tmp_path, "kill").returncode == -signal.SIGKILL
    assert sorted(path.name for path in tmp_path.iterdir()) == ["f.pftrace", "f.pftrace.ring"]
    subprocess.check_call([sys.executable, "-m", "graders", "trace", "--recover",
                           str(tmp_path / "f.pftrace.ring"), "-o", str(tmp_path / "r.pftrace")],
                          cwd=ROOT, stdout=subprocess.DEVNULL)
    trace = decoder.read(tmp_path / "r.pftrace")
    assert [s.name for s in trace.slices("region")] == ["fast"] * 20 + ["slow"]
    read, = (s for s in trace.slices("blocked") if s.name == "read")
    assert "read_for_ever" in str(read.notes["stack"]) and read.notes["repaired"] == "unclosed"


@pytest.mark.parametrize("asked, complaint", [
    ("flight=f,slowtask=request", "slowtask=request: write a task and a time, as in "
                                  "slowtask=request:50ms"),
    ("flight=f,flightage=2", "flightage=2: write a time, as in flightage=2s"),
    ("flight=f,flightsignal=KILL", "flightsignal=KILL: write USR1, USR2, HUP"),
    ("flight=", "write flight=FILE"),
    ("flight=/no/such/folder/f", "flight=/no/such/folder/f: its folder cannot be written to"),
])
def test_mistakes(flown: Path, tmp_path: Path, asked: str, complaint: str) -> None:
    """One line each; the program runs on."""
    done = run(flown, asked, tmp_path)
    assert done.returncode == 0 and complaint in done.stderr.decode()
    assert done.stderr.count(b"\n") == 1
