"""The command line: hint, bench, reset, doctor, and what is wrong with arguments."""
from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import List

import pytest
from fixture_lab import (LAB, REPOSITORY, SOLUTION, SUBMISSIONS, command_line, copy_of_the_lab,
                         graders)


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, build_folder: Path) -> Path:
    """A root of one's own, and notes of one's own; the compiled objects are shared."""
    copy_of_the_lab(tmp_path)
    (build_folder / "labs" / "90" / "hints").unlink(missing_ok=True)
    return tmp_path


@pytest.mark.parametrize("arguments,words", [
    ([], "COMMAND"), (["frobnicate"], "frobnicate"), (["grade"], "NN"),
    (["grade", "90", "--fast"], "--fast"), (["grade", "90", "--format", "yaml"], "yaml"),
    (["grade", "90", "--seed", "x"], "'x' is not a whole number"),
    (["grade", "90", "--sub", "x"], "--sub"), (["grade", "77"], "there is no lab '77'"),
    (["grade", "90", "--submission", "/no/where"], "/no/where: there is no such file"),
    (["grade", "90", "--submission", "/tmp"], "no student.c"),
    (["grade", "90", "--cc", "no-such-cc"], "no C compiler 'no-such-cc'"),
    (["grade", "90", "--opt=-Onothing"], "--opt '-Onothing'"),
    (["bench", "90", "--opt=-fno-such-flag"], "--opt '-fno-such-flag'"),
    (["hint", "90", "4"], "hints 1 to 3"), (["hint", "90", "x"], "'x'"),
    (["watch", "90", "--submission", "/no/where"], "/no/where")])
def test_bad_arguments_are_one_line(arguments: List[str], words: str) -> None:
    command = [sys.executable, "-m", "graders", *arguments]
    if arguments and arguments[0] in ("grade", "hint", "watch", "bench"):
        command = command_line(*arguments)
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("graders: ") and done.stderr.count("\n") == 1
    assert words in done.stderr


def test_help_has_examples_and_exit_codes() -> None:
    done = subprocess.run([sys.executable, "-m", "graders", "--help"], cwd=REPOSITORY,
                          capture_output=True, text=True, check=True)
    assert "examples:" in done.stdout and "75 INCONCLUSIVE" in done.stdout
    assert "--root" not in done.stdout


def test_a_report_that_cannot_be_written(tmp_path: Path) -> None:
    target = tmp_path / "missing" / "result.json"
    done = graders("grade", "90", "--submission", str(SUBMISSIONS / "misspelt.c"),
                   "--output", str(target))
    assert done.code == 2 and str(target) in done.err and done.err.count("\n") == 1
    assert not target.parent.exists()


def test_a_report_goes_to_a_file_whole(tmp_path: Path) -> None:
    target = tmp_path / "result.xml"
    done = graders("grade", "90", "--submission", str(SUBMISSIONS / "misspelt.c"),
                   "--format", "junit", "--output", str(target))
    assert (done.code, done.out) == (1, "")
    assert "<testsuites" in target.read_text() and list(tmp_path.iterdir()) == [target]


def test_hints_come_one_by_one(own: Path) -> None:
    shown = [graders("hint", "90", root=own).out for _ in range(4)]
    assert [words.split()[1] for words in shown] == ["1", "2", "3", "3"]
    assert "How often is a letter moved?" in shown[0]
    assert "How often is a letter moved?" in graders("hint", "90", "1", root=own).out
    assert "Hint 3" in graders("hint", "90", root=own).out      # asking for 1 forgot nothing


def test_reset_brings_the_shipped_files_back_and_keeps_ones_own(own: Path) -> None:
    lab = own / "labs" / LAB.name
    shipped = {name: (lab / name).read_text() for name in ("student.c", "answers.ini")}
    heading = shipped["student.c"].split("*/")[0] + "*/\n"
    mine = {"student.c": heading + "int mine;\n",
            "answers.ini": shipped["answers.ini"].replace("exponent =", "exponent = 7")}
    for name, text in mine.items():
        (lab / name).write_text(text)
    done = graders("reset", "90", root=own)
    assert done.code == 0, done.err
    assert {name: (lab / name).read_text() for name in shipped} == shipped
    kept = {path.name.split("-", 2)[2]: path.read_text() for path in own.glob("saved/*/*")}
    assert kept == mine
    graders("reset", "90", root=own)                            # nothing new to keep
    assert len(list(own.glob("saved/*/*"))) == 2
    assert sorted(path.name for path in lab.iterdir()) == sorted(
        path.name for path in LAB.iterdir())


def test_reset_makes_missing_files_anew(own: Path) -> None:
    lab = own / "labs" / LAB.name
    (lab / "student.c").unlink()
    (lab / "answers.ini").write_text("[answers]\nwhat = 1\n")
    assert graders("reset", "90", root=own).code == 0
    assert "memmove" in (lab / "student.c").read_text()
    assert "exponent =\n" in (lab / "answers.ini").read_text()
    assert graders("grade", "90", root=own).code == 1


def test_bench_prints_what_benchstat_reads(build_folder: Path) -> None:
    done = graders("bench", "90", "--submission", str(SOLUTION))
    assert done.code == 0, done.err
    lines = done.out.splitlines()
    versions = [line for line in lines if line.startswith("version: ")]
    assert versions == ["version: slow", "version: student"]
    times = [float(line.split()[2]) for line in lines if line.startswith("BenchmarkSqueeze")]
    assert len(times) == 2 and times[0] > 2 * times[1]
    for name in ("slow", "student"):
        assert "BenchmarkSqueeze" in (build_folder / f"labs/90/bench-{name}.txt").read_text()


def test_bench_of_code_that_does_not_build_says_so() -> None:
    done = graders("bench", "90", "--submission", str(SUBMISSIONS / "misspelt.c"))
    assert done.code == 1 and "your code does not define 'squeeze'" in done.err
    assert "Traceback" not in done.err
    done = graders("bench", "90", "--submission", str(SUBMISSIONS / "does_not_compile.c"))
    assert done.code == 1 and "does not compile: line 7" in done.err


def test_doctor_is_content_where_labs_can_be_graded() -> None:
    done = graders("doctor", root=REPOSITORY)
    assert done.code == 0, done.out
    assert "Labs can be graded here" in done.out and "compiler" in done.out


def test_doctor_names_what_is_missing(tmp_path: Path) -> None:
    done = graders("doctor", "--cc", "no-such-cc", root=tmp_path)
    assert done.code == 2
    assert "MISSING" in done.out and "Labs cannot be graded here: compiler, perflab.h" in done.out


def test_a_closed_reader_is_no_traceback() -> None:
    command = " ".join(command_line("labs")) + " | true"
    done = subprocess.run(["bash", "-c", command], cwd=REPOSITORY, capture_output=True, text=True,
                          check=False, env={**os.environ, "PYTHONUNBUFFERED": "1"})
    assert "Traceback" not in done.stderr
