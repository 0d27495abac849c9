"""Whole gradings of the lab under fixtures/: every kind of submission gets its message and code."""
from __future__ import annotations

import os
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from typing import List, Set

import pytest
from fixture_lab import (LAB, REPOSITORY, SOLUTION, SUBMISSIONS, command_line, copy_of_the_lab,
                         grade, graders)


def expectation(path: Path) -> List[str]:
    """Kind and words, from the first line of a submission."""
    first = path.read_text().splitlines()[0]
    return [part.strip() for part in first.replace("/*", "").split(":", 1)]


@pytest.mark.parametrize("path", sorted(SUBMISSIONS.glob("*.c")), ids=lambda path: path.stem)
def test_each_submission_gets_its_message(path: Path) -> None:
    kind, words = expectation(path)
    result = grade(path)
    if kind in ("ok", "slow"):
        assert result["error"] is None, result
        assert result["time"]["state"] == ("PASS" if kind == "ok" else "FAIL"), result
        assert words in " ".join(result["machine"]["warnings"])
        return
    error = result["error"]
    assert error["kind"] == kind, error
    assert words in error["text"], error
    assert (result["code"], result["state"]) == (1, "FAIL")
    assert result["points"]["time"]["got"] == result["points"]["evidence"]["got"] == 0


@pytest.mark.parametrize("cc", ["gcc", "clang"])
def test_as_shipped_fails_and_the_solution_passes(cc: str) -> None:
    shipped = grade(LAB, "--cc", cc)
    assert (shipped["code"], shipped["state"]) == (1, "FAIL")
    assert shipped["time"]["state"] == "FAIL" and shipped["time"]["counted"] >= 18
    assert not next(one for one in shipped["evidence"] if one["name"] == "growth")["passed"]
    assert shipped["points"]["diagnosis"]["got"] == 0
    solved = grade(SOLUTION, "--cc", cc)
    assert (solved["code"], solved["state"], solved["points"]["total"]) == (0, "PASS", 100)
    assert solved["machine"]["compiler"].startswith(cc)


def test_a_result_has_what_a_verdict_needs_to_be_defended() -> None:
    result = grade(SOLUTION)
    pairs = result["time"]["pairs"]
    assert {(pair["slow_layout"], pair["student_layout"]) for pair in pairs} == {
        (slow, student) for slow in range(3) for student in range(3)}
    assert {pair["student_first"] for pair in pairs} == {True, False}
    assert len({pair["seed"] for pair in pairs}) == len(pairs)
    assert result["extra"]["floor_ns"] > 0 and result["time"]["noise"] > 0
    assert "-O2" in result["machine"]["flags"] and "seccomp" in result["machine"]["sandbox"]
    assert result["outputs"]["checked"] == 18
    growth, allocations, amount = result["evidence"]
    assert growth["slow_value"] > 1.4 > growth["value"]
    assert (allocations["value"], allocations["slow_value"]) == (1, 1)
    assert 1.9 < amount["value"] < 2.1      # half of the text are spaces


def test_the_seed_decides_inputs_and_order() -> None:
    first, again = grade(SOLUTION), grade(SOLUTION)
    keys = ("seed", "student_first", "slow_layout", "student_layout")
    one, other = ([[pair[key] for key in keys] for pair in result["time"]["pairs"]]
                  for result in (first, again))
    common = min(len(one), len(other))
    assert one[:common] == other[:common]


def test_evidence_fails_code_that_is_faster_for_another_reason(tmp_path: Path) -> None:
    source = (SOLUTION / "student.c").read_text()
    wasteful = source.replace("char *copy =", "for (int i = 0; i < 9; i++) free(malloc(10 + i));"
                              "\n    char *volatile kept = malloc(1); free(kept);\n"
                              "    kept = malloc(2); free(kept);\n    char *copy =")
    (tmp_path / "student.c").write_text(wasteful)
    (tmp_path / "answers.ini").write_text("[answers]\nexponent = 2\n")
    result = grade(tmp_path)
    assert (result["code"], result["time"]["state"]) == (1, "PASS")
    assert [one["passed"] for one in result["evidence"]] == [True, False, True]
    assert 0 < result["points"]["evidence"]["got"] < 20


