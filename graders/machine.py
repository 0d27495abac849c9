"""The machine: its facts for the report, the processors to measure on, and what disturbs.

Every fault comes with the command that mends it. Faults that make a verdict impossible are
errors; the others cost time or certainty, and are warnings.
"""
from __future__ import annotations

import os
import platform
import re
import shutil
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, Dict, FrozenSet, List, Optional, Sequence, Set, Tuple

from . import compiler, sandbox
from .model import GraderError, Machine

OK, NOTE, WARNING, MISSING = "ok", "note", "warning", "missing"
SYSFS = Path("/sys/devices/system/cpu")
CGROUP = Path("/sys/fs/cgroup")


@dataclass(frozen=True)
class Cpus:
    """Where to run: one processor a core, all of the fastest kind, and one for the grader."""
    workers: Tuple[int, ...]
    grader: Optional[int]       # None: there is no processor to spare


@dataclass(frozen=True)
class Check:
    """One line of `make doctor`."""
    state: str
    name: str
    text: str
    fix: str = ""


def choose_cpus(sysfs: Path = SYSFS, allowed: Optional[Set[int]] = None, threads: int = 1) -> Cpus:
    """The processors of one kind on cores of their own, as far as this process may use them.

    An operation of several threads gets as many cores, before one is kept free for the grader.
    """
    usable = allowed if allowed is not None else os.sched_getaffinity(0)
    cores = _cores(sysfs, fastest(sysfs, usable))
    others = [cpu for cpu in usable if not any(cpu in core for core in cores)]
    workers = [min(core & usable) for core in cores]
    if others:                          # slower ones: good enough for the grader
        return Cpus(tuple(workers), max(others))
    if len(workers) > threads:          # the lowest one tends to serve the interrupts
        return Cpus(tuple(workers[1:]), workers[0])
    spare = usable - set(workers)       # a sibling on the same core disturbs less than waiting
    return Cpus(tuple(workers), max(spare) if spare else None)


def fastest(sysfs: Path, usable: Set[int]) -> Set[int]:
    """Of the usable processors those of the fastest kind; all of them on an ordinary machine."""
    performance = _cpu_list(_text(sysfs.parent.parent / "cpu_core" / "cpus")) & usable
    if performance:                     # Intel's hybrids name their kinds
        return performance
    capacity = {cpu: _number(sysfs / f"cpu{cpu}" / "cpu_capacity") for cpu in usable}
    best = max(capacity.values())
    return {cpu for cpu in usable if capacity[cpu] == best}


def facts(built_with: compiler.Compiler, flags: Sequence[str], layers: Optional[int],
          more: Sequence[str] = ()) -> Machine:
    """What stands beside the verdict. Without ``layers`` no worker was started."""
    disturbing = [f"{check.text}: {check.fix}" for check in disturbances() if check.fix]
    return Machine(
        processor=_processor(), cores=len(os.sched_getaffinity(0)),
        system=f"{platform.system()} {platform.release()}", compiler=built_with.name,
        flags=" ".join(flags), sandbox=() if layers is None else sandbox.active(layers),
        missing=() if layers is None else sandbox.missing(layers),
        warnings=(*more, *disturbing))


def disturbances() -> Tuple[Check, ...]:
    """What makes measurements on this machine slower or less certain, found without waiting."""
    checks: List[Optional[Check]] = [_load(), _quota(), _one_core(), _governor(), _battery()]
    return tuple(check for check in checks if check and check.state == WARNING)


def doctor(root: Path, cc: str = "") -> Tuple[Check, ...]:
    """Everything that `make doctor` looks at."""
    probes: Tuple[Callable[[], Optional[Check]], ...] = (
        _system, _python, lambda: _compiler(cc), lambda: _other_compiler(cc), _make,
        lambda: _header(root), _load, _quiet, _stolen, _quota, _one_core, _hybrid, _siblings,
        _governor, _turbo, _battery, _virtual, _container,
        lambda: _layer("seccomp", sandbox.seccomp), lambda: _layer("Landlock", sandbox.landlock),
        lambda: _layer("namespaces", sandbox.namespaces), _profilers)
    return tuple(check for check in (probe() for probe in probes) if check)


# ---- what is needed ------------------------------------------------------------------------

