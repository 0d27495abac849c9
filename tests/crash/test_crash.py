"""pl_crash_install: what a program says before it dies, and that it dies as it would have."""
from __future__ import annotations

import re
import resource
import signal
import subprocess
from pathlib import Path
from typing import Dict, List, Tuple

import pytest
from conftest import BUILDS, Builder

from graders.elf import Elf

FRAME = re.compile(r"#(\d+) +0x([0-9a-f]{16})  (.+?)(?:\+0x[0-9a-f]+)?  (?:\S+:\d+  )?(.+)$")
Report = Tuple[int, str]
# how the program crashes: the signal, what is said of it, and the innermost functions
WAYS: Dict[str, Tuple[int, str, List[str]]] = {
    "null": (signal.SIGSEGV, "there is no memory at the address: 0x0000000000000000",
             ["write_to_nothing", "main"]),
    "divide": (signal.SIGFPE, "integer division by zero: 0x", ["divide", "main"]),
    "trap": (signal.SIGILL, "not an instruction, or __builtin_trap: 0x", ["trap", "main"]),
    "abort": (signal.SIGABRT, "abort was called", ["abort", "give_up", "main"]),
    "raise": (signal.SIGSEGV, "raised by the program", ["ask_to_end", "main"]),
    "breakpoint": (signal.SIGTRAP, "raised by the program", ["main"]),
    "bus": (signal.SIGBUS, "behind the end of the file that is mapped there: 0x",
            ["write_to_nothing", "behind_the_file", "main"]),
    "jump-null": (signal.SIGSEGV, "there is no memory at the address", ["call", "main"]),
    "jump-data": (signal.SIGSEGV, "this memory must not be used so: 0x", ["call", "main"]),
    "wild": (signal.SIGSEGV, "an address that no memory can have", ["write_to_nothing", "main"]),
    "thread": (signal.SIGSEGV, "there is no memory", ["write_to_nothing", "crash_there"]),
    "overflow": (signal.SIGSEGV, "at the end of the stack: it has overflowed", ["deeper"]),
}



def run(program: Path, *arguments: str, core: int = 0) -> Report:
    """Status and report."""
    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_CORE, (core, core))

    done = subprocess.run([str(program), *arguments], stdout=subprocess.DEVNULL,
                          stderr=subprocess.PIPE, timeout=60, text=True, errors="replace",
                          preexec_fn=limit, cwd=program.parent)
    return done.returncode, done.stderr


def functions(report: str, thread: str = "[crashed]") -> List[str]:
    """The functions of a thread's stack, innermost first."""
    part = report.split(f"{thread}:\n", 1)[1].split("\n\n", 1)[0]
    frames = [FRAME.match(line) for line in part.splitlines()]
    return [match[3] for match in frames if match]


def in_order(wanted: List[str], found: List[str]) -> bool:
    """Whether all are found, in this order, maybe with others between."""
    rest = iter(found)
    return all(name in rest for name in wanted)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("build", ["gcc", "clang", "gcc-O0", "no-pie", "musl"])
def test_every_fault_is_named_and_has_its_stack(built: Builder, build: str, way: str) -> None:
    number, words, stack = WAYS[way]
    status, report = run(built(build), way)
    assert status == -number
    assert re.search(rf"perflab: the program crashed: {signal.Signals(number).name}, "
                     rf".*{re.escape(words)}", report), report
    assert in_order(stack, functions(report)), report


@pytest.mark.parametrize("build", ["gcc", "clang", "gcc-O0", "no-pie", "musl"])
def test_a_crash_inside_malloc_is_reported_without_it(built: Builder, build: str) -> None:
    """Its lists lead nowhere: it notices that, or follows them, as addresses happen to be."""
    status, report = run(built(build), "malloc")
    assert status in (-signal.SIGABRT, -signal.SIGSEGV)
    assert in_order(["in_malloc", "main"], functions(report)) and "\nmodules:\n" in report, report


@pytest.mark.parametrize("build", [name for name in BUILDS if name != "stripped"])
def test_all_threads_are_told_of(built: Builder, build: str) -> None:
    """Those that sleep and those that compute."""
    status, report = run(built(build), "null")
    assert status == -signal.SIGSEGV
    for function in ("write_to_nothing", "spinner", "sleeper"):
        assert f"  {function}+0x" in report, report
    assert "[running]" in report and "nanosleep]" in report, report


