"""The grader's verdict on every probe submission: what makes each lab causal.

As shipped a lab fails, its solution passes, and each probe gives what its probes.ini says.
"""
from __future__ import annotations

import configparser
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, Dict, List, Tuple

import pytest

from labfiles import FOLDERS, ROOT, name
from graders.model import EXIT_CODES

Probe = Tuple[Path, str, Dict[str, List[str]]]


def grade(folder: Path, submission: Path) -> Dict[str, Any]:
    """The result of one grading, as JSON has it."""
    done = subprocess.run(
        [sys.executable, "-m", "graders", "grade", folder.name[:2], "--submission",
         str(submission), "--format", "json"],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=120)
    assert done.stdout, done.stderr
    result: Dict[str, Any] = json.loads(done.stdout)
    assert done.returncode == EXIT_CODES[result["state"]]
    return result


def failed_parts(result: Dict[str, Any]) -> List[str]:
    """The parts that did not pass: time, and evidence by name."""
    time = [] if result["time"]["state"] == "PASS" else ["time"]
    return time + [item["name"] for item in result["evidence"] if not item["passed"]]


def probes() -> List[Probe]:
    found = []
    for folder in FOLDERS:
        manifest = configparser.ConfigParser(interpolation=None)
        manifest.read(ROOT / "tests" / "probes" / folder.name / "probes.ini", encoding="utf-8")
        found += [(folder, source, {key: value.split() for key, value in keys.items()})
                  for source, keys in manifest.items() if source != manifest.default_section]
    return found


@pytest.mark.parametrize("folder", FOLDERS, ids=name)
def test_a_lab_fails_as_shipped(folder: Path) -> None:
    result = grade(folder, folder)
    assert result["state"] == "FAIL" and result["error"] is None
    assert "time" in failed_parts(result)


@pytest.mark.parametrize("folder", FOLDERS, ids=name)
def test_the_solution_passes(folder: Path) -> None:
    result = grade(folder, ROOT / "solutions" / folder.name)
    assert result["state"] == "PASS"
    assert result["points"]["total"] == 100


@pytest.mark.parametrize("folder, source, expected", probes(),
                         ids=[f"{folder.name}/{source}" for folder, source, _ in probes()])
def test_probe(folder: Path, source: str, expected: Dict[str, List[str]], tmp_path: Path) -> None:
    shutil.copy(ROOT / "tests" / "probes" / folder.name / source, tmp_path / "student.c")
    shutil.copy(ROOT / "solutions" / folder.name / "answers.ini", tmp_path)
    result = grade(folder, tmp_path)
    assert result["state"] in expected["state"], result
    if "error" in expected:
        assert result["error"] and result["error"]["kind"] in expected["error"], result
        assert result["error"]["text"]
        return
    assert result["error"] is None, result
    decided = [part for part in failed_parts(result) if part not in expected.get("maybe", [])]
    assert decided == expected.get("fails", [])
