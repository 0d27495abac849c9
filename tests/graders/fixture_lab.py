"""The small lab under fixtures/, and ways to grade it."""
from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, Dict, List, NamedTuple, Optional

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parents[1]
ROOT = HERE / "fixtures"
LAB = ROOT / "labs" / "90_squeeze"
SOLUTION = ROOT / "solutions" / "90_squeeze"
SUBMISSIONS = HERE / "submissions"


class Done(NamedTuple):
    """A command that has ended."""
    code: int
    out: str
    err: str


def graders(*arguments: str, root: Path = ROOT, timeout: float = 120,
            environment: Optional[Dict[str, str]] = None) -> Done:
    """Runs python3 -m graders on the fixture's lab."""
    command = command_line(*arguments, root=root)
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, timeout=timeout,
                          env={**os.environ, **(environment or {})}, check=False)
    return Done(done.returncode, done.stdout.decode(), done.stderr.decode())


def command_line(*arguments: str, root: Path = ROOT) -> List[str]:
    return [sys.executable, "-m", "graders", arguments[0], "--root", str(root), *arguments[1:]]


def grade(submission: Path, *more: str, root: Path = ROOT) -> Dict[str, Any]:
    """One grading as the JSON report, with the exit code under 'code'."""
    done = graders("grade", "90", "--submission", str(submission), "--seed", "1",
                   "--format", "json", *more, root=root)
    assert not done.err, done.err
    return {**json.loads(done.out), "code": done.code}


def copy_of_the_lab(folder: Path) -> Path:
    """A root of one's own whose files a test may change; returns the lab's folder."""
    shutil.copytree(ROOT, folder, dirs_exist_ok=True)
    return folder / "labs" / LAB.name
