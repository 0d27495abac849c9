"""Evidence from the kernel, the heap and workload.c, of a lab whose figures are known: 91_tidy."""
from __future__ import annotations

import json
import os
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any, Dict, Iterator

import pytest
from fixture_lab import ROOT, copy_of_the_lab, graders
from samples import RESULTS

from graders import build, compiler, diagnosis, evidence, lab, machine, screen, verdict
from graders.rig import SLOW, STUDENT, Rig
from graders.worker import Judge

TIDY = ROOT / "labs" / "91_tidy"
CLEAN = ROOT / "solutions" / "91_tidy"


def graded(submission: Path, root: Path = ROOT) -> Dict[str, Any]:
    done = graders("grade", "91", "--submission", str(submission), "--format", "json", root=root)
    assert not done.err, done.err
    return {**json.loads(done.out), "code": done.code}


def test_every_kind_tells_what_slow_does() -> None:
    """A block of 24 bytes a note, two descriptors and a thread are left; 20 writes, 3 calls."""
    result = graded(TIDY)
    values = {found["name"]: found["value"] for found in result["evidence"]}
    assert values == {
        "blocks": 2000, "growth": 24, "peak": 24, "descriptors": 2, "threads": 1, "calls": 20,
        "sum": 3, "resident": pytest.approx(32, rel=0.15)}      # 24 and malloc's own 8
    assert result["code"] == 1 and result["state"] == "FAIL" and result["time"] is None
    assert result["points"]["total"] == 0


def test_the_solution_passes_without_a_clock() -> None:
    result = graded(CLEAN)
    assert result["code"] == 0 and result["points"]["total"] == 100
    values = {found["name"]: found["value"] for found in result["evidence"]}
    assert values.pop("sum") == 1
    assert values.pop("resident") < 2
    assert set(values.values()) == {0}


def test_no_report_speaks_of_time() -> None:
    screen = graders("grade", "91", "--submission", str(TIDY)).out
    assert "  time  " not in screen and "evidence" in screen
    assert 'name="time"' not in graders("grade", "91", "--submission", str(TIDY),
                                        "--format", "junit").out


@pytest.mark.parametrize("given,passed,words", [
    ("blocks, descriptors, threads", True, "right"), ("threads,memory;files", True, "right"),
    ("`threads()` files blocks", True, "right"), ("threads(a, b), files, memory", True, "right"),
    ("threads, files", False, "3 are wanted"),
    ("threads, files, blocks, sockets", False, "3 are wanted"),
    ("threads threads threads", False, "3 are wanted")])
def test_all_of_several_words(given: str, passed: bool, words: str, tmp_path: Path) -> None:
    path = tmp_path / "answers.ini"
    path.write_text(f"[answers]\nsites = {given}\n")
    found = diagnosis.check(lab.load(ROOT, "91"), path, {})[0]
    assert found.passed is passed and words in found.text


@pytest.mark.parametrize("old,new,says", [
    ("counter = calls\ntitle", "title", "'counter = NAME' belongs to the kind counted"),
    ("time = 0\nevidence = 60", "time = 10\nevidence = 50", "has to be 0 where clock = none"),
    ("kind = live_bytes_per_n\ntitle = bytes left for each note\nmax = 0\nsizes = 1000 3000",
     "kind = live_bytes_per_n\ntitle = bytes left for each note\nmax = 0\nsizes = 1000",
     "at least 2 different sizes"),
    ("counter = calls\ntitle", "counter = nothing\ntitle", "counts nothing called 'nothing'")])
def test_faults_of_a_lab(tmp_path: Path, old: str, new: str, says: str) -> None:
    copy_of_the_lab(tmp_path)
    manifest = tmp_path / "labs" / "91_tidy" / "lab.ini"
    text = manifest.read_text()
    assert old in text
    manifest.write_text(text.replace(old, new, 1))
    done = graders("grade", "91", root=tmp_path)
    assert done.code == 2 and says in done.err and done.err.count("\n") == 1


def test_two_threads_need_two_cores() -> None:
    """On fewer there is no verdict, and it is said whose fault that is not."""
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(allowed)})
    try:
        done = graders("grade", "92", "--submission", str(ROOT / "solutions" / "92_both"))
    finally:
        os.sched_setaffinity(0, allowed)
    words = " ".join(done.out.split())
    assert done.code == 75 and "INCONCLUSIVE" in words
    assert "offers 1 core of one kind, the operation needs 2 at once" in words
    assert "could not be timed here" in words and "noisy" not in words


@pytest.mark.parametrize("side,wrong", [("labs", "PASS"), ("solutions", "FAIL")])
def test_elapsed_time_of_two_threads(side: str, wrong: str) -> None:
    """A busy machine may leave it open, and never turns it round."""
    done = graders("grade", "92", "--submission", str(ROOT / side / "92_both"), "--format", "json")
    result = json.loads(done.out)
    time = result["time"]
    assert result["error"] is None and time["state"] != wrong
    assert len(result["extra"]["cpus"]) >= min(2, len(os.sched_getaffinity(0)))
    if time["state"] == "INCONCLUSIVE":
        assert "machine busy" in time["note"]
    else:
        assert 2 < time["ratio"] < 4 if side == "solutions" else 0.7 < time["ratio"] < 1.4


def test_each_thread_gets_a_processor_and_no_more() -> None:
    trusted = SimpleNamespace(slow=None, null=None)
    cpus = machine.Cpus((1, 2, 3, 4), 0)
    for threads in (1, 2, 4, 9):
        rig = Rig(trusted, None, None, cpus, "wall", Random(1), threads)    # type: ignore[arg-type]
        seen = set()
        for _ in range(50):
            rig.move()
            assert len(set(rig._where)) == min(threads, 4)
            seen.update(rig._where)
        assert seen == {1, 2, 3, 4}


