"""perflab.h as objects and libraries, and the programs of this folder linked with them."""
from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import List, Sequence

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent
ALLOCATORS = {"jemalloc": "libjemalloc.so.2", "tcmalloc": "libtcmalloc_minimal.so.4",
              "mimalloc": "libmimalloc.so.2"}
WARNINGS = ["-O2", "-Wall", "-Wextra", "-Wpedantic", "-Werror"]


def run(command: Sequence[str], preload: str = "", **settings: str) -> str:
    """Runs a command; its standard output. Anything but exit status 0 fails the test."""
    environment = dict(os.environ, **settings)
    if preload:
        environment["LD_PRELOAD"] = preload
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True,
                          stderr=subprocess.PIPE, timeout=120, check=False)
    assert done.returncode == 0, (command, done.returncode, done.stdout, done.stderr[-2000:])
    return done.stdout


class Builds:
    """Objects and programs in one folder, each made once."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def object(self, compiler: str, *flags: str) -> str:
        """perflab.h as an object."""
        path = self.folder / ("-".join(["perflab", compiler, *flags]).replace("/", "_") + ".o")
        if not path.exists():
            run([compiler, *WARNINGS, *flags, "-DPERFLAB_IMPL", "-x", "c", "-c",
                 str(ROOT / "perflab.h"), "-o", str(path)])
        return str(path)

    def library(self) -> str:
        """perflab.h as a library to preload or to link with."""
        path = self.folder / "libperflab.so"
        if not path.exists():
            run(["gcc", *WARNINGS, "-shared", "-fPIC", "-DPERFLAB_IMPL", "-x", "c",
                 str(ROOT / "perflab.h"), "-o", str(path)])
        return str(path)

    def search_path(self) -> str:
        """The flag with which a program finds the library where it was built."""
        return f"-Wl,-rpath,{self.folder}"

    def program(self, name: str, compiler: str, source: str, *rest: str) -> str:
        """A program of tests/core, linked with what is given."""
        path = self.folder / name
        if not path.exists():
            run([compiler, "-O1", "-fno-builtin", f"-I{ROOT}", str(HERE / source), *rest,
                 "-o", str(path)])
        return str(path)


def ledger(builds: Builds, way: str) -> List[str]:
    """The C program that counts: with perflab as an object, or as a library."""
    if way == "object":
        return [builds.program("ledger", "gcc", "ledger.c", builds.object("gcc"))]
    library = builds.library()
    return [builds.program("ledger-so", "gcc", "ledger.c", library,
                           builds.search_path())]
