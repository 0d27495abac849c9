"""readme and record: tables made from lab.ini and from a measurement, and what differs."""
from __future__ import annotations

import shutil
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest
from fixture_course import PLACES, course, edit, lab_of, run
from fixture_lab import LAB, SUBMISSIONS, copy_of_the_lab
from samples import ALLOCS, GROWTH, LAB as SAMPLE

from graders import readme, record
from graders.model import GraderError


@pytest.fixture
def own(tmp_path: Path) -> Path:
    return course(tmp_path)


def test_the_grading_table_has_every_number() -> None:
    assert readme.grading_table(SAMPLE).splitlines() == [
        "| part | points | what has to hold |", "|---|---|---|",
        "| Time | 60 | more than 4 times as fast as `slow.c`, in processor time, at n = 5,000 |",
        "| Evidence | 20 | growth of time with n: at most 1.35, for n = 1,000, 4,000 and 16,000 |",
        "| | | allocations per result: at most 40 |",
        "| Diagnosis | 20 | your answers in `answers.ini`: `exponent`, `time_4n` |"]


def test_limits_and_parts_that_are_not_there() -> None:
    between = replace(ALLOCS, minimum=Fraction("2.5"), maximum=Fraction(65536))
    lab = replace(SAMPLE, points=(0, 60, 40), clock="none", questions=(),
                  evidence=(between, replace(GROWTH, sizes=(7, 8))))
    table = readme.grading_table(lab)
    assert "Time" not in table and "Diagnosis" not in table
    assert "| Evidence | 60 | allocations per result: at most 65,536 and at least 2.5 |" in table
    assert "for n = 7 and 8 |" in table
    assert "in elapsed time" in readme.grading_table(replace(lab, clock="wall"))


def test_readme_writes_between_its_markers_only(own: Path) -> None:
    page = own / PLACES["lab"] / "README.md"
    before = page.read_text()
    assert run("readme", "--root", str(own), "--check", "03") == (0, "")
    edit(own / PLACES["lab"] / "lab.ini", "bar = 10", "bar = 12.5")
    code, screen = run("readme", "--root", str(own), "--check")
    assert code == 1 and "differs from lab.ini" in screen and page.read_text() == before
    assert run("readme", "--root", str(own), "03")[0] == 0
    assert page.read_text() == before.replace("than 10 times", "than 12.5 times")
    assert run("readme", "--root", str(own), "--check", "03")[0] == 0


def test_the_repositorys_table_lists_every_lab(own: Path) -> None:
    run("readme", "--root", str(own))
    edit(own / PLACES["lab"] / "lab.ini", "minutes = 30", "minutes = 45")
    assert run("readme", "--root", str(own), "--check")[0] == 1
    run("readme", "--root", str(own))
    assert ("| [03 String building](labs/03_string_building/README.md) | Build a long string"
            in (own / "README.md").read_text())
    assert " | 45 | 1 of 5 |" in (own / "README.md").read_text()


def test_markers_that_are_missing_are_named(own: Path) -> None:
    edit(own / PLACES["lab"] / "README.md", "<!-- from lab.ini: grading -->", "")
    code, screen = run("readme", "--root", str(own), "03")
    assert code == 2 and "labs/03_string_building/README.md" in screen and "<!-- end -->" in screen


def test_notes_that_differ_from_the_recorded_run(own: Path) -> None:
    assert run("record", "--root", str(own), "--check", "03") == (0, "")
    edit(own / PLACES["solution"] / "recorded.ini", "growth = 1.04", "growth = 1.03")
    code, screen = run("record", "--root", str(own), "--check", "03")
    assert code == 1 and "its figures differ from recorded.ini" in screen
    (own / PLACES["solution"] / "recorded.ini").unlink()
    assert "not recorded" in run("record", "--root", str(own), "--check", "03")[1]


def test_a_recorded_file_that_is_nonsense_is_named(own: Path) -> None:
    (own / PLACES["solution"] / "recorded.ini").write_text("nonsense\n")
    with pytest.raises(GraderError) as error:
        record.recorded(lab_of(own))
    assert "recorded.ini" in str(error.value) and "graders record" in str(error.value)


def test_a_run_is_recorded_whole(tmp_path: Path) -> None:
    lab = copy_of_the_lab(tmp_path)
    place = tmp_path / "tests" / "probes" / LAB.name
    place.mkdir(parents=True)
    (place / "probes.ini").write_text(
        "[kept_slow.c]\nstate = FAIL\nfails = time growth\n"
        "[wrong_spaces.c]\nstate = FAIL\nerror = wrong-output\n")
    shutil.copy(lab / "slow.c", place / "kept_slow.c")
    shutil.copy(SUBMISSIONS / "keeps_spaces.c", place / "wrong_spaces.c")
    notes = tmp_path / "solutions" / LAB.name / "NOTES.md"
    notes.write_text("before\n<!-- recorded -->\nold\n<!-- end -->\nafter\n")
    code, screen = run("record", "--root", str(tmp_path), "90")
    assert code == 0, screen
    text = notes.read_text()
    assert text.startswith("before\n<!-- recorded -->\n") and text.endswith("<!-- end -->\nafter\n")
    rows = {row.split(" | ")[0].strip("| "): row for row in text.splitlines() if row[:1] == "|"}
    assert "over 3x | at most 1.4 | at most 1 | at most 8" in rows["what has to hold"]
    assert rows["the solution"].endswith("| PASS |") and "x | " in rows["the solution"]
    assert rows["`kept_slow.c`"].endswith("| FAIL (time, growth) |")
    assert "wrong_spaces.c` (wrong-output)" in text and "`wrong_spaces.c`" not in rows
    assert text.count("BenchmarkSqueeze") == 2 and "\nold\n" not in text
    assert run("record", "--root", str(tmp_path), "--check", "90") == (0, "")
