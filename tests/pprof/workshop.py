"""The programs that write profiles, and pprof to read them."""
from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Dict, List, Sequence

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent
FRAMES = ["-fomit-frame-pointer"]
BASE = ["-O2", "-g", "-fno-builtin", f"-I{ROOT}", f"-I{HERE}"]


def run(command: Sequence[str], cwd: Path, **settings: str) -> str:
    """Standard output; anything but exit status 0 fails the test."""
    done = subprocess.run(command, cwd=cwd, env=dict(os.environ, **settings), timeout=120,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 0, (command, done.returncode, done.stdout, done.stderr[-3000:])
    return done.stdout


class Workshop:
    """One folder: builds programs, runs them, shows their profiles to pprof."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def build(self, name: str, compiler: str = "gcc", *flags: str, work: str = "work.c") -> Path:
        """host.c with a part that works; C and C++ are compiled each by its own."""
        program = self.folder / name
        cxx = {"gcc": "g++", "clang": "clang++"}[compiler]
        compiled = [flag for flag in flags if not flag.startswith(("-Wl", "-static", "-no-pie"))]
        objects: List[str] = []
        for source in ("host.c", work):
            with_cxx = source.endswith(".cc")
            objects.append(str(self.folder / f"{name}-{source}.o"))
            run([cxx if with_cxx else compiler, *BASE, *FRAMES, *compiled, "-c", str(HERE / source),
                 "-o", objects[-1]], self.folder)
        run([cxx if work.endswith(".cc") else compiler, "-O2", *flags, *objects, "-o",
             str(program), "-pthread", "-ldl"], self.folder)
        return program

    def profile(self, program: Path, *arguments: str, **settings: str) -> Path:
        """Runs a program; where its profile is. The text has the suffix .txt."""
        out = program.with_suffix(".pb.gz")
        run([str(program), str(out), str(program.with_suffix(".txt")), *arguments], self.folder,
            **settings)
        return out

    def pprof(self, *arguments: str) -> str:
        """What stock pprof prints."""
        go = shutil.which("go", path=os.environ["PATH"] + ":/usr/local/go/bin")
        assert go, "go is missing; `make test-deps INSTALL=1` installs it"
        return run([go, "tool", "pprof", *arguments], self.folder,
                   PPROF_TMPDIR=str(self.folder), HOME=str(self.folder),
                   GOCACHE=os.environ.get("GOCACHE", str(Path.home() / ".cache" / "go-build")))


def table(text: str) -> Dict[str, List[str]]:
    """The rows of pprof's top by function: flat, flat%, sum%, cum, cum%."""
    rows: Dict[str, List[str]] = {}
    for line in text.splitlines():
        match = re.match(r"\s*(\S+)\s+(\S+%|0)\s+(\S+%)\s+(\S+)\s+(\S+%|0)\s+(.+)$", line)
        if match and not line.lstrip().startswith("flat"):
            rows[match.group(6)] = list(match.groups()[:5])
    return rows
