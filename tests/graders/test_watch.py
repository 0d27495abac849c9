"""watch: a first look, then the verdict; what happens when files change, and at the end."""
from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from pathlib import Path
from typing import Iterator, List

import pytest
from fixture_lab import (LAB, REPOSITORY, SOLUTION, SUBMISSIONS, command_line,
                         copy_of_the_lab)

from graders import watch
from test_end_to_end import children_of

SOLVED = (SOLUTION / "student.c").read_text()
PATIENCE = 60


class Watcher:
    """`watch 90` on a copy of the lab."""

    def __init__(self, root: Path) -> None:
        self.lab = root / "labs" / LAB.name
        self.child = subprocess.Popen(
            command_line("watch", "90", "--no-progress", root=root), cwd=REPOSITORY, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.lines: List[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.child.stdout
        self.lines += iter(self.child.stdout.readline, "")

    def until(self, words: str) -> str:
        """All that comes up to a line with the words; the lines after it are for next time."""
        deadline = time.monotonic() + PATIENCE
        taken: List[str] = []
        while time.monotonic() < deadline:
            while self.lines:
                taken.append(self.lines.pop(0))
                if words in taken[-1]:
                    return "".join(taken)
            time.sleep(0.02)
        raise AssertionError(f"'{words}' did not come: {''.join(taken)}")

    def save(self, text: str, name: str = "student.c") -> None:
        (self.lab / name).write_text(text)

    def replace(self, text: str, name: str = "student.c") -> None:
        """As editors do that write a new file and give it the old one's name."""
        (self.lab / f".{name}.new").write_text(text)
        os.replace(self.lab / f".{name}.new", self.lab / name)

    def end(self, number: signal.Signals) -> None:
        self.child.send_signal(number)
        self.child.wait(PATIENCE)

    def stop(self, number: signal.Signals = signal.SIGINT) -> str:
        self.end(number)
        self._reader.join(PATIENCE)
        assert self.child.stderr
        return "".join(self.lines) + self.child.stderr.read()


@pytest.fixture
def watcher(tmp_path: Path) -> Iterator[Watcher]:
    copy_of_the_lab(tmp_path)
    found = Watcher(tmp_path)
    yield found
    if found.child.poll() is None:
        found.stop()


def test_a_first_look_comes_before_the_verdict(watcher: Watcher) -> None:
    screen = watcher.until("Watching")
    places = [screen.index(words) for words in (
        "first look   it builds; the output is right for all 18 inputs",
        "times as fast as slow.c, the bar is 3", "Lab 90: Squeeze", "FAIL", "Watching")]
    assert places == sorted(places)


def test_each_save_is_graded(watcher: Watcher) -> None:
    watcher.until("Watching")
    watcher.save("int nothing;\n")
    assert "does not define 'squeeze'" in watcher.until("Watching")
    watcher.save("[answers]\nnonsense = 1\n", "answers.ini")
    assert "nonsense" in watcher.until("Watching")
    watcher.replace("[answers]\nexponent = 2\n", "answers.ini")
    watcher.until("does not define")
    watcher.until("Watching")
    watcher.replace(SOLVED)
    assert "PASS" in watcher.until("Watching")


def test_a_wrong_output_is_said_at_the_first_look(watcher: Watcher) -> None:
    watcher.until("Watching")
    watcher.save((SUBMISSIONS / "keeps_spaces.c").read_text())
    screen = watcher.until("Watching")
    first, _, report = screen.partition("Lab 90: Squeeze")
    assert "first look" in first and "the output is wrong" in first and "FAIL" in report


def test_a_save_during_the_grading_starts_over(watcher: Watcher) -> None:
    watcher.until("Watching")
    watcher.save((SUBMISSIONS / "endless_loop.c").read_text())
    deadline = time.monotonic() + PATIENCE
    while not grandchildren(watcher) and time.monotonic() < deadline:
        time.sleep(0.02)
    watcher.save(SOLVED)
    screen = watcher.until("Watching")
    assert "Saved again: starting over." in screen
    assert "did not finish" not in screen and "faster than slow.c" in screen
    assert screen.count("Lab 90") == 1


def test_a_file_that_is_gone_for_a_while(watcher: Watcher) -> None:
    watcher.until("Watching")
    (watcher.lab / "student.c").unlink()
    assert "no student.c" in watcher.until("Watching")
    watcher.save(SOLVED)
    assert "faster than slow.c" in watcher.until("Watching")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_end_leaves_no_process(watcher: Watcher, number: signal.Signals) -> None:
    watcher.until("Watching")
    watcher.save((SUBMISSIONS / "endless_loop.c").read_text())
    deadline = time.monotonic() + PATIENCE
    below = grandchildren(watcher)
    while len(below) < 2 and time.monotonic() < deadline:        # the judge and a worker
        below = grandchildren(watcher)
    watcher.end(number)
    assert below and not [child for child in below if Path(f"/proc/{child}").exists()]
    rest = watcher.stop(number)
    assert watcher.child.returncode == 0
    assert "Traceback" not in rest and "interrupted" not in rest


def grandchildren(watcher: Watcher) -> List[int]:
    return [below for child in children_of(watcher.child.pid) for below in children_of(child)]


def test_a_file_counts_when_nobody_writes_it(tmp_path: Path) -> None:
    path = tmp_path / "student.c"
    path.write_text("")

    def write_slowly() -> None:
        for number in range(20):
            time.sleep(0.01)
            path.write_text("x" * number)
    writer = threading.Thread(target=write_slowly)
    writer.start()
    watch.settled([path])
    writer.join()
    assert watch.stamps([path]) == watch.settled([path])


def test_a_copy_with_the_same_time_and_size_is_seen(tmp_path: Path) -> None:
    path, other = tmp_path / "student.c", tmp_path / "other.c"
    path.write_text("a")
    before = watch.stamps([path])
    other.write_text("b")
    facts = path.stat()
    os.utime(other, ns=(facts.st_atime_ns, facts.st_mtime_ns))
    os.replace(other, path)
    assert watch.stamps([path]) != before