def test_the_registers_are_those_of_the_fault(built: Builder) -> None:
    _, report = run(built("no-pie"), "jump-null")
    assert re.search(r"\brip +0x0000000000000000\b", report), report


def test_the_report_ends_with_the_modules_and_their_build_ids(built: Builder) -> None:
    program = built("gcc")
    _, report = run(program, "null")
    identity = Elf(program).build_id()
    assert len(identity) == 40
    assert re.search(rf"^0x[0-9a-f]{{16}}-0x[0-9a-f]{{16}}  {program}  build id {identity}$",
                     report.split("\nmodules:\n")[1], re.MULTILINE), report


def test_a_stripped_program_gives_module_and_offset(built: Builder) -> None:
    program = built("stripped")
    _, report = run(program, "null")
    stack = report.split("[crashed]:\n")[1].split("\n\n")[0].splitlines()
    assert re.match(rf"#0   0x[0-9a-f]{{16}}  \[program\+0x[0-9a-f]+\]\+0x[0-9a-f]+  "
                    rf"{program}\+0x[0-9a-f]+$", stack[0])


@pytest.mark.parametrize("build", ["gcc", "clang", "gcc-O0"])
def test_a_thread_may_overflow_its_stack(built: Builder, build: str) -> None:
    """Threads that start after the installation have a stack for signals."""
    status, report = run(built(build), "overflow-thread")
    assert status == -signal.SIGSEGV
    assert "it has overflowed" in report and functions(report)[0] == "deeper"
    assert re.search(r"^ {5}\.\.\. the same \d+ times more$", report, re.MULTILINE)


def test_a_smashed_stack_is_followed_as_far_as_it_goes(built: Builder) -> None:
    status, report = run(built("gcc"), "smash")
    assert status in (-signal.SIGSEGV, -signal.SIGABRT)
    assert functions(report)[0] == "smash" and "\nmodules:\n" in report


def test_two_threads_crash_at_once_and_there_is_one_report(built: Builder) -> None:
    for _ in range(20):
        status, report = run(built("gcc"), "two")
        assert status == -signal.SIGSEGV
        assert report.count("the program crashed") == 1
        assert report.count("\nmodules:\n") == 1, report


@pytest.mark.parametrize("when", ["handler-before", "handler-after"])
def test_a_handler_of_the_program_stays(built: Builder, when: str) -> None:
    status, report = run(built("gcc"), "null", when)
    assert (status, report) == (40 + signal.SIGSEGV, "the program's own handler\n")


def test_without_the_call_nothing_is_said(built: Builder) -> None:
    assert run(built("gcc"), "null", "without") == (-signal.SIGSEGV, "")


def test_the_environment_asks_for_it(built: Builder, monkeypatch: pytest.MonkeyPatch) -> None:
    """By level: only the thread that crashed, or all; a wrong level is said."""
    monkeypatch.setenv("PERFLAB", "crash=single")
    status, single = run(built("gcc"), "null", "without")
    assert status == -signal.SIGSEGV and "write_to_nothing+0x" in single
    assert "  sleeper+0x" not in single and "\nmodules:\n" in single
    monkeypatch.setenv("PERFLAB", "crash=all")
    assert "  sleeper+0x" in run(built("gcc"), "null", "without")[1]
    monkeypatch.setenv("PERFLAB", "crash=some")
    assert run(built("gcc"), "", "without") == (
        0, "perflab: PERFLAB: crash=some: write none, single, all or core\n")


def test_a_core_is_still_written(built: Builder) -> None:
    """Where the system writes one beside the program, and not to a program of its own."""
    pattern = Path("/proc/sys/kernel/core_pattern").read_text().strip()
    if "/" in pattern or pattern.startswith("|"):
        return
    program = built("gcc")
    for old in program.parent.glob("core*"):
        old.unlink()
    run(program, "null", core=64 << 20)
    cores = list(program.parent.glob("core*"))
    assert len(cores) == 1 and cores[0].stat().st_size > 0
