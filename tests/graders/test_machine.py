"""Which processors are chosen, and what is said of a machine: on made-up ones."""
from __future__ import annotations

from pathlib import Path
from typing import Dict, Optional, Sequence, Set

import pytest

from graders import machine, sandbox
from graders.machine import Cpus, choose_cpus
from graders.model import GraderError


def system(folder: Path, siblings: Sequence[str], capacity: Optional[Dict[int, int]] = None,
           performance: str = "") -> Path:
    """A made-up /sys/devices with one processor for each entry of ``siblings``."""
    sysfs = folder / "system" / "cpu"
    for cpu, listed in enumerate(siblings):
        topology = sysfs / f"cpu{cpu}" / "topology"
        topology.mkdir(parents=True)
        (topology / "thread_siblings_list").write_text(listed + "\n")
        if capacity:
            (sysfs / f"cpu{cpu}" / "cpu_capacity").write_text(f"{capacity[cpu]}\n")
    if performance:
        (folder / "cpu_core").mkdir()
        (folder / "cpu_core" / "cpus").write_text(performance + "\n")
    return sysfs


FOUR = ("0", "1", "2", "3")


@pytest.mark.parametrize("siblings,allowed,expected", [
    (("0",), {0}, Cpus((0,), None)),
    (("0", "1"), {0, 1}, Cpus((1,), 0)),
    (FOUR, {0, 1, 2, 3}, Cpus((1, 2, 3), 0)),
    (FOUR, {2, 3}, Cpus((3,), 2)),
    (("0-1", "0-1"), {0, 1}, Cpus((0,), 1)),                        # one core, two threads
    (("0,2", "1,3", "0,2", "1,3"), {0, 1, 2, 3}, Cpus((1,), 0)),    # never a sibling
    (("0,2", "1,3", "0,2", "1,3"), {1, 2, 3}, Cpus((2,), 1)),
    (("", "", "", ""), {0, 1}, Cpus((1,), 0))])                     # /sys says nothing
def test_one_processor_a_core(siblings: Sequence[str], allowed: Set[int], expected: Cpus,
                              tmp_path: Path) -> None:
    assert choose_cpus(system(tmp_path, siblings), allowed) == expected


@pytest.mark.parametrize("siblings,threads,expected", [
    (("0", "1"), 2, Cpus((0, 1), None)),                    # both, and the grader sleeps meanwhile
    (FOUR, 2, Cpus((1, 2, 3), 0)), (FOUR, 4, Cpus((0, 1, 2, 3), None)),
    (("0,2", "1,3", "0,2", "1,3"), 2, Cpus((0, 1), 3)),
    (("0-1", "0-1"), 2, Cpus((0,), 1)),                     # a sibling is no core of its own
    (("0",), 2, Cpus((0,), None))])
def test_an_operation_of_several_threads_gets_cores_first(
        siblings: Sequence[str], threads: int, expected: Cpus, tmp_path: Path) -> None:
    found = choose_cpus(system(tmp_path, siblings), set(range(len(siblings))), threads)
    assert found == expected


def test_big_and_little_cores(tmp_path: Path) -> None:
    sysfs = system(tmp_path, FOUR, {0: 400, 1: 400, 2: 1024, 3: 1024})
    assert choose_cpus(sysfs, {0, 1, 2, 3}) == Cpus((2, 3), 1)
    assert choose_cpus(sysfs, {0, 1}) == Cpus((1,), 0)


def test_performance_and_efficiency_cores(tmp_path: Path) -> None:
    siblings = ("0-1", "0-1", "2-3", "2-3", "4", "5")
    sysfs = system(tmp_path, siblings, performance="0-3")
    assert choose_cpus(sysfs, set(range(6))) == Cpus((0, 2), 5)
    assert choose_cpus(sysfs, {4, 5}) == Cpus((5,), 4)


def test_layers_are_named_with_the_reason_when_missing() -> None:
    assert sandbox.active(0) == ("process",)
    assert len(sandbox.missing(0)) == len(sandbox.LAYERS) == 3
    assert sandbox.missing(7) == ()
    assert all(": " in words for words in sandbox.missing(0))


def test_another_system_is_told_so_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "darwin")
    with pytest.raises(GraderError, match="macOS.*Linux") as error:
        sandbox.require_linux()
    assert "\n" not in str(error.value)
    check = machine._system()
    assert check.state == machine.MISSING and "macOS" in check.text


@pytest.mark.parametrize("files,state,words", [
    ({"cpu.max": "50000 100000"}, machine.WARNING, "0.5 processors"),
    ({"cpu.max": "200000 100000"}, machine.OK, "2 processors"),
    ({"cpu.max": "max 100000"}, None, ""), ({}, None, ""),
    ({"cpu/cpu.cfs_quota_us": "25000"}, machine.WARNING, "0.25"),
    ({"cpu/cpu.cfs_quota_us": "-1"}, None, "")])
def test_quotas_of_containers(files: Dict[str, str], state: Optional[str], words: str,
                              tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text + "\n")
    monkeypatch.setattr(machine, "CGROUP", tmp_path)
    check = machine._quota()
    assert (check.state if check else None) == state
    assert not check or words in check.text


def test_every_warning_names_what_mends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.getloadavg", lambda: (9.0, 9.0, 9.0))
    monkeypatch.setattr("os.sched_getaffinity", lambda pid: {0})
    warnings = [check for check in machine.doctor(Path("/nowhere"))
                if check.state == machine.WARNING]
    assert {"load", "processors"} <= {check.name for check in warnings}
    assert all(check.fix for check in warnings)
    assert {"load", "processors"} <= {check.name for check in machine.disturbances()}
