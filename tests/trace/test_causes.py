"""Programs with a known cause, traced and read as a user does it: the report names the culprit."""
from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Callable, Dict, List

import pytest
from conftest import ROOT

PROGRAMS = Path(__file__).resolve().parent / "programs"
TRIES = 3           # a machine that others use may hide a cause
Build = Callable[[str], Path]


@pytest.fixture(scope="session")
def build(folder: Path) -> Build:
    """A program, linked with perflab as a separate object."""
    library = folder / "perflab.o"
    subprocess.check_call(["cc", "-O2", "-g", "-DPERFLAB_IMPL", "-x", "c", "-c",
                           str(ROOT / "perflab.h"), "-o", str(library)])

    def one(name: str) -> Path:
        program = folder / name
        subprocess.check_call(["cc", "-O1", "-g", "-Wall", "-Wextra", "-Werror", "-I", str(ROOT),
                               str(PROGRAMS / f"{name}.c"), str(library), "-o", str(program),
                               "-pthread", "-ldl"])
        return program
    return one


def report(trace: Path) -> Dict[str, Any]:
    done = subprocess.run([sys.executable, "-m", "graders", "trace", "--json", str(trace)],
                          cwd=ROOT, stdout=subprocess.PIPE, check=True, timeout=120)
    found: Dict[str, Any] = json.loads(done.stdout)
    return found


def traced(program: Path, folder: Path) -> Dict[str, Any]:
    """What the program did, and what it printed."""
    trace = folder / f"{program.name}.pftrace"
    trace.unlink(missing_ok=True)
    done = subprocess.run([str(program), str(trace)], stdout=subprocess.PIPE, check=True,
                          timeout=120)
    return {**report(trace), "printed": done.stdout.decode()}


def line_of(name: str, text: str) -> int:
    """The line of a program that has this text."""
    lines = (PROGRAMS / f"{name}.c").read_text(encoding="utf-8").splitlines()
    found = [number for number, line in enumerate(lines, 1) if text in line]
    assert len(found) == 1
    return found[0]


def cause(program: Path, folder: Path, kind: str) -> Dict[str, Any]:
    """The finding of this kind; the first of all, but that the machine is busy."""
    kinds: List[str] = []
    for _ in range(TRIES):
        findings = [item for item in traced(program, folder)["findings"]
                    if item["kind"] != "busy-machine"]
        kinds = [item["kind"] for item in findings]
        if kinds[:1] == [kind]:
            return dict(findings[0])
    raise AssertionError(f"not {kind}, but {kinds}")


def test_a_lock_held_across_a_sleep(build: Build, folder: Path) -> None:
    found = cause(build("held"), folder, "lock-held-asleep")
    sleep, lock = line_of("held", "usleep(40000)"), line_of("held", "lines++;") - 1
    assert (found["function"], found["line"]) == ("flush_log", f"held.c:{sleep}")
    assert f"flush_log (held.c:{sleep}) sleeps while up to 4 threads wait for the lock taken at " \
        f"add_line (held.c:{lock})" in found["text"]


def test_too_many_workers(build: Build, folder: Path) -> None:
    found = cause(build("crowd"), folder, "too-many-threads")
    assert found["function"] == "hash_block"
    first = line_of("crowd", "static uint64_t hash_block")
    assert first < int(found["line"].rpartition(":")[2]) < first + 6
    assert re.search(r": 6[345] threads( 'worker')? (on|where)", found["text"])


def test_one_slow_stage(build: Build, folder: Path) -> None:
    found = cause(build("stage"), folder, "slow-stage")
    assert found["function"] == "compress_item"
    first = line_of("stage", "static void compress_item")
    assert first < int(found["line"].rpartition(":")[2]) < first + 7
    assert "one slow stage: 'compress' (thread compressor" in found["text"]


def recovered(ring: Path, trace: Path) -> Dict[str, Any]:
    """The report of a ring file."""
    trace.unlink(missing_ok=True)
    subprocess.run([sys.executable, "-m", "graders", "trace", "--recover", str(ring), "-o",
                    str(trace)], cwd=ROOT, stdout=subprocess.DEVNULL, check=True, timeout=120)
    return report(trace)


def test_the_ring_file_says_the_same_as_the_trace(build: Build, folder: Path) -> None:
    """But for the rate of the clock, which is known a little better at the end."""
    written = traced(build("both"), folder)
    found = recovered(folder / "both.pftrace.copy", folder / "both.recovered")
    for one, other in zip(found["regions"] + found["tasks"], written["regions"] + written["tasks"]):
        assert (one["name"], one["count"]) == (other["name"], other["count"])
        assert abs(one["max_ns"] - other["max_ns"]) < 10_000
    waits, those = ({(row["cause"], own_frames(row["stack"])): (row["count"], row["total_ns"])
                     for row in item["waits"]} for item in (found, written))
    assert waits.keys() == those.keys() and len(waits) == 3
    for place, (count, total) in waits.items():
        assert count == those[place][0] and abs(total - those[place][1]) < 10_000
    sleep = line_of("both", "usleep(3000)")
    call = line_of("both", "    pause_inlined();")
    assert f"pause_inlined (both.c:{sleep}) < pause_with_lock (both.c:{call})" in \
        [frames for cause, frames in waits if cause == "sleep"][0]
    assert [(item["name"], item["count"], item["max"]) for item in found["counters"]
            if item["name"] == "turns"] == [("turns", 30, 9.0)]


def own_frames(stack: str) -> str:
    """The frames of the program: what is known of libraries may differ."""
    return " < ".join(frame for frame in stack.split(" < ") if "both.c" in frame)


def test_a_killed_program_says_what_it_was_doing(build: Build, folder: Path) -> None:
    program, trace, kinds = build("held"), folder / "killed.pftrace", [""]
    for _ in range(TRIES):
        running = subprocess.Popen([str(program), str(trace)])
        time.sleep(1.2)
        running.kill()
        running.wait(timeout=60)
        found = recovered(folder / "killed.pftrace.ring", trace)
        assert len(found["threads"]) == 6
        assert any("still open at the end" in note for note in found["notes"])
        kinds = [item["kind"] for item in found["findings"]]
        if "lock-held-asleep" in kinds:
            return
    raise AssertionError(kinds)


def test_a_known_schedule_comes_back(build: Build, folder: Path) -> None:
    """Threads that spin, sleep and lock by a script: within 2 % of what they say of themselves."""
    program, faults = build("schedule"), [""]
    for _ in range(TRIES):
        found = traced(program, folder)
        threads = {item["name"]: item for item in found["threads"]}
        faults = []
        for line in found["printed"].splitlines():
            name, *values = line.split()
            faults += compare(threads[name], *map(int, values))
        if not faults:
            return
    raise AssertionError("\n".join(faults))


def compare(thread: Dict[str, Any], cpu: int, slept: int, locked: int) -> List[str]:
    """What is off by more than 2 % of the thread's life."""
    life, blocked = thread["life_ns"], thread["blocked_ns"]
    whole = (thread["running_ns"] + thread["runnable_ns"] + sum(blocked.values())
             + thread["idle_ns"] + thread["unknown_ns"])
    rows = [("life", thread["end_ns"] - thread["start_ns"], whole), ("running", cpu,
                                                                    thread["running_ns"]),
            ("sleep", slept, blocked.get("sleep", 0)), ("lock", locked, blocked.get("lock", 0)),
            ("idle", 0, thread["idle_ns"] + thread["unknown_ns"])]
    return [f"{thread['name']}: {what} {want} ns, but {got} were found" for what, want, got in rows
            if abs(got - want) > 0.02 * life]
