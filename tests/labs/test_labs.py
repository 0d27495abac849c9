"""Every folder under labs/ has the same anatomy, so that a lab is added by adding a folder."""
from __future__ import annotations

import configparser
import re
import subprocess
from pathlib import Path
from typing import Dict, List, Set, Tuple

import pytest

from labfiles import FOLDERS, ROOT, WARNINGS, includes, name
from graders import lab as labs

FILES = {"README.md", "lab.ini", "lab.h", "slow.c", "student.c", "workload.c", "answers.ini"}
SOLUTION = {"student.c", "answers.ini", "NOTES.md"}
HEADINGS = ["Goal", "Background", "Task", "Profile it", "How it is graded", "Hints", "Quiz",
            "Go further"]
LEADING_COMMENT = re.compile(r"\A/\*.*?\*/\n", re.S)

every_lab = pytest.mark.parametrize("folder", FOLDERS, ids=name)


def solution(folder: Path) -> Path:
    return ROOT / "solutions" / folder.name


def probes(folder: Path) -> Path:
    return ROOT / "tests" / "probes" / folder.name


def names(folder: Path) -> Set[str]:
    return {path.name for path in folder.iterdir()}


def answers(path: Path) -> Dict[str, str]:
    parser = configparser.ConfigParser(interpolation=None)
    parser.read(path, encoding="utf-8")
    return dict(parser["answers"])


def prose(readme: Path) -> str:
    """The text a student reads: without code blocks and markup."""
    text = re.sub(r"^```.*?^```", "", readme.read_text(encoding="utf-8"), flags=re.S | re.M)
    return re.sub(r"<[^>]*>", "", text)


def heading_comment(path: Path) -> Tuple[str, str]:
    """The comment a C file begins with, and the rest of the file."""
    text = path.read_text(encoding="utf-8")
    comment = LEADING_COMMENT.match(text)
    assert comment, f"{path} begins with a comment"
    return comment[0], text[comment.end():]


def test_there_are_labs() -> None:
    assert FOLDERS


@every_lab
def test_the_file_set_is_exact(folder: Path) -> None:
    assert names(folder) == FILES


@every_lab
def test_the_solution_mirrors_the_lab(folder: Path) -> None:
    assert names(solution(folder)) == SOLUTION


def test_no_solution_or_probe_without_a_lab() -> None:
    topics = {folder.name for folder in FOLDERS}
    assert names(ROOT / "solutions") == topics
    assert names(ROOT / "tests" / "probes") == topics


@every_lab
def test_lab_ini_is_valid(folder: Path) -> None:
    lab = labs.read(folder)
    assert lab.evidence or lab.questions
    assert all(hint.strip() for hint in lab.hints)


@every_lab
def test_student_c_ships_as_slow_c(folder: Path) -> None:
    advice, code = heading_comment(folder / "student.c")
    assert code == heading_comment(folder / "slow.c")[1]
    assert "student.c" in advice


@every_lab
def test_answers_ship_blank_and_the_solution_answers_all(folder: Path) -> None:
    questions = [question.name for question in labs.read(folder).questions]
    shipped = answers(folder / "answers.ini")
    solved = answers(solution(folder) / "answers.ini")
    assert list(shipped) == questions and not any(shipped.values())
    assert list(solved) == questions and all(solved.values())


@every_lab
def test_answers_ini_asks_what_lab_ini_asks(folder: Path) -> None:
    lines = (folder / "answers.ini").read_text(encoding="utf-8").splitlines()
    asked = " ".join(line.lstrip("# ") for line in lines if line.startswith("#"))
    for question in labs.read(folder).questions:
        assert question.ask in asked


@every_lab
def test_readme_headings(folder: Path) -> None:
    text = prose(folder / "README.md")
    assert re.findall(r"^## (.*)$", text, re.M) == HEADINGS
    lab = labs.read(folder)
    assert text.startswith(f"# Lab {lab.id}: {lab.title}\n")


