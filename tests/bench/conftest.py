"""Builds benchmark programs for the tests of this folder and runs them."""
from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Callable, Dict, List, Optional, Sequence

import pytest

ROOT = Path(__file__).resolve().parents[2]
STRICT = ["-Wall", "-Wextra", "-Wpedantic", "-Werror"]
COMPILERS = {"gcc": "g++", "clang": "clang++"}     # for C and for C++
Build = Callable[..., Path]


def tool(name: str) -> str:
    """The path of a program that a test needs; a test without it is left out by name."""
    search = os.pathsep.join([os.environ.get("PATH", ""), str(ROOT / "build" / "tools" / "bin")])
    path = shutil.which(name, path=search)
    if path is None:
        pytest.skip(f"{name} is missing; `make test-deps` says how to get it")
    return path


def execute(command: Sequence[str], **options: object) -> "subprocess.CompletedProcess[str]":
    """Runs a program to its end, with its output as text."""
    settings: Dict[str, object] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE,
                                   "timeout": 120}
    settings.update(options)
    return subprocess.run(list(command), universal_newlines=True, **settings)  # type: ignore


def compile_c(command: Sequence[str]) -> None:
    """Runs a compiler and shows what it says when it fails."""
    done = execute(command)
    assert done.returncode == 0, " ".join(command) + "\n" + done.stderr


@pytest.fixture(scope="session")
def build(tmp_path_factory: pytest.TempPathFactory) -> Build:
    """Returns a function that makes a program of C text (or a file) and perflab.o."""
    folder = tmp_path_factory.mktemp("programs")
    objects: Dict[str, Path] = {}
    count = 0

    def implementation(compiler: str, config: Sequence[str]) -> Path:
        key = " ".join([compiler, *config])
        if key not in objects:
            objects[key] = folder / f"perflab{len(objects)}.o"
            compile_c([tool(compiler), "-O2", *config, "-DPERFLAB_IMPL", "-x", "c", "-c",
                       str(ROOT / "perflab.h"), "-o", str(objects[key])])
        return objects[key]

    def make(text: str, *, compiler: str = "gcc", standard: str = "c11",
             flags: Sequence[str] = ("-O2",), config: Sequence[str] = (),
             name: Optional[str] = None) -> Path:
        nonlocal count
        count += 1
        language = "c++" if "++" in standard else "c"
        source = folder / (name or f"program{count}.c")
        source.write_text(text)
        program = folder / f"program{count}"
        front = COMPILERS[compiler] if language == "c++" else compiler
        compiled = program.with_suffix(".o")
        compile_c([tool(front), f"-std={standard}", *STRICT, *flags, f"-I{ROOT}", "-x", language,
                   "-c", str(source), "-o", str(compiled)])
        compile_c([tool(front), *flags, str(compiled), str(implementation(compiler, config)), "-o",
                   str(program), "-pthread"])
        return program

    return make


def results(text: str) -> List[str]:
    """The lines of Go's format: without comments, labels and the last word."""
    return [line for line in text.splitlines()
            if line.startswith("Benchmark") or line.startswith("---")]


def values(line: str) -> Dict[str, float]:
    """The values of a result by their units; the number of iterations has the unit "n"."""
    fields = line.split()
    pairs = zip(fields[2::2], fields[3::2])
    return {"n": float(fields[1]), **{unit: float(value) for value, unit in pairs}}
