"""Evidence from the kernel, the heap and workload.c, of a lab whose figures are known: 91_tidy."""
from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Dict

import pytest
from fixture_lab import ROOT, copy_of_the_lab, graders

from graders import diagnosis, grade, lab, verdict

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
    ("`threads()` files blocks", True, "right"), ("threads, files", False, "2 of 3"),
    ("threads, files, blocks, sockets", False, "'sockets' is not one of the 3"),
    ("threads threads threads", False, "1 of 3")])
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


def test_a_machine_with_too_few_cores_is_not_the_students_fault() -> None:
    words = grade.too_few(1, 2)
    assert "1 core " in words and "needs 2" in words


def test_code_that_waits_by_itself_is_measured_after_all() -> None:
    """A machine that is busy for both sides never makes a pair count."""
    own = verdict.OwnWaiting()
    said = [own.judge(verdict.STUDENT_WAITED) for _ in range(verdict.OwnWaiting.PATIENCE + 3)]
    assert all(said[:verdict.OwnWaiting.PATIENCE]) and said[-1] == ""
    other = verdict.OwnWaiting()
    assert other.judge("") == ""
    assert all(other.judge(verdict.STUDENT_WAITED) for _ in range(50))
    third = verdict.OwnWaiting()
    assert all(third.judge(verdict.SLOW_WAITED) for _ in range(50))


def test_the_gate_knows_how_many_threads_slow_has() -> None:
    assert verdict.gate_wall(1000, 1000, 1000, 500, 2) == ""
    assert verdict.gate_wall(1000, 1000, 1000, 500, 2, 2) == verdict.SLOW_WAITED
    assert verdict.gate_wall(2000, 1000, 1000, 500, 2, 2) == ""
