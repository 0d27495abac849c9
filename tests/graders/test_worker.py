"""One worker and one judge, and what is said of a wrong output."""
from __future__ import annotations

import os
import struct
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Iterator

import pytest
from fixture_lab import ROOT, SOLUTION, SUBMISSIONS
from hypothesis import given
from hypothesis import strategies as st

from graders import build, compiler, lab, sandbox, worker
from graders.model import GraderError, SubmissionError
from graders.worker import Case, Judge, Place, Worker

PLACE = Place((max(os.sched_getaffinity(0)),), 100, 2.0)


@pytest.fixture(scope="module")
def recipe(build_folder: Path) -> build.Recipe:
    return build.Recipe(compiler.find("gcc"), "-O2", build_folder / "labs")


@pytest.fixture(scope="module")
def trusted(recipe: build.Recipe) -> build.Trusted:
    return build.build_trusted(lab.load(ROOT, "90"), recipe)


@pytest.fixture
def judge(trusted: build.Trusted) -> Iterator[Judge]:
    with Judge(trusted.judge) as judge:
        yield judge


def programs(name: str, trusted: build.Trusted, recipe: build.Recipe) -> build.Side:
    path = SOLUTION / "student.c" if name == "solution" else SUBMISSIONS / f"{name}.c"
    return build.build_student(lab.load(ROOT, "90"), path, trusted, recipe)


def test_a_case_belongs_to_its_seed(judge: Judge) -> None:
    first, again, other = judge.make(7, 500), judge.make(7, 500), judge.make(8, 500)
    assert first == again and first.input != other.input
    assert len(first.input) == 500
    assert first.expected == first.input.replace(b" ", b"")


def test_empty_and_large_cases(judge: Judge) -> None:
    assert judge.make(1, 0) == Case(1, 0, b"", b"")
    assert len(judge.make(2 ** 64 - 1, 3_000_000).input) == 3_000_000


def test_one_worker_takes_many_cases(trusted: build.Trusted, judge: Judge) -> None:
    cases = [judge.make(seed, n) for seed, n in enumerate((3000, 0, 1, 999, 3000))]
    taken = 0
    with Worker(trusted.slow.layouts[0], cases[0], PLACE) as one:
        for case in cases:
            one.load(case)
            taken += one.run(case).cpu_ns
            one.unload()
    assert taken > 0


def test_all_layers_are_in_force_here(trusted: build.Trusted, judge: Judge) -> None:
    case = judge.make(1, 10)
    with Worker(trusted.slow.layouts[0], case, PLACE) as one:
        assert sandbox.missing(one.layers) == ()
        assert one.layers & sandbox.PINNED
        assert sandbox.active(one.layers) == ("process", "no-new-privs", "rlimits", "seccomp")


def test_a_worker_sees_nothing_of_its_parent(trusted: build.Trusted, judge: Judge) -> None:
    """Its environment, its descriptors and its processor, from the outside."""
    case, leak = judge.make(1, 10), os.open("/dev/null", os.O_RDONLY)
    os.set_inheritable(leak, True)
    with Worker(trusted.slow.layouts[0], case, PLACE) as one:
        home = Path(f"/proc/{one._pid}")
        assert (home / "environ").read_bytes() == b"PAD=" + b"x" * 100 + b"\0"
        assert {int(entry.name) for entry in (home / "fd").iterdir()} == {0, 1, 2, 3, 4}
        assert os.sched_getaffinity(one._pid) == set(PLACE.cpus)
        assert os.readlink(home / "fd" / "0") == os.devnull
    os.close(leak)


def test_no_descriptor_and_no_process_is_left(trusted: build.Trusted, judge: Judge) -> None:
    case, before = judge.make(1, 100), set(os.listdir("/proc/self/fd"))
    for program in (trusted.slow.layouts[0], Path("/nonexistent")):
        try:
            with Worker(program, case, PLACE) as one:
                pid = one._pid
        except GraderError as error:
            assert "cannot be started" in str(error)
    assert set(os.listdir("/proc/self/fd")) == before
    assert not Path(f"/proc/{pid}").exists()


def test_the_clock_counts_the_operation_and_only_that(trusted: build.Trusted,
                                                      judge: Judge) -> None:
    case = judge.make(1, 60000)
    with Worker(trusted.slow.layouts[0], case, PLACE) as slow:
        slow.load(case)
        time.sleep(0.05)
        run = slow.run(case)
    nothing = Case(0, 0, b"", b"")
    with Worker(trusted.null, nothing, PLACE) as null:
        null.load(nothing)
        floor = null.run(nothing)
    assert run.cpu_ns > 10 * floor.cpu_ns
    assert run.wall_ns >= 0.9 * run.cpu_ns


def test_memory_is_counted_in_the_stats_build_only(trusted: build.Trusted, recipe: build.Recipe,
                                                   judge: Judge) -> None:
    case = judge.make(1, 5000)
    with Worker(programs("solution", trusted, recipe).stats, case, PLACE) as one:
        one.load(case)
        one.run(case)
        used = one.memory()
    assert (used.mallocs, used.frees) == (1, 0)
    assert 5001 <= used.total_bytes <= 5200 and used.live_bytes == used.total_bytes
    assert used.peak_bytes >= used.live_bytes
    with Worker(trusted.slow.layouts[0], case, PLACE) as one, pytest.raises(GraderError):
        one.load(case)
        one.run(case)
        one.memory()


def test_of_what_is_printed_the_beginning_is_kept(trusted: build.Trusted, recipe: build.Recipe,
                                                  judge: Judge) -> None:
    """A worker cannot fill the machine's memory with it."""
    case = judge.make(1, 100)
    for name, size in (("prints", 27), ("prints_much", worker.PRINTED_BYTES)):
        with Worker(programs(name, trusted, recipe).layouts[0], case, PLACE) as one:
            one.load(case)
            one.run(case)
            assert len(one.printed()) == size
            assert os.fstat(one._printed).st_size == worker.PRINTED_BYTES