@every_lab
def test_readme_is_half_an_hours_companion(folder: Path) -> None:
    lab = labs.read(folder)
    text = prose(folder / "README.md")
    assert 300 <= len(text.split()) <= 700
    assert re.search(r"Reading time: \d+ minutes", text)
    assert f"Difficulty: {lab.difficulty} of 5" in text
    assert f"Work: {lab.minutes} minutes" in text


@every_lab
def test_readme_takes_its_numbers_from_lab_ini(folder: Path) -> None:
    lab = labs.read(folder)
    text = prose(folder / "README.md")
    graded = text.partition("## How it is graded")[2].partition("## Hints")[0]
    for points in lab.points:
        assert f"{points} points" in graded
    assert f"{float(lab.bar):g} times" in graded
    for spec in lab.evidence:
        limit = spec.maximum if spec.maximum is not None else spec.minimum
        assert limit is not None
        assert re.search(rf"(?<![\d.]){re.escape(f'{float(limit):g}')}(?![\d.]*\d)", graded)


@every_lab
def test_readme_names_the_commands(folder: Path) -> None:
    text = (folder / "README.md").read_text(encoding="utf-8")
    for command in ("", "-bench", "-profile", "-hint", "-watch", "-reset", " SUBMISSION="):
        assert f"make lab{folder.name[:2]}{command}" in text


@every_lab
def test_quiz_answers_are_explained(folder: Path) -> None:
    quiz = (folder / "README.md").read_text(encoding="utf-8").partition("## Quiz")[2]
    answered = re.findall(r"<details>.*?</summary>(.*?)</details>", quiz, re.S)
    assert len(answered) == 4
    assert all(len(answer.split()) >= 15 for answer in answered)


@every_lab
def test_probes_manifest_is_complete(folder: Path) -> None:
    manifest = configparser.ConfigParser(interpolation=None)
    manifest.read(probes(folder) / "probes.ini", encoding="utf-8")
    sources = {path.name for path in probes(folder).glob("*.c")}
    assert set(manifest.sections()) == sources
    assert names(probes(folder)) == sources | {"probes.ini"}


@every_lab
def test_probes_cover_what_makes_a_lab_causal(folder: Path) -> None:
    sources = [path.name for path in probes(folder).glob("*.c")]
    counts = {kind: sum(source.startswith(kind) for source in sources)
              for kind in ("only", "kept", "moved", "other", "wrong")}
    assert counts["only"] >= 1 and counts["kept"] >= 1 and counts["moved"] >= 1
    assert counts["other"] >= 3 and counts["wrong"] >= 1
    assert sum(counts.values()) == len(sources)


def sources() -> List[Tuple[Path, Path]]:
    """Every C file that has to compile without a warning, with its lab."""
    found = []
    for folder in FOLDERS:
        found += [(folder, path) for path in sorted(folder.glob("*.c"))]
        found += [(folder, path) for path in sorted(solution(folder).glob("*.c"))]
        found += [(folder, path) for path in sorted(probes(folder).glob("*.c"))
                  if not path.name.startswith("wrong")]
    return found


@pytest.mark.parametrize("compiler", ["gcc", "clang"])
@pytest.mark.parametrize("folder, path", sources(), ids=lambda path: "/".join(path.parts[-3:]))
def test_c_files_compile_without_warnings(folder: Path, path: Path, compiler: str,
                                          tmp_path: Path) -> None:
    done = subprocess.run([compiler, *WARNINGS, *includes(folder), "-c", str(path),
                           "-o", str(tmp_path / "out.o")], stderr=subprocess.PIPE, text=True)
    assert done.returncode == 0, done.stderr


@every_lab
def test_lab_h_is_clean_c99_and_cxx11(folder: Path, tmp_path: Path) -> None:
    for language, standard in (("c", "-std=c99"), ("c++", "-std=c++11")):
        done = subprocess.run(["gcc", "-x", language, standard, *WARNINGS, "-Wpedantic",
                               "-fsyntax-only", "-include", str(folder / "lab.h"), "/dev/null"],
                              stderr=subprocess.PIPE, text=True)
        assert done.returncode == 0, done.stderr
