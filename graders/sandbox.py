"""The layers between a student's code and the machine: which are in force, which cannot be had.

worker.c puts the layers on and reports what worked, one bit each; nothing is assumed. The other
probes are for `make doctor`: they say what this system could offer.
"""
from __future__ import annotations

import ctypes
import platform
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple, Tuple

from .model import GraderError


class Layer(NamedTuple):
    bit: int            # LAYER_ in worker.c
    name: str
    missing: str        # why it may be missing


# Always there: a process of its own, without the grader's descriptors and environment.
PROCESS = "process"
LAYERS = (
    Layer(1, "no-new-privs", "the kernel is older than 3.5"),
    Layer(2, "rlimits", "the limits of this shell are lower already"),
    Layer(4, "seccomp", "this kernel, container or processor offers no system call filter"),
)
PINNED = 8
SYS_LANDLOCK_CREATE_RULESET = 444


def active(bits: int) -> Tuple[str, ...]:
    """The names of the layers that a worker reported."""
    return (PROCESS, *(layer.name for layer in LAYERS if bits & layer.bit))


def missing(bits: int) -> Tuple[str, ...]:
    """The others, with the reason."""
    return tuple(f"{layer.name}: {layer.missing}" for layer in LAYERS if not bits & layer.bit)


def require_linux() -> None:
    """Grading needs Linux, and says so before anything is built."""
    if sys.platform.startswith("linux"):
        return
    system = "macOS" if sys.platform == "darwin" else platform.system() or sys.platform
    raise GraderError(
        f"labs cannot be graded on {system}: timing from outside, the system call filter and the "
        "reading of object files need Linux; run this in a Linux container or virtual machine "
        "(docker run -it -v \"$PWD:/perflab\" -w /perflab gcc make lab03)")


def landlock() -> str:
    """Why files cannot be walled off by Landlock, or ""."""
    library = ctypes.CDLL(None, use_errno=True)
    if library.syscall(SYS_LANDLOCK_CREATE_RULESET, None, 0, 1) > 0:
        return ""
    return "this kernel has no Landlock, or it is switched off"


def namespaces() -> str:
    """Why a process cannot be walled off by bubblewrap, or ""."""
    if not shutil.which("bwrap"):
        return "bubblewrap is not installed (sudo apt install bubblewrap)"
    command = ["bwrap", "--unshare-all", "--ro-bind", "/", "/", "true"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"bubblewrap does not start ({error})"
    if not done.returncode:
        return ""
    words = (done.stderr.strip().splitlines() or ["no message"])[0]
    if _number("/proc/sys/kernel/apparmor_restrict_unprivileged_userns"):
        words += "; sudo sysctl kernel.apparmor_restrict_unprivileged_userns=0 allows it"
    return f"bubblewrap has no rights here ({words})"


def seccomp() -> str:
    """Why system calls cannot be filtered, or ""."""
    try:
        actions = Path("/proc/sys/kernel/seccomp/actions_avail").read_text(encoding="ascii")
    except OSError:
        return "the kernel was built without seccomp, or /proc is not mounted"
    return "" if "trap" in actions.split() else "the kernel's seccomp cannot trap"


def _number(path: str) -> int:
    try:
        return int(Path(path).read_text(encoding="ascii"))
    except (OSError, ValueError):
        return 0
