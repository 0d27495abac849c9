"""The C compiler: which one it is, what it can do, and running it without trusting its input.

A compiler reads what the source tells it to read, for as long and as large as the source likes:
`#include "/dev/zero"` and a 16 GB array are two lines. So it runs with limits on memory, time
and file size, in a directory of its own, in English, and with nothing on its standard input.
"""
from __future__ import annotations

import functools
import os
import re
import shlex
import shutil
import signal
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Dict, List, Optional, Sequence, Tuple

from .model import GraderError

MEMORY_KIB, CPU_SECONDS, FILE_BLOCKS = 2 << 20, 30, 1 << 18      # a block has 512 bytes
WALL_SECONDS = 60
LIMITED = ('ulimit -v "$1" 2>/dev/null; ulimit -t "$2" 2>/dev/null; ulimit -f "$3"; '
           'shift 3; exec "$@"')
INSTALL = ("install one: 'sudo apt install gcc' (Debian, Ubuntu), 'sudo dnf install gcc' (Fedora), "
           "'sudo apk add build-base' (Alpine)")

# Tried one by one; a compiler that does not know one goes without. Functions and loops that begin
# on the same boundary in both versions take away most of the luck of code placement; the three
# layouts vary what is left.
WANTED_FLAGS = ("-falign-functions=64", "-falign-loops=32")


@dataclass(frozen=True)
class Finished:
    """One run of the compiler."""
    status: int             # 0, or what went wrong; negative: the signal that ended it
    out: str
    err: str

    @property
    def ran_out(self) -> bool:
        """Whether a limit ended it, as far as one can tell."""
        words = ("memory exhausted", "out of memory", "bad_alloc", "File size limit",
                 "cannot allocate", "Killed", "CPU time limit", "file too large")
        return self.status != 0 and (
            self.status in (-signal.SIGXCPU, -signal.SIGXFSZ, -signal.SIGKILL)
            or any(word.lower() in self.err.lower() for word in words))


@dataclass(frozen=True)
class Compiler:
    """A compiler that is there. ``command`` may hold flags of its own (``gcc -m64``)."""
    command: Tuple[str, ...]
    name: str               # "gcc 12.2.0"
    identity: str           # changes when the compiler does
    extra: Tuple[str, ...]  # those of WANTED_FLAGS that it knows
    system_includes: Tuple[Path, ...]

    def run(self, arguments: Sequence[str], folder: Path) -> Finished:
        """Runs it in ``folder``, within the limits."""
        return _run([*self.command, *arguments], folder)

    def library(self, name: str, folder: Path) -> Optional[Path]:
        """Where the linker finds a shared library."""
        path = Path(self.run([f"-print-file-name={name}"], folder).out.strip())
        return path if path.is_absolute() and path.exists() else None


@functools.lru_cache(maxsize=None)
def find(wanted: str = "") -> Compiler:
    """The compiler called ``wanted``, or the machine's usual one."""
    command = _command(wanted)
    with tempfile.TemporaryDirectory(prefix="perflab-") as name:
        folder = Path(name)
        macros = _macros(command, folder)
        extra = tuple(flag for flag in WANTED_FLAGS if _knows(command, flag, folder))
        return Compiler(command, _name(macros), _identity(command, macros), extra,
                        _includes(command, folder))


def _command(wanted: str) -> Tuple[str, ...]:
    try:
        named = shlex.split(wanted)
    except ValueError as error:
        raise GraderError(f"--cc '{wanted}': {error}; write for example --cc clang") from None
    for command in [named] if named else [["cc"], ["gcc"], ["clang"]]:
        program = shutil.which(command[0])
        if program:
            return (program, *command[1:])
    if named:
        raise GraderError(f"there is no C compiler '{named[0]}' on this machine; {INSTALL}, "
                          "or choose another with --cc (make: CC=)")
    raise GraderError(f"there is no C compiler (cc, gcc or clang) on this machine; {INSTALL}")


def _macros(command: Sequence[str], folder: Path) -> Dict[str, str]:
    done = _run([*command, "-dM", "-E", "-x", "c", "/dev/null"], folder)
    found = dict(re.findall(r"^#define (\w+) (.*)$", done.out, re.M))
    if done.status or "__VERSION__" not in found:
        words = (done.err or "it said nothing").strip().splitlines()[0]
        raise GraderError(f"'{' '.join(command)}' does not work as a C compiler: {words}; "
                          "choose another with --cc (make: CC=)")
    return found


def _name(macros: Dict[str, str]) -> str:
    if "__clang__" in macros:
        return "clang " + ".".join(macros[f"__clang_{part}__"]
                                   for part in ("major", "minor", "patchlevel"))
    version = re.search(r"\d+(\.\d+)+", macros["__VERSION__"])
    return f"gcc {version[0] if version else macros['__VERSION__'].strip()}"


def _identity(command: Sequence[str], macros: Dict[str, str]) -> str:
    """A fingerprint for the cache. An updated compiler has another version, size or date."""
    facts = os.stat(os.path.realpath(command[0]))
    return "\n".join([*command, macros["__VERSION__"], macros.get("__GLIBC__", ""),
                      str(facts.st_size), str(facts.st_mtime_ns)])


def _knows(command: Sequence[str], flag: str, folder: Path) -> bool:
    done = _run([*command, "-Werror", flag, "-x", "c", "-c", "/dev/null", "-o", "flag.o"], folder)
    return done.status == 0


def _includes(command: Sequence[str], folder: Path) -> Tuple[Path, ...]:
    """The directories of the system's headers, from what the compiler says about itself."""
    done = _run([*command, "-v", "-E", "-x", "c", "/dev/null"], folder)
    listed = re.search(r"^#include <\.\.\.>.*?\n(.*?)^End of search list", done.err, re.M | re.S)
    names: List[str] = listed[1].splitlines() if listed else []
    return tuple(Path(os.path.realpath(name.strip())) for name in names if name.strip())


def _run(command: Sequence[str], folder: Path) -> Finished:
    limits = [str(value) for value in (MEMORY_KIB, CPU_SECONDS, FILE_BLOCKS)]
    child = subprocess.Popen(
        ["/bin/sh", "-c", LIMITED, "sh", *limits, *command], cwd=folder, env=_environment(folder),
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        start_new_session=True)
    try:
        out, err = child.communicate(timeout=WALL_SECONDS)
    except BaseException as error:      # Ctrl-C too must not leave a compiler behind
        os.killpg(child.pid, signal.SIGKILL)
        child.communicate()
        if isinstance(error, subprocess.TimeoutExpired):
            return Finished(-signal.SIGKILL, "", f"Killed after {WALL_SECONDS} s")
        raise
    return Finished(child.returncode, out.decode("utf-8", "replace"),
                    err.decode("utf-8", "replace"))


def _environment(folder: Path) -> Dict[str, str]:
    """Nothing that would change what is built (CPATH, LIBRARY_PATH), or the language."""
    return {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "TMPDIR": str(folder),
            "HOME": str(folder)}