def _system() -> Check:
    try:
        sandbox.require_linux()
    except GraderError as error:
        return Check(MISSING, "system", str(error))
    return Check(OK, "system", f"{platform.system()} {platform.release()}, {_processor()}")


def _python() -> Check:
    version = platform.python_version()
    if sys.version_info < (3, 9):
        return Check(MISSING, "Python", f"{version} is too old",
                     "install Python 3.9 or later, and run make PYTHON=python3.x")
    return Check(OK, "Python", version)


def _compiler(cc: str) -> Check:
    try:
        found = compiler.find(cc)
    except GraderError as error:
        return Check(MISSING, "compiler", str(error))
    return Check(OK, "compiler", f"{found.name} ({' '.join(found.command)})")


def _other_compiler(cc: str) -> Optional[Check]:
    if cc or (shutil.which("gcc") and shutil.which("clang")):
        return None
    absent = "clang" if shutil.which("gcc") else "gcc"
    return Check(NOTE, "compiler", f"{absent} is not installed; labs do not need it",
                 f"sudo apt install {absent}   (then: make lab03 CC={absent})")


def _make() -> Check:
    if shutil.which("make"):
        return Check(OK, "make", "found")
    return Check(MISSING, "make", "make is not installed", "sudo apt install make")


def _header(root: Path) -> Check:
    if (root / "perflab.h").is_file():
        return Check(OK, "perflab.h", "found")
    return Check(MISSING, "perflab.h", f"{root / 'perflab.h'} is not there",
                 "git checkout perflab.h")


# ---- what disturbs -------------------------------------------------------------------------

def _load() -> Check:
    load, cores = os.getloadavg()[0], len(os.sched_getaffinity(0))
    if load > 0.5 * cores + 0.5:
        return Check(WARNING, "load", f"other programs are running (load {load:.1f} on {cores} "
                     f"processor{'s' * (cores > 1)})", "close them; 'top' shows which they are")
    return Check(OK, "load", f"{load:.1f}")


def _quiet() -> Check:
    """Spins for 10 ms a few times and compares elapsed with processor time."""
    worst = 1.0
    for _ in range(10):
        wall, cpu = time.monotonic_ns(), time.process_time_ns()
        while time.monotonic_ns() - wall < 10_000_000:
            pass
        worst = min(worst, (time.process_time_ns() - cpu) / (time.monotonic_ns() - wall))
    if worst < 0.9:
        return Check(WARNING, "noise", f"a busy program got only {100 * worst:.0f} % of a processor"
                     " at times", "close other programs, or grade when the machine is idle")
    return Check(OK, "noise", f"a busy program gets {100 * worst:.0f} % of a processor or more")


def _stolen() -> Optional[Check]:
    fields = _text(Path("/proc/stat")).split("\n")[0].split()
    if len(fields) < 9:
        return None
    share = int(fields[8]) / max(1, sum(map(int, fields[1:9])))
    if share > 0.01:
        return Check(WARNING, "steal", f"the host took {100 * share:.1f} % of the processor time "
                     "of this virtual machine", "choose a machine type with processors of its own")
    return Check(OK, "steal", f"{100 * share:.2f} % of the processor time since start")


def _quota() -> Optional[Check]:
    """The processor time that a container may use, by either version of cgroups."""
    for line in _text(Path("/proc/self/cgroup")).splitlines():
        path = line.split(":", 2)[2].lstrip("/")
        for folder in (CGROUP / path, CGROUP):
            quota, _, period = _text(folder / "cpu.max").partition(" ")
            if quota.isdigit() and period.strip().isdigit():
                return _limited(int(quota) / int(period))
    version1 = _number(CGROUP / "cpu" / "cpu.cfs_quota_us")
    return _limited(version1 / 100_000) if version1 > 0 else None


def _limited(processors: float) -> Check:
    text = f"this container may use {processors:.2g} processors"
    if processors < 1:
        return Check(WARNING, "quota", text, "start it with at least one (docker run --cpus 2)")
    return Check(OK, "quota", text)


def _one_core() -> Check:
    cores = len(os.sched_getaffinity(0))
    if cores > 1:
        return Check(OK, "processors", f"{cores}, one of them for the grader")
    return Check(WARNING, "processors", "there is one processor for grader and lab together",
                 "give the virtual machine or container two; labs with threads need them")