@pytest.mark.parametrize("kind,words", [
    (replace(RESULTS["noisy"], time=verdict.SignTest(Fraction(2)).decide(note="too few")),
     "could not be timed here"),
    (replace(RESULTS["noisy"], time=RESULTS["pass"].time), "the open row"),
    (RESULTS["noisy"], "too noisy")])
def test_the_next_step_knows_why_it_is_open(kind: Any, words: str) -> None:
    assert words in screen.next_step(kind)


def test_code_that_waits_by_itself_is_measured_after_all() -> None:
    """A machine that is busy for both sides never makes a pair count."""
    own = verdict.OwnWaiting(2, 2)
    said = [own.judge(verdict.STUDENT_WAITED) for _ in range(verdict.OwnWaiting.PATIENCE + 3)]
    assert all(said[:verdict.OwnWaiting.PATIENCE]) and said[-1] == ""
    other = verdict.OwnWaiting(2, 2)
    assert other.judge("") == ""
    assert all(other.judge(verdict.STUDENT_WAITED) for _ in range(50))
    third = verdict.OwnWaiting(2, 2)
    assert all(third.judge(verdict.SLOW_WAITED) for _ in range(50))
    alone = verdict.OwnWaiting(2, 1)        # a busy second processor would look just so
    assert all(alone.judge(verdict.STUDENT_WAITED) for _ in range(50))


def test_the_gate_knows_how_many_threads_slow_has() -> None:
    assert verdict.gate_wall(1000, 1000, 1000, 500, 2) == ""
    assert verdict.gate_wall(1000, 1000, 1000, 500, 2, 2) == verdict.SLOW_WAITED
    assert verdict.gate_wall(2000, 1000, 1000, 500, 2, 2) == ""


@pytest.fixture(scope="module")
def rig_of(build_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Makes a rig of lab 91 with other code on the student's side."""
    recipe = build.Recipe(compiler.find("gcc"), "-O2", build_folder / "labs")
    tidy = lab.read(TIDY)
    trusted = build.build_trusted(tidy, recipe)
    judges = []

    def make(code: str) -> Rig:
        source = tmp_path_factory.mktemp("student") / "student.c"
        source.write_text(START + code)
        student = build.build_student(tidy, source, trusted, recipe)
        judges.append(Judge(trusted.judge))
        return Rig(trusted, student, judges[-1], machine.choose_cpus(), "none", Random(1))
    yield make
    for judge in judges:
        judge.close()


START = """#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "lab.h"
#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>
"""
CALLS = """
size_t note_total(size_t n) {
    char byte = 0;
    int file = memfd_create("notes", 0);
    for (size_t i = 0; i < n; i++) if (pwrite(file, &byte, 1, 0) != 1) return 0;
    close(file);
    return 24 * n;
}
"""
EXCHANGE = """
size_t note_total(size_t n) {
    close(0);
    return memfd_create("notes", 0) == 0 ? 24 * n : 0;
}
"""
GONE = """
static void *nothing(void *unused) { return unused; }

size_t note_total(size_t n) {
    pthread_t threads[50];
    for (int i = 0; i < 50; i++) if (pthread_create(&threads[i], NULL, nothing, NULL)) return 0;
    for (int i = 0; i < 50; i++) pthread_join(threads[i], NULL);
    return 24 * n;
}
"""
PART = """
size_t note_total(size_t n) {
    volatile unsigned long work = 0;
    char block[4096] = {0};
    int file = memfd_create("notes", 0);
    for (size_t i = 0; i < n; i++) {
        for (int k = 0; k < COMPUTE; k++) work++;
        for (int k = 0; k < CALLS; k++) if (pwrite(file, block, sizeof block, 0) < 0) return 0;
    }
    close(file);
    return 24 * n;
}
"""


def test_calls_are_counted_to_the_last_one(rig_of: Any) -> None:
    """The kernel counts a write after its reader has been woken."""
    rig = rig_of(CALLS)
    for n in range(1, 60):
        assert rig.outside(STUDENT, n).system_calls == n


def test_an_open_descriptor_does_not_hide_in_the_place_of_a_closed_one(rig_of: Any) -> None:
    assert rig_of(EXCHANGE).outside(STUDENT, 7).descriptors == 1


def test_threads_that_were_joined_are_not_left(rig_of: Any) -> None:
    """Joining comes a little before the kernel has forgotten them."""
    rig = rig_of(GONE)
    assert [rig.outside(STUDENT, n).threads for n in range(1, 11)] == [0] * 10


@pytest.mark.parametrize("compute,calls,least,most", [
    (20000, 0, 0, 10), (10, 50, 75, 100), (7000, 1, 8, 45)])
def test_the_kernels_share(rig_of: Any, compute: int, calls: int, least: int, most: int) -> None:
    """Also where the smaller part of each run is less than a tick of the kernel's clock."""
    code = PART.replace("COMPUTE", str(compute)).replace("CALLS", str(calls))
    assert least <= rig_of(code).system_share(STUDENT, 2000) <= most


def test_one_with_only_a_minimum_is_judged_by_its_least_value(rig_of: Any) -> None:
    rig = rig_of(CALLS)
    spec = lab.read(TIDY).evidence[-1]
    assert spec.kind == "counted"
    rig._counted = {(side, n, "calls"): n for side in (SLOW, STUDENT) for n in (2, 9)}
    for most, least, value in ((Fraction(5), None, 9), (None, Fraction(5), 2)):
        both = replace(spec, sizes=(2, 9), maximum=most, minimum=least)
        found = evidence.finding(rig, both)
        assert found.value == value and not found.passed
