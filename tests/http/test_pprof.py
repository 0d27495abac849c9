"""Stock go tool pprof on the running program, and readers that are stricter."""
from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from pathlib import Path
from typing import Dict, Iterator, List

import pytest

import deps
from conftest import Host, build

from graders import pprof

PROFILES = ["heap", "allocs", "block", "mutex", "goroutine", "threadcreate"]
PARCA = ["allocs", "block", "goroutine", "mutex", "profile?seconds=1"]


@pytest.fixture(scope="module", name="stripped")
def fixture_stripped(program: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    """A program without its symbols, but for what the dynamic linker needs."""
    target = tmp_path_factory.mktemp("stripped") / "host"
    shutil.copy(program, target)
    subprocess.check_call(["strip", str(target)])
    host = Host([str(target), "127.0.0.1:0"])
    yield host
    assert host.end() == (0, "")


@pytest.fixture(scope="module", name="working")
def fixture_working(host: Host) -> Host:
    """The threads have met at their lock."""
    deadline = time.monotonic() + 20
    while "hold_lock" not in host.get("/debug/pprof/mutex?debug=1").text:
        assert time.monotonic() < deadline
    return host


def go_pprof(folder: Path, *arguments: str) -> str:
    """Stock pprof, with a folder of its own for what it fetches."""
    done = subprocess.run([str(deps.find_program("go")), "tool", "pprof", *arguments],
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=120,
                          env=dict(os.environ, PPROF_TMPDIR=str(folder)), cwd=folder,
                          universal_newlines=True)
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


@pytest.mark.parametrize("name", PROFILES)
def test_by_url(working: Host, tmp_path: Path, name: str) -> None:
    """-top and -raw of each profile, fetched by pprof itself; its text, too."""
    url = f"http://127.0.0.1:{working.port}/debug/pprof/{name}"
    assert "flat%" in go_pprof(tmp_path, "-top", url)
    assert "PeriodType:" in go_pprof(tmp_path, "-raw", url)
    text = tmp_path / "text"
    text.write_bytes(working.get(f"/debug/pprof/{name}?debug=1").body)
    assert "flat%" in go_pprof(tmp_path, "-top", str(text))


@pytest.mark.parametrize("name, function", [
    ("profile?seconds=2", "burn_cpu"), ("mutex", "hold_lock"), ("block", "hold_lock")])
def test_functions_have_their_names(working: Host, tmp_path: Path, name: str,
                                    function: str) -> None:
    url = f"http://127.0.0.1:{working.port}/debug/pprof/{name}"
    assert function in go_pprof(tmp_path, "-top", "-nodefraction=0", url)


def test_the_bare_address_is_the_cpu_profile(working: Host, tmp_path: Path) -> None:
    """As with any Go program."""
    said = go_pprof(tmp_path, "-top", "-seconds", "1", f"http://127.0.0.1:{working.port}")
    assert "Type: cpu" in said and "burn_cpu" in said


def test_names_are_asked_for_by_post(stripped: Host, tmp_path: Path) -> None:
    """What the file does not name, because it was stripped, the program is asked for."""
    time.sleep(0.5)
    url = f"http://127.0.0.1:{stripped.port}/debug/pprof/profile?seconds=1"
    said = go_pprof(tmp_path, "-symbolize=force:remote", "-top", "-nodefraction=0", url)
    assert re.search(r"\[host\+0x[0-9a-f]+\]", said), said


def test_what_comes_over_a_token(program: Path, tmp_path: Path) -> None:
    """pprof knows passwords in addresses, and no other way."""
    host = Host([str(program), "127.0.0.1:0", "token=secret"])
    url = f"127.0.0.1:{host.port}/debug/pprof/mutex"
    assert "flat%" in go_pprof(tmp_path, "-top", f"http://any:secret@{url}")
    with pytest.raises(AssertionError, match="token is needed"):
        go_pprof(tmp_path, "-top", f"http://{url}")
    host.end()


@pytest.mark.parametrize("path", [*PROFILES, *(p + "?seconds=1" for p in PROFILES),
                                  "profile?seconds=1"])
def test_the_strictest_readers(working: Host, path: str) -> None:
    """Parca's rules: ids in order from 1, all references inside; Alloy's: a body of bytes."""
    got = working.get("/debug/pprof/" + path)
    assert (got.status, got.headers["content-type"]) == (200, "application/octet-stream")
    assert got.body
    profile = pprof.load(got.body, path, strict=True)
    assert len(profile.sample_types) in (1, 2, 4)


@pytest.mark.parametrize("path", PARCA)
def test_what_scrapers_ask_for(working: Host, path: str) -> None:
    """The default addresses of Parca and Alloy."""
    got = working.get("/debug/pprof/" + path, **{"Accept-Encoding": "gzip"})
    assert got.status == 200 and "content-encoding" not in got.headers
    assert pprof.load(got.body, path, strict=True)


def types(host: Host, path: str) -> List[str]:
    profile = pprof.load(host.get("/debug/pprof/" + path).body, path, strict=True)
    return [f"{t.type}/{t.unit}" for t in profile.sample_types]


def test_what_is_measured(working: Host) -> None:
    """In Go's order: readers take the last for the one that matters."""
    contentions = ["contentions/count", "delay/nanoseconds"]
    heap = ["alloc_objects/count", "alloc_space/bytes", "inuse_objects/count", "inuse_space/bytes"]
    assert types(working, "profile?seconds=1") == ["samples/count", "cpu/nanoseconds"]
    assert types(working, "mutex") == types(working, "block") == contentions
    assert types(working, "heap") == types(working, "allocs") == heap
    assert types(working, "goroutine") == ["goroutine/count"]
    assert types(working, "threadcreate") == ["threadcreate/count"]


def totals(host: Host, path: str) -> List[int]:
    """The sum of each value over all samples."""
    profile = pprof.load(host.get("/debug/pprof/" + path).body, path, strict=True)
    return [sum(sample.values[i] for sample in profile.samples)
            for i in range(len(profile.sample_types))]


def test_a_difference_is_what_happened_meanwhile(working: Host) -> None:
    """Of two threads that meet at a lock, over a second: more than none, less than all so far."""
    before = totals(working, "mutex")
    during = totals(working, "mutex?seconds=1")
    after = totals(working, "mutex")
    for i in range(2):
        assert 0 < during[i] <= after[i] - before[i]


def test_nothing_happens_in_an_idle_program(program: Path) -> None:
    """So the differences have no samples but threads, of which there are as many as before."""
    host = Host([str(program), "127.0.0.1:0", "idle"])
    found: Dict[str, List[int]] = {}
    for name in PROFILES:
        totals(host, name)
        found[name] = totals(host, name + "?seconds=1")
    host.end()
    assert all(not any(values) for values in found.values()), found


def test_memory_that_is_held(tmp_path: Path, working: Host) -> None:
    """The port has switched the heap's profile on, at Go's rate."""
    profile = pprof.load(working.get("/debug/pprof/heap").body, "heap", strict=True)
    assert profile.period == 512 << 10
    assert working.get("/debug/pprof/heap?gc=1").status == 200
