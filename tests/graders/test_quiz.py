"""The quiz: read from README.md, asked on a terminal, printed anywhere else."""
from __future__ import annotations

import os
import pty
import re
import subprocess
import time
from pathlib import Path
from typing import List

import pytest
from fixture_lab import LAB, REPOSITORY, command_line, copy_of_the_lab, graders

from graders import readme

PAGE = """# Lab 90: Squeeze

## Quiz

1. Why is *this* `slow`? It
   goes on.

   <details><summary>Answer</summary>
   Since 2. is moved.

   ```c
   a   =  b;
   ```

   - first
   - second
   </details>

2. Second?

   <details>
   <summary>Answer</summary>
   The second answer.
   </details>

## Go further
3. No question.
"""


@pytest.fixture
def own(tmp_path: Path) -> Path:
    (copy_of_the_lab(tmp_path) / "README.md").write_text(PAGE)
    return tmp_path


def test_questions_and_answers_are_read() -> None:
    first, second = readme.quiz(PAGE)
    assert first.ask == "Why is *this* `slow`? It\ngoes on."
    assert first.answer.startswith("Since 2. is moved.\n\n```c\na   =  b;\n```")
    assert second == ("Second?", "The second answer.")


def test_without_a_terminal_all_is_printed_at_once(own: Path) -> None:
    done = graders("quiz", "90", root=own)
    assert done.code == 0 and "\x1b" not in done.out
    words = ["1. Why is this `slow`? It goes on.", "Since 2. is moved.", "      a   =  b;",
             "  - first\n  - second", "2. Second?", "The second answer.", "Go further"]
    places = [done.out.index(word) for word in words]
    assert places == sorted(places) and "Enter" not in done.out and "details" not in done.out


def test_a_readme_without_a_quiz_is_named(own: Path) -> None:
    (own / "labs" / LAB.name / "README.md").write_text("# Nothing\n")
    done = graders("quiz", "90", root=own)
    assert done.code == 2 and "labs/90_squeeze/README.md" in done.err and "Quiz" in done.err


class Terminal:
    """A quiz on a terminal of its own."""

    def __init__(self, root: Path) -> None:
        self.main, other = pty.openpty()
        self.child = subprocess.Popen(command_line("quiz", "90", root=root), cwd=REPOSITORY,
                                      stdin=other, stdout=other, stderr=other,
                                      start_new_session=True, preexec_fn=own_terminal)
        os.close(other)
        self.text = ""

    def until(self, words: str) -> str:
        """What comes up to the words, or up to the end."""
        seen, self.text = self.text, ""
        while words not in seen:
            try:
                part = os.read(self.main, 4096).decode()
            except OSError:         # the other end is closed
                break
            seen += part
        return re.sub(r"\x1b\[[0-9;]*m", "", seen)

    def type(self, keys: bytes) -> None:
        time.sleep(0.1)             # so that the program is reading
        os.write(self.main, keys)

    def end(self) -> int:
        code = self.child.wait(30)
        os.close(self.main)
        return code


def own_terminal() -> None:
    """Makes standard input the terminal that Ctrl-C comes from."""
    import fcntl
    import termios
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


def test_enter_shows_one_answer_at_a_time(own: Path) -> None:
    quiz = Terminal(own)
    first = quiz.until("press Enter")
    assert "Why is this" in first and "moved" not in first
    quiz.type(b"\n")
    answer = quiz.until("next question")
    assert "Since 2. is moved." in answer and "Second?" not in answer
    quiz.type(b"\n")
    assert "Second?" in quiz.until("press Enter")
    quiz.type(b"\n")
    assert "The second answer." in quiz.until("That was the quiz")
    quiz.until("\0")
    assert quiz.end() == 0


@pytest.mark.parametrize("keys", [b"\x03", b"\x04"])
def test_ctrl_c_and_ctrl_d_end_it_in_peace(own: Path, keys: bytes) -> None:
    quiz = Terminal(own)
    quiz.until("press Enter")
    quiz.type(keys)
    rest = quiz.until("\0")
    assert quiz.end() == 0
    assert "Traceback" not in rest and "moved" not in rest


def test_every_labs_quiz_can_be_asked() -> None:
    folders: List[Path] = sorted((REPOSITORY / "labs").glob("[0-9][0-9]_*"))
    assert folders
    for folder in folders:
        assert graders("quiz", folder.name[:2], root=REPOSITORY).code == 0
