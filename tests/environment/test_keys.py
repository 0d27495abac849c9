"""PERFLAB's other keys: what is collected in a program that knows nothing of it."""
from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from pathlib import Path
from typing import Dict, Tuple

import pytest

from conftest import Profiled, pprof


@pytest.fixture(scope="session", name="keys")
def fixture_keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """See keys.c."""
    target = tmp_path_factory.mktemp("keys") / "keys"
    source = Path(__file__).resolve().parent / "keys.c"
    subprocess.check_call(["cc", "-O2", "-g", str(source), "-o", str(target), "-pthread"])
    return target


def by_function(path: Path, function: str) -> Dict[str, int]:
    """The values of all samples with that function on their stack, by sample type."""
    profile = pprof.read(path, strict=True)
    names = {f.id: f.name for f in profile.functions}
    having = {place.id for place in profile.locations
              if any(names[line.function] == function for line in place.lines)}
    sums = {kind.type: 0 for kind in profile.sample_types}
    for sample in profile.samples:
        if having & set(sample.locations):
            for kind, value in zip(profile.sample_types, sample.values):
                sums[kind.type] += value
    return sums


def test_heap_exact(profiled: Profiled, keys: Path) -> None:
    under = profiled.run([str(keys), "allocate"], "heap=heap.pb.gz,heaprate=1")
    assert (under.status, under.stderr) == (0, b"")
    sums = by_function(profiled.folder / "heap.pb.gz", "allocate")
    assert sums["alloc_objects"] == 2000 and sums["inuse_objects"] == 1000
    assert sums["inuse_space"] * 2 == sums["alloc_space"] >= 20_000_000


def test_heap_sampled(profiled: Profiled, keys: Path) -> None:
    """20 MB at 4 KiB: 4,900 hits, a standard deviation of 1.5 %."""
    profiled.run([str(keys), "allocate"], "heap=heap.pb.gz,heaprate=4096")
    sums = by_function(profiled.folder / "heap.pb.gz", "allocate")
    assert sums["alloc_space"] == pytest.approx(20e6, rel=0.08)
    assert sums["inuse_space"] == pytest.approx(10e6, rel=0.08)


def test_block_and_mutex(profiled: Profiled, keys: Path) -> None:
    """Who waits for the lock is as long in one profile as its holders are charged in the other."""
    profiled.run([str(keys), "contend"], "block=block.pb.gz,mutex=mutex.pb.gz")
    waited = by_function(profiled.folder / "block.pb.gz", "hold")
    charged = by_function(profiled.folder / "mutex.pb.gz", "hold")
    assert waited["delay"] == pytest.approx(charged["delay"], rel=0.05)
    assert waited["contentions"] >= 2 and waited["delay"] > 20_000_000


def test_a_childs_files(profiled: Profiled, keys: Path) -> None:
    profiled.run([str(keys), "fork"], "heap=heap.pb.gz,heaprate=1")
    own, child = sorted(profiled.folder.glob("heap.pb.gz*"))
    assert child.name.startswith("heap.pb.gz.")
    assert by_function(own, "allocate")["alloc_objects"] == 0
    assert by_function(child, "allocate")["alloc_objects"] == 2000


def test_executed_children_take_the_same_keys(profiled: Profiled, keys: Path) -> None:
    profiled.run(["sh", "-c", f"{keys} contend; {keys} contend"],
                 "mutex=mutex.pb.gz,mutexfraction=1,hz=1000")
    assert not [path for path in profiled.folder.iterdir() if path.name == "mutex.pb.gz.tmp"]
    assert (profiled.folder / "mutex.pb.gz").exists()


def test_shells_do_not_leave_files_for_everything(profiled: Profiled) -> None:
    profiled.run(["bash", "-c", "for i in $(seq 50); do x=$(:); done"], "heap=heap.pb.gz")
    assert len(list(profiled.folder.glob("heap.pb.gz*"))) <= 3


def test_a_signal_writes_now(profiled: Profiled, keys: Path) -> None:
    """The program goes on, and what is written is whole."""
    environment = dict(os.environ, LD_PRELOAD=str(profiled.library),
                       PERFLAB="heap=heap.pb.gz,heaprate=1,cpu=cpu.pb.gz,signal=USR2")
    path = profiled.folder / "heap.pb.gz"
    with subprocess.Popen([str(keys), "wait"], cwd=profiled.folder, env=environment,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout and process.stdout.readline() == b"ready\n"
        for _ in range(3):
            path.unlink(missing_ok=True)
            process.send_signal(signal.SIGUSR2)
            for _ in range(200):
                if path.exists():
                    break
                time.sleep(0.05)
            assert by_function(path, "allocate")["inuse_objects"] == 1000
        assert process.poll() is None
        process.terminate()
        process.communicate(timeout=20)
    assert by_function(path, "allocate")["inuse_objects"] == 1000


def numbers(line: str) -> Tuple[float, float, int, int]:
    """Of a line of heaptrace: live before and after in MiB, mallocs, frees."""
    found = re.match(r"perflab: heap @[\d.]+s: ([\d.]+) -> ([\d.]+) MiB live, (\d+) mallocs, "
                     r"(\d+) frees, [\d.]+ MiB held", line)
    assert found, line
    return float(found[1]), float(found[2]), int(found[3]), int(found[4])


def test_growth_is_said(profiled: Profiled, keys: Path) -> None:
    """10 MB a second for six seconds."""
    lines = profiled.run([str(keys), "grow"], "heaptrace=1").stderr.decode().splitlines()
    assert len(lines) >= 5
    before, after, mallocs, _ = numbers(lines[1])
    assert after > before and mallocs > 0
    assert numbers(lines[2])[0] == after
    assert "growing" not in lines[0] and re.search(r"growing [\d.]+ MiB/s$", lines[-1])


def test_a_steady_heap_is_called_so(profiled: Profiled) -> None:
    lines = profiled.run(["sleep", "5.5"], "heaptrace=1").stderr.decode().splitlines()
    assert lines[-1].endswith("MiB held, steady")


def test_memory_limit(profiled: Profiled, keys: Path) -> None:
    """malloc and realloc fail beyond it, and that it is near is said once."""
    under = profiled.run([str(keys), "fill"], "memlimit=30m")
    blocks, large, error = under.stdout.decode().split()
    assert 290 <= int(blocks) <= 315 and (large, error) == ("none", "1")
    assert len(under.stderr.decode().splitlines()) == 1 and b"memlimit: " in under.stderr


def test_no_limit(profiled: Profiled, keys: Path) -> None:
    under = profiled.run([str(keys), "fill"], "memlimit=8g")
    assert under.stdout.decode().split()[:2] == ["5000", "large"] and under.stderr == b""


def test_the_limit_of_the_control_group(profiled: Profiled) -> None:
    """Whether there is one or not: the program runs."""
    under = profiled.run(["true"], "memlimit=cgroup")
    assert (under.status, under.stderr) == (0, b"")