def _hybrid() -> Optional[Check]:
    usable = os.sched_getaffinity(0)
    fast = fastest(SYSFS, usable)
    if len(fast) == len(usable):
        return None
    return Check(NOTE, "cores", f"{len(fast)} fast and {len(usable) - len(fast)} slow ones; labs "
                 "are pinned to the fast ones", f"taskset -c {min(fast)} PROGRAM does so by hand")


def _siblings() -> Optional[Check]:
    if _text(SYSFS / "smt" / "active").strip() != "1":
        return None
    return Check(NOTE, "threads", "two processors share one core (SMT); labs use one of each two",
                 "echo off | sudo tee /sys/devices/system/cpu/smt/control")


def _governor() -> Optional[Check]:
    kinds = {_text(path).strip() for path in SYSFS.glob("cpu[0-9]*/cpufreq/scaling_governor")}
    if not kinds or kinds == {"performance"}:
        return None
    return Check(WARNING, "governor", f"the processor changes its speed ({', '.join(sorted(kinds))}"
                 " governor)", "sudo cpupower frequency-set -g performance")


def _turbo() -> Optional[Check]:
    if _text(SYSFS / "intel_pstate" / "no_turbo").strip() == "0":
        return Check(NOTE, "turbo", "is on: speed depends on temperature",
                     "echo 1 | sudo tee /sys/devices/system/cpu/intel_pstate/no_turbo")
    if _text(SYSFS / "cpufreq" / "boost").strip() == "1":
        return Check(NOTE, "turbo", "is on: speed depends on temperature",
                     "echo 0 | sudo tee /sys/devices/system/cpu/cpufreq/boost")
    return None


def _battery() -> Optional[Check]:
    supplies = Path("/sys/class/power_supply")
    mains = [_text(path).strip() for path in supplies.glob("*/online")]
    if list(supplies.glob("BAT*")) and mains and "1" not in mains:
        return Check(WARNING, "battery", "runs on battery, and slower", "plug the machine in")
    return None


def _virtual() -> Optional[Check]:
    if " hypervisor" not in _text(Path("/proc/cpuinfo")):
        return None
    return Check(NOTE, "virtual", "this is a virtual machine: its neighbours can disturb, and "
                 "hardware counters are often missing", "")


def _container() -> Optional[Check]:
    marks = ("/.dockerenv", "/run/.containerenv", "/run/systemd/container")
    if any(Path(mark).exists() for mark in marks):
        return Check(NOTE, "container", "this is a container; some sandbox layers may be refused")
    return None


def _layer(name: str, probe: Callable[[], str]) -> Check:
    reason = probe()
    return Check(NOTE if reason else OK, name, reason or "can be used")


def _profilers() -> Optional[Check]:
    absent = [name for name in ("valgrind", "gdb") if not shutil.which(name)]
    if not absent:
        return None
    return Check(NOTE, "tools", f"not installed: {', '.join(absent)}; labs do not need "
                 f"{'it' if len(absent) == 1 else 'them'}", f"sudo apt install {' '.join(absent)}")


# ---- reading the system's files ------------------------------------------------------------

def _cores(sysfs: Path, cpus: Set[int]) -> List[FrozenSet[int]]:
    """The sets of processors that share a core, of the given ones, in ascending order."""
    found: Dict[FrozenSet[int], None] = {}
    for cpu in sorted(cpus):
        listed = _text(sysfs / f"cpu{cpu}" / "topology" / "thread_siblings_list")
        found[frozenset((_cpu_list(listed) | {cpu}) & cpus)] = None
    return list(found)


def _cpu_list(text: str) -> Set[int]:
    """The kernel's notation for sets: 0-3,8."""
    found: Set[int] = set()
    for first, last in re.findall(r"(\d+)(?:-(\d+))?", text):
        found |= set(range(int(first), int(last or first) + 1))
    return found


def _processor() -> str:
    info = _text(Path("/proc/cpuinfo"))
    named = re.search(r"^(?:model name|Model|Hardware)\s*:\s*(.+)$", info, re.M)
    words = named[1] if named else platform.machine()
    return " ".join(re.sub(r"\((R|TM)\)|CPU|Processor|@.*", " ", words).split())


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _number(path: Path) -> int:
    text = _text(path).strip()
    return int(text) if re.fullmatch(r"-?\d+", text) else 0
