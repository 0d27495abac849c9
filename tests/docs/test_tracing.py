"""docs/tracing.md's programs compile as printed and do what the page says."""
from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Dict

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "fresh"))
from readme import blocks  # noqa: E402

TEXT = (ROOT / "docs" / "tracing.md").read_text(encoding="utf-8")
FILES: Dict[str, str] = {block.value: block.text for block in blocks(TEXT) if block.kind == "file"}


@pytest.fixture(scope="module")
def implementation(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """perflab.o."""
    target = tmp_path_factory.mktemp("object") / "perflab.o"
    subprocess.check_call(["cc", "-O2", "-DPERFLAB_IMPL", "-x", "c", "-c",
                           str(ROOT / "perflab.h"), "-o", str(target)])
    return target


def run(folder: Path, name: str, implementation: Path) -> None:
    """Compiles a program of the page without warnings, and runs it."""
    (folder / name).write_text(FILES[name])
    subprocess.check_call(["cc", "-std=gnu99", "-O2", "-g", "-Wall", "-Wextra", "-Wpedantic",
                           "-Werror", f"-I{ROOT}", name, str(implementation), "-o", "program",
                           "-ldl", "-pthread"], cwd=folder)
    subprocess.check_call(["./program"], cwd=folder)


def report(trace: Path, *options: str) -> str:
    """What `graders trace` says of a trace."""
    return subprocess.check_output([sys.executable, "-m", "graders", "trace", *options, str(trace)],
                                   cwd=ROOT, universal_newlines=True)


def test_a_trace_is_taken(tmp_path: Path, implementation: Path) -> None:
    run(tmp_path, "take.c", implementation)
    said = report(tmp_path / "trace.pftrace")
    assert re.search(r"^ +100 .* work$", said, re.MULTILINE)
    events = re.search(r"(\d+) events", said)
    assert events and int(events[1]) >= 400      # begin, end, log and counter of each


def test_the_flight_recorder_writes_when_asked_and_when_a_task_is_slow(
        tmp_path: Path, implementation: Path) -> None:
    run(tmp_path, "recorder.c", implementation)
    for name in ("now.pftrace", "slow.pftrace"):
        assert re.search(r"^ +1 .* request$", report(tmp_path / name), re.MULTILINE), name


def test_the_commands_of_the_page_are_known() -> None:
    usage = subprocess.check_output([sys.executable, "-m", "graders", "trace", "--help"], cwd=ROOT,
                                    universal_newlines=True)
    options = set(re.findall(r"(?m)^python3 -m graders trace.*?(--\w+)", TEXT))
    assert len(options) >= 4
    assert {option for option in options if option not in usage} == set()


def test_the_keys_of_the_page_are_those_it_has() -> None:
    keys = (ROOT / "graders" / "page" / "input.js").read_text(encoding="utf-8")
    for key in ("w", "s", "a", "d", "f", "m", "n", "'/'", "'?'"):
        assert re.search(rf"^  {re.escape(key)}: ", keys, re.MULTILINE), key
