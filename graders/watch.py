"""Grades again whenever a file is saved, until Ctrl-C.

Each grading is a process of its own, in a session of its own: one that is out of date is ended,
whatever it is doing, and what it started goes with it. The process says early what it knows (see
progress.FirstLook); its report is the verdict.
"""
from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import List, Sequence, Tuple

from . import grade as grading, lab as labs

POLL_SECONDS, SETTLE_SECONDS = 0.1, 0.05
MERCY_SECONDS = 3.0     # for a grading to tidy up behind itself
PACKAGE = Path(__file__).resolve().parent
Stamps = Tuple[Tuple[int, int, int], ...]   # time, size and inode of each file


def watch(options: argparse.Namespace) -> int:
    """Grades when student.c or answers.ini changed."""
    what = grading.submission(labs.load(options.root, options.lab), options.submission)
    watched = [path for path in (what.source, what.answers) if path]
    names = " and ".join(path.name for path in watched)
    try:
        while True:
            seen = settled(watched)
            if _graded(_command(options), watched, seen):
                print(f"  Watching {names}; Ctrl-C ends.", flush=True)
                while stamps(watched) == seen:
                    time.sleep(POLL_SECONDS)
            else:
                print("\n  Saved again: starting over.\n", flush=True)
    except KeyboardInterrupt:
        print()
        return 0


def settled(files: Sequence[Path]) -> Stamps:
    """The files' stamps, once nobody is writing: editors empty a file before they fill it."""
    now = stamps(files)
    while True:
        time.sleep(SETTLE_SECONDS)
        before, now = now, stamps(files)
        if before == now:
            return now


def stamps(files: Sequence[Path]) -> Stamps:
    """What changes when a file is written or replaced."""
    found = []
    for path in files:
        try:
            facts = path.stat()
            found.append((facts.st_mtime_ns, facts.st_size, facts.st_ino))
        except OSError:                 # gone for the moment while it is replaced
            found.append((0, 0, 0))
    return tuple(found)


def _graded(command: Sequence[str], watched: Sequence[Path], seen: Stamps) -> bool:
    """Runs one grading; False when a file changed before its end."""
    environment = dict(os.environ, PYTHONPATH=os.pathsep.join(
        filter(None, (str(PACKAGE.parent), os.environ.get("PYTHONPATH", "")))))
    environment.pop("MAKELEVEL", None)  # make says nothing about a single grading here
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.STDOUT,
                             env=environment, start_new_session=True)
    try:
        while stamps(watched) == seen:
            try:
                child.wait(POLL_SECONDS)
                return True
            except subprocess.TimeoutExpired:
                continue
        return False
    finally:
        _end(child)


def _end(child: "subprocess.Popen[bytes]") -> None:
    """Ends a grading: politely, so that it removes what it was building, then for certain."""
    if child.poll() is None:
        child.send_signal(signal.SIGTERM)
        try:
            child.wait(MERCY_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(child.pid, signal.SIGKILL)
            child.wait()


def _command(options: argparse.Namespace) -> List[str]:
    """The grading of what the watcher was asked to watch."""
    command = [sys.executable, "-m", PACKAGE.name, "grade", options.lab, "--first-look",
               "--root", str(options.root), f"--opt={options.opt}", f"--cc={options.cc}"]
    if options.submission:
        command.append(f"--submission={options.submission}")
    if options.seed is not None:
        command.append(f"--seed={options.seed}")
    return command + ["--no-progress"] * options.no_progress
