"""new-lab: folders that build, whose check says what is missing, and nothing half-made."""
from __future__ import annotations

import re
from pathlib import Path

import pytest
from fixture_course import course, run

from graders import lab as labs, newlab

FOLDERS = ("labs", "solutions", "tests/probes")


@pytest.fixture
def own(tmp_path: Path) -> Path:
    return course(tmp_path)


def new(root: Path, topic: str) -> str:
    code, screen = run("new-lab", "--root", str(root), topic)
    assert code == 0, screen
    return screen


def test_the_number_is_the_next_one(own: Path) -> None:
    assert "make check-labs LAB=04" in new(own, "ring_buffers")
    new(own, "12_copies")
    new(own, "views")
    assert [path.name for path in labs.folders(own)] == [
        "03_string_building", "04_ring_buffers", "12_copies", "13_views"]
    for place in FOLDERS:
        assert (own / place / "04_ring_buffers").is_dir()


def test_the_first_lab_of_all_is_00(tmp_path: Path) -> None:
    new(tmp_path, "measuring")
    assert labs.load(tmp_path, "00").title == "Measuring"


def test_no_placeholder_is_left(own: Path) -> None:
    new(own, "ring_buffers")
    made = [path for place in FOLDERS for path in (own / place / "04_ring_buffers").iterdir()]
    assert len(made) == 11
    for path in made:
        assert not re.search(r"@\w+@", path.read_text()), path
    assert "# Lab 04: Ring buffers" in (own / "labs/04_ring_buffers/README.md").read_text()


def test_it_builds_and_can_be_graded(own: Path) -> None:
    new(own, "ring_buffers")
    code, screen = run("grade", "--root", str(own), "04", "--no-progress")
    assert code == 1 and "right for all 18 inputs" in screen and "time       no" in screen


def test_its_check_says_item_by_item_what_is_missing(own: Path) -> None:
    new(own, "ring_buffers")
    code, screen = run("check", "--root", str(own), "04")
    assert code == 1
    for words in ("lab.ini:10: summary = FILL", "README.md:7: FILL", "recorded.ini: is missing",
                  "has 0 files kept_*.c of 1 (everything else made faster, the cause kept: fails)",
                  "slow.c has none of the evidence against it", "the solution must PASS"):
        assert words in screen, screen
    for words in ("lab.ini can be read", "student.c ships as slow.c", "answers.ini: blank",
                  "README.md: its table is that of lab.ini", "gcc: no warnings",
                  "gcc -O2: fails as shipped", "lab.h is clean", "the benchmarks run"):
        assert re.search(rf"^    ok  {re.escape(words)}", screen, re.M), (words, screen)


@pytest.mark.parametrize("topic,words", [
    ("Ring Buffers", "is no topic"), ("", "is no topic"), ("../x", "is no topic"),
    ("string_building", "there is a lab string_building"), ("03_other", "with this number")])
def test_a_topic_that_will_not_do(own: Path, topic: str, words: str) -> None:
    code, screen = run("new-lab", "--root", str(own), topic)
    assert code == 2 and words in screen and screen.count("\n") == 1
    assert len(labs.folders(own)) == 1


def test_nothing_is_overwritten_and_nothing_half_made(own: Path,
                                                      monkeypatch: pytest.MonkeyPatch) -> None:
    (own / "solutions" / "04_views").mkdir()
    code, screen = run("new-lab", "--root", str(own), "views")
    assert code == 2 and "is there already" in screen
    assert not (own / "labs" / "04_views").exists()

    def full_disk(*arguments: object) -> None:
        raise OSError("no space")
    monkeypatch.setattr(newlab, "_finish", full_disk)
    with pytest.raises(OSError):
        run("new-lab", "--root", str(own), "05_caches")
    assert not any((own / place / "05_caches").exists() for place in FOLDERS)