KEPT = {
    "since the first call": "static int used; if (used++ && *text) return strdup(\"stale\");",
    "room for the first text": "static size_t room; if (!room) room = strlen(text) + 1; "
                               "if (strlen(text) >= room) return strdup(\"too small\");",
}


@pytest.mark.parametrize("code", KEPT.values(), ids=KEPT.keys())
def test_what_is_kept_from_one_call_to_the_next_shows(code: str, tmp_path: Path) -> None:
    """Right for the first input of a process, or for inputs of one size, and wrong for others."""
    source = (SOLUTION / "student.c").read_text()
    source = source.replace("    char *copy", f"    {code}\n    char *copy")
    (tmp_path / "student.c").write_text(source)
    assert grade(tmp_path)["error"]["kind"] == "wrong-output"


def test_no_file_of_the_machine_is_quoted(tmp_path: Path) -> None:
    secret = tmp_path / "secret.h"
    secret.write_text("int hunter2 = ;\n")
    source = tmp_path / "student.c"
    for text in (f'#include "{secret}"\n', f'#define S "{secret}"\n#include S\n',
                 f'#define S "{secret}"\n#include S\n#error stop\n'):
        source.write_text(text)
        done = graders("grade", "90", "--submission", str(source))
        assert done.code == 1 and "hunter2" not in done.out + done.err


def test_without_progress_on_a_terminal_nothing_else_is_written() -> None:
    done = graders("grade", "90", "--submission", str(SOLUTION))
    assert done.code == 0 and done.err == "" and "\x1b" not in done.out
    assert "PASS" in done.out


def test_a_dead_judge_is_not_the_students_fault(tmp_path: Path) -> None:
    lab = copy_of_the_lab(tmp_path)
    workload = lab / "workload.c"
    workload.write_text(workload.read_text().replace("size_t start = 0;",
                                                     "size_t start = 0; abort();"))
    done = graders("grade", "90", root=tmp_path)
    assert done.code == 2 and done.err.count("\n") == 1
    assert "judge crashed with SIGABRT" in done.err and "workload.c" in done.err


def test_a_wrong_slow_is_not_the_students_fault(tmp_path: Path) -> None:
    lab = copy_of_the_lab(tmp_path)
    slow = lab / "slow.c"
    slow.write_text(slow.read_text().replace("length--;", "length--; *copy = 'x';"))
    done = graders("grade", "90", root=tmp_path)
    assert done.code == 2 and "slow.c of this lab fails" in done.err


def test_what_could_not_be_graded_is_a_result_for_programs() -> None:
    done = graders("grade", "90", "--cc", "no-such-compiler", "--format", "json")
    assert done.code == 2
    assert '"state": "ERROR"' in done.out and "no-such-compiler" in done.out


def children_of(parent: int) -> Set[int]:
    """From the fourth field of every /proc/PID/stat."""
    found = set()
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            if int(stat.read_text().rpartition(")")[2].split()[1]) == parent:
                found.add(int(stat.parent.name))
    return found


@pytest.mark.parametrize("number,code", [(signal.SIGINT, 130), (signal.SIGTERM, 130)])
def test_interrupting_leaves_no_process(number: signal.Signals, code: int) -> None:
    command = command_line("grade", "90", "--submission", str(SUBMISSIONS / "endless_loop.c"))
    with subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE) as grader:
        children: Set[int] = set()
        deadline = time.monotonic() + 60
        while len(children) < 2 and time.monotonic() < deadline:     # the judge and a worker
            children = children_of(grader.pid)
        os.kill(grader.pid, number)
        out, err = grader.communicate(timeout=30)
    assert grader.returncode == code
    assert out == b"" and err.strip() == b"graders: interrupted"
    assert not [child for child in children if Path(f"/proc/{child}").exists()]
