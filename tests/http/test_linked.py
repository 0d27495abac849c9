"""A program that does nothing but link perflab.o, and is asked by stock tools."""
from __future__ import annotations

import os
import socket
import subprocess
import time
from pathlib import Path
from typing import Iterator

import pytest

from conftest import build
from test_pprof import go_pprof


def free_port() -> int:
    """One that nobody has now."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


@pytest.fixture(scope="module", name="port")
def fixture_port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """Of plain.c, started with PERFLAB; at its end it has run undisturbed."""
    port = free_port()
    program = build(tmp_path_factory.mktemp("plain") / "plain", source="plain.c")
    wish = f"http=127.0.0.1:{port},blockrate=1,mutexfraction=1"
    process = subprocess.Popen([str(program)], env=dict(os.environ, PERFLAB=wish),
                               stdin=subprocess.PIPE, stderr=subprocess.PIPE)
    time.sleep(2)
    yield port
    _, said = process.communicate(timeout=30)
    assert (process.returncode, said) == (0, b"")


@pytest.mark.parametrize("name, function", [
    ("profile?seconds=2", "add_up"), ("heap", "take_turns"), ("allocs", "take_turns"),
    ("block", "take_turns"), ("mutex", "take_turns"), ("goroutine", "main"),
    ("threadcreate", "main")])
def test_every_profile_has_its_real_functions(port: int, tmp_path: Path, name: str,
                                              function: str) -> None:
    said = go_pprof(tmp_path, "-top", "-cum", "-nodefraction=0",
                    f"http://127.0.0.1:{port}/debug/pprof/{name}")
    assert function in said, said