def test_a_forged_end_has_neither_output_nor_time(trusted: build.Trusted, recipe: build.Recipe,
                                                  judge: Judge) -> None:
    """What is reported as done before it is done is compared as it is then: not done."""
    case = judge.make(1, 5000)
    side = programs("says_done_too_early", trusted, recipe)
    with Worker(side.layouts[0], case, PLACE) as one:
        one.load(case)
        with pytest.raises(SubmissionError) as error:
            one.run(case)
    assert error.value.kind == "wrong-output"


def test_a_worker_that_the_machine_holds_up_does_not_hang(trusted: build.Trusted,
                                                          judge: Judge) -> None:
    """Beside a busy loop on its processor, and with the least right to it."""
    case, cpu = judge.make(1, 60000), PLACE.cpus[0]
    loop = f"import os, time\nos.sched_setaffinity(0, {{{cpu}}})\nend = time.time() + 1\n" \
           "while time.time() < end: pass"
    with Worker(trusted.slow.layouts[0], case, replace(PLACE, seconds=0.2)) as one:
        one.load(case)
        os.sched_setscheduler(one._pid, os.SCHED_IDLE, os.sched_param(0))
        with subprocess.Popen([sys.executable, "-c", loop]):
            run = one.run(case)
    assert run.wall_ns > run.cpu_ns


def test_what_sleeps_or_computes_for_too_long_is_stopped(trusted: build.Trusted,
                                                         recipe: build.Recipe,
                                                         judge: Judge) -> None:
    case = judge.make(1, 100)
    for name in ("endless_loop", "endless_sleep"):
        program = programs(name, trusted, recipe).layouts[0]
        with Worker(program, case, replace(PLACE, seconds=0.5)) as one:
            one.load(case)
            with pytest.raises(SubmissionError) as error:
                one.run(case)
            assert error.value.kind == "hang"


def test_the_memory_between_them_cannot_be_shrunk(trusted: build.Trusted, judge: Judge) -> None:
    """The grader would die reading memory that is gone."""
    with Worker(trusted.slow.layouts[0], judge.make(1, 10), PLACE) as one, \
            pytest.raises(PermissionError):
        os.ftruncate(one._shared, 0)


def test_the_output_size_is_not_believed(trusted: build.Trusted, judge: Judge) -> None:
    case = judge.make(1, 10)
    with Worker(trusted.slow.layouts[0], case, PLACE) as one:
        one.load(case)
        command = one._command

        def lying(letter: str, replies: str, doing: str) -> str:
            reply = command(letter, replies, doing)
            one._memory[16:24] = struct.pack("<Q", 2 ** 63)
            return reply
        one._command = lying    # type: ignore[method-assign]
        with pytest.raises(SubmissionError) as error:
            one.run(case)
    assert error.value.kind == "output-too-large"


def test_a_worker_that_cannot_begin_is_no_fault_of_the_student(trusted: build.Trusted,
                                                               judge: Judge) -> None:
    with pytest.raises(GraderError, match="cannot"):
        with Worker(Path("/bin/true"), judge.make(1, 10), PLACE):
            pass


def test_a_program_for_another_machine_is_named(tmp_path: Path) -> None:
    foreign = tmp_path / "judge"
    foreign.write_bytes(b"\x7fELF nonsense")
    foreign.chmod(0o755)
    with pytest.raises(GraderError, match="judge: cannot be started"):
        Judge(foreign)


@pytest.mark.parametrize("slow_ns,seconds", [(0, 2), (10 ** 8, 2), (10 ** 9, 20), (10 ** 11, 60)])
def test_time_limits_follow_slow(slow_ns: int, seconds: float) -> None:
    assert worker.time_limit(slow_ns) == seconds


@pytest.mark.parametrize("expected,got,words,lines", [
    (b"abc", b"abd", "byte 2 of 3", ["ab >c", "ab >d"]),
    (b"abc", b"ab", "ends after 2 of 3", ["ab >c", "ab > (end)"]),
    (b"abc", b"abcd", "1 byte too many after the right 3", ["abc > (end)", "abc >d"]),
    (b"", b"xy", "2 bytes too many", ["> (end)", ">xy"]),
    (b"a\n", b"a\x1b", "byte 1 of 2", ["a >\\n", "a >\\x1b"]),
    (b"a" * 90 + b"b" * 90, b"a" * 90 + b"c" * 90, "byte 90 of 180",
     ["..." + "a" * 20 + " >" + "b" * 24 + "...", "..." + "a" * 20 + " >" + "c" * 24 + "..."])])
def test_the_first_difference_is_shown(expected: bytes, got: bytes, words: str,
                                       lines: "list[str]") -> None:
    with pytest.raises(SubmissionError) as error:
        worker.compare(Case(5, 100, b"", expected), got)
    assert error.value.kind == "wrong-output"
    assert words in str(error.value) and "size 100 (seed 5)" in str(error.value)
    shown = [line.split(None, 1)[1] for line in error.value.detail.splitlines()]
    assert shown == lines


@given(st.binary(max_size=300), st.binary(max_size=300))
def test_only_equal_outputs_are_right_and_any_others_can_be_shown(one: bytes, two: bytes) -> None:
    if one == two:
        worker.compare(Case(0, 0, b"", one), two)
        return
    with pytest.raises(SubmissionError) as error:
        worker.compare(Case(0, 0, b"", one), two)
    text = str(error.value) + error.value.detail.replace("\n", "")
    assert text.isascii() and text.isprintable()
    assert all(len(line) < 120 for line in error.value.detail.splitlines())
