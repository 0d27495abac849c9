"""PERFLAB=cpu=FILE,hz=N: every way to end writes, and what is wrong is said."""
from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from conftest import Profiled

def test_children_without_time_leave_no_file(profiled: Profiled) -> None:
    """A shell forks for everything."""
    profiled.run(["bash", "-c", "for i in $(seq 50); do x=$(:); done"], "cpu=cpu.pb.gz,hz=1")
    assert [path.name for path in profiled.profiles()] == ["cpu.pb.gz"]


@pytest.mark.parametrize("how, status", [("return", 0), ("exit", 3), ("_exit", 4), ("_Exit", 5),
                                         ("thread", 0), ("chdir", 0), ("vfork", 0), ("exec", 0)])
def test_every_way_to_end_writes(profiled: Profiled, program: Path, how: str,
                                 status: int) -> None:
    under = profiled.run([str(program), how])
    assert (under.status, under.stderr) == (status, b"")
    assert [path.name for path in profiled.profiles()] == ["cpu.pb.gz"]
    assert profiled.seconds() > 0.15


def test_a_forked_child_has_its_own(profiled: Profiled, program: Path) -> None:
    profiled.run([str(program), "fork"])
    own, child = profiled.profiles()
    assert own.name == "cpu.pb.gz" and child.name.startswith("cpu.pb.gz.")
    assert profiled.seconds() == pytest.approx(0.4, abs=0.08)


def test_the_mark_of_the_process_in_the_name(profiled: Profiled, program: Path) -> None:
    profiled.run([str(program), "fork"], "cpu=cpu.pb.gz-%p,hz=1000")
    assert len(profiled.profiles()) == 2


@pytest.mark.parametrize("round_", range(20))
def test_deadly_signals_write_at_any_moment(profiled: Profiled, program: Path,
                                            round_: int) -> None:
    """In the middle of malloc, with two threads at it: written, and the status is the signal's."""
    number = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)[round_ % 3]
    environment = dict(os.environ, LD_PRELOAD=str(profiled.library),
                       PERFLAB="cpu=cpu.pb.gz,hz=1000")
    with subprocess.Popen([str(program), "wait"], cwd=profiled.folder, env=environment,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout and process.stdout.readline() == b"ready\n"
        time.sleep(0.02 + round_ * 0.0037)
        process.send_signal(number)
        _, said = process.communicate(timeout=20)
    assert (process.returncode, said) == (-number, b"")
    assert profiled.seconds() > 0
    assert [path.name for path in profiled.folder.iterdir()] == ["cpu.pb.gz"]


@pytest.mark.parametrize("setting, complaint", [
    ("cpu=cpu.pb.gz,foo=1,bar=2", "unknown key 'foo'; known are: cpu heap block mutex trace hz"),
    ("heap=", "write heap=FILE"),
    ("heap=/nowhere/heap.pb.gz", "heap=/nowhere/heap.pb.gz: its folder cannot be written to"),
    ("heaprate=0", "heaprate='0' is not a number from 1"),
    ("mutexfraction=-1", "mutexfraction='-1' is not a number from 1"),
    ("memlimit=3x", "memlimit=3x: write bytes (k, m and g may follow), or cgroup"),
    ("memlimit=", "memlimit=: write bytes"),
    ("memlimit=99999999999g", "memlimit=99999999999g: write bytes"),
    ("signal=KILL", "signal=KILL: write USR1, USR2"),
    ("signal=9", "signal=9: write USR1, USR2"),
    ("cpu=cpu.pb.gz,hz=0", "hz='0' is not a number from 1 to 10000"),
    ("hz=abc", "hz='abc' is not a number from 1 to 10000"),
    ("cpu=", "write cpu=FILE"),
    ("cpu", "write cpu=FILE"),
    ("cpu=/nowhere/cpu.pb.gz", "folder cannot be written to"),
    ("cpu=/dev/full", "/dev/full: input or output failed"),
])
def test_what_is_wrong_is_said_once_in_a_line(profiled: Profiled, program: Path, setting: str,
                                              complaint: str) -> None:
    """And the program runs on as if nothing had been."""
    under = profiled.run([str(program), "exit", "0.02"], setting)
    lines = under.stderr.decode().splitlines()
    assert under.status == 3
    assert len(lines) == 1 and lines[0].startswith("perflab: PERFLAB: ") and complaint in lines[0]


def test_libc_functions_have_the_names_that_people_know(profiled: Profiled,
                                                        program: Path) -> None:
    """Also what was called through the kernel's own library."""
    profiled.run([str(program), "return", "0.5"])
    shares = profiled.functions()
    assert "malloc" in shares or "_int_malloc" in shares or "_int_free" in shares
    assert not any(name.startswith("__strlen_") for name in shares)
