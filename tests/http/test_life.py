"""A server in the life of its program: forks, ends, shortages, leak checks, days of scrapes."""
from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path
from typing import Iterator, List, Tuple

import pytest

from conftest import Host, build, quiet, read_all

PATHS = ["/debug/pprof/", "/debug/pprof/mutex", "/debug/pprof/block?debug=1",
         "/debug/pprof/memstats", "/debug/pprof/symbol?0x400000", "/debug/pprof/cmdline",
         "/debug/pprof/heap", "/debug/pprof/allocs", "/debug/pprof/goroutine",
         "/debug/pprof/threadcreate", "/debug/pprof/heap?debug=1", "/debug/pprof/nothing"]


def server_thread(pid: int) -> Path:
    """The thread that serves, in /proc; once it has answered, it has its name."""
    tasks = Path(f"/proc/{pid}/task")
    return next(t for t in tasks.iterdir() if (t / "comm").read_text() == "pl_http\n")


def settles(host: Host, descriptors: int) -> None:
    """The server closes what it has to, soon."""
    deadline = time.monotonic() + 20
    while host.descriptors() != descriptors:
        assert time.monotonic() < deadline, host.descriptors()
        time.sleep(0.01)


def test_the_thread_has_a_name_and_takes_no_signals(own_host: Host) -> None:
    """SIGPROF alone, so that its time is in a CPU profile; and libc's own, which nobody blocks."""
    assert own_host.alive()
    lines = (server_thread(own_host.process.pid) / "status").read_text().splitlines()
    blocked = next(int(line.split()[1], 16) for line in lines if line.startswith("SigBlk"))
    open_to = {number for number in range(1, 65) if not blocked >> (number - 1) & 1}
    assert open_to <= {signal.SIGPROF, signal.SIGKILL, signal.SIGSTOP, 32, 33}
    assert signal.SIGPROF in open_to


def switches(status: Path) -> str:
    """How often a thread was taken off its processor, and went by itself."""
    return " ".join(line for line in status.read_text().splitlines() if "ctxt_switches" in line)


def test_an_idle_server_sleeps(own_host: Host) -> None:
    """It does not look around now and then: the kernel counts how often it went to sleep."""
    connections = [own_host.connect() for _ in range(3)]
    assert own_host.alive()
    status = server_thread(own_host.process.pid) / "status"
    seconds: List[Tuple[str, str]] = []       # of two in a row, the first may still answer
    for _ in range(2):
        before = switches(status)
        time.sleep(1)
        seconds.append((before, switches(status)))
    assert any(before == after for before, after in seconds), seconds
    for connection in connections:
        connection.close()


def test_fork(own_host: Host) -> None:
    """The child has no server, may start one, and does not disturb its parent's."""
    before = own_host.descriptors()
    with own_host.connect() as waiting:
        waiting.sendall(b"GET /debug/pprof/profile?seconds=2 HTTP/1.0\r\n\r\n")
        assert quiet(waiting, 0.2)
        assert own_host.told("fork") == 0
        assert own_host.alive()
        assert read_all(waiting).startswith(b"HTTP/1.1 200 OK\r\n")
    scraping = threading.Thread(target=scrape, args=(own_host, 2))
    scraping.start()
    while scraping.is_alive():
        assert own_host.told("fork") == 0
    settles(own_host, before)


def test_stop_cuts_off(own_host: Host) -> None:
    """What is being answered ends, and with it the CPU profile."""
    with own_host.connect() as waiting:
        waiting.sendall(b"GET /debug/pprof/profile?seconds=600 HTTP/1.0\r\n\r\n")
        assert quiet(waiting, 0.2)
        assert own_host.told("stop") == 0
        assert waiting.recv(100) == b""
    assert own_host.told("start 127.0.0.1:0") == 0
    assert own_host.get("/debug/pprof/profile?seconds=1").status == 200


@pytest.mark.parametrize("path", ["profile?seconds=600", "symbol", "mutex"])
def test_the_program_may_end_at_any_time(program: Path, path: str) -> None:
    """exit while requests are being answered: its own status, no message, no delay."""
    host = Host([str(program), "127.0.0.1:0"])
    stop = threading.Event()

    def ask() -> None:
        while not stop.is_set():
            try:
                with host.connect() as connection:
                    connection.sendall(f"GET /debug/pprof/{path} HTTP/1.0\r\n\r\n".encode())
                    read_all(connection)
            except OSError:
                return

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    time.sleep(0.3)
    assert host.end() == (0, "")
    stop.set()
    for thread in threads:
        thread.join()


def test_no_descriptors_left(own_host: Host) -> None:
    """Who comes then waits; the server does not spin meanwhile, and goes on when there are some."""
    before = own_host.descriptors()
    assert own_host.alive()
    settles(own_host, before)
    own_host.told("hold")
    ticks = Path(f"/proc/{own_host.process.pid}/task/"
                 f"{server_thread(own_host.process.pid).name}/schedstat")
    with own_host.connect() as connection:
        connection.sendall(b"GET /debug/pprof/symbol HTTP/1.0\r\n\r\n")
        before = int(ticks.read_text().split()[0])
        assert quiet(connection, 1)
        assert int(ticks.read_text().split()[0]) - before < 100_000_000
        assert own_host.told("release") == 1
        assert read_all(connection).endswith(b"num_symbols: 1\n")


def test_the_server_is_no_leak(own_host: Host) -> None:
    """Neither its thread nor its descriptors, whether they were there before the mark or not."""
    assert own_host.told("stop") == 0
    assert own_host.told("mark") == 0
    assert own_host.told("start 127.0.0.1:0") == 0
    with own_host.connect() as idle:
        assert own_host.alive() and quiet(idle, 0)
        assert own_host.told("leaks") == 0


def test_a_program_that_handles_signals(program: Path) -> None:
    """Signals that come all the time go to the program, and no request suffers."""
    host = Host([str(program), "127.0.0.1:0"])
    stop = threading.Event()

    def bother() -> None:
        while not stop.is_set():
            os.kill(host.process.pid, signal.SIGUSR1)
            time.sleep(0.0001)

    thread = threading.Thread(target=bother)
    thread.start()
    try:
        assert host.get("/debug/pprof/profile?seconds=1").status == 200
        for _ in range(50):
            assert host.get("/debug/pprof/mutex").status == 200
    finally:
        stop.set()
        thread.join()
    assert host.end()[0] == 0


def resident_kib(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS"))


def scrape(host: Host, seconds: float, pause: float = 0) -> None:
    """Everything, over and over."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for path in PATHS:
            assert host.get(path).status in (200, 404)
            time.sleep(pause)


def test_scrapes_leave_nothing(own_host: Host) -> None:
    """Neither memory nor descriptors nor threads grow."""
    pid, descriptors = own_host.process.pid, own_host.descriptors()
    scrape(own_host, 2, 0.02)
    before, threads = resident_kib(pid), len(os.listdir(f"/proc/{pid}/task"))
    scrape(own_host, 4, 0.02)
    settles(own_host, descriptors)
    assert len(os.listdir(f"/proc/{pid}/task")) == threads
    assert resident_kib(pid) < before + 1024


@pytest.fixture(scope="module", name="mounted")
def fixture_mounted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    """The server of mounted.c."""
    host = Host([str(build(tmp_path_factory.mktemp("mounted") / "mounted", source="mounted.c"))])
    yield host
    host.process.kill()
    host.process.communicate()


def test_pages_in_a_server_of_ones_own(mounted: Host) -> None:
    """The same answers, the same headers."""
    page = mounted.get("/debug/pprof/")
    assert page.status == 200 and "http://profiles.example/debug/pprof/mutex" in page.text
    got = mounted.get("/debug/pprof/mutex")
    assert got.headers["content-disposition"] == 'attachment; filename="mutex"'
    assert mounted.get("/debug/pprof/nothing").headers["x-go-pprof"] == "1"
    assert mounted.get("/debug/pprof/profile?seconds=1").body.startswith(b"\x1f\x8b")
    assert mounted.get("/elsewhere").status == 404
    assert mounted.get("/debug/pprof/heap", "DELETE").status == 405


def test_a_server_of_ones_own_whose_client_goes(mounted: Host) -> None:
    """The profile ends as soon as `gone` says so: the next one can be taken."""
    with mounted.connect() as connection:
        connection.sendall(b"GET /debug/pprof/profile?seconds=600 HTTP/1.0\r\n\r\n")
        assert quiet(connection, 0.2)
    assert mounted.get("/debug/pprof/profile?seconds=1").status == 200


BUILDS: List[List[str]] = [["-O0", "-static"], ["-O1", "-static-pie"],
                           ["-O0", "-DPERFLAB_NO_INTERPOSE"], ["-O0", "-DPERFLAB_NO_SYNC"],
                           ["-O0", "-fsanitize=address,undefined"]]


@pytest.mark.parametrize("flags", BUILDS, ids=" ".join)
def test_every_build(tmp_path: Path, flags: List[str]) -> None:
    """The same pages, however it was linked."""
    host = Host([str(build(tmp_path / "host", *flags)), "127.0.0.1:0"])
    for path in PATHS:
        assert host.get(path).status in (200, 404), path
    assert host.get("/debug/pprof/profile?seconds=1").status == 200
    assert host.told("fork") == 0
    assert host.end() == (0, "")


def test_musl(tmp_path: Path) -> None:
    flags = ["-O0", "-DPERFLAB_NO_INTERPOSE", "-static"]
    host = Host([str(build(tmp_path / "host", *flags, compiler="musl-gcc")), "127.0.0.1:0"])
    for path in PATHS:
        assert host.get(path).status in (200, 404), path
    assert host.get("/debug/pprof/profile?seconds=1").status == 200
    assert host.end() == (0, "")


def test_left_out(tmp_path: Path) -> None:
    """PERFLAB_NO_HTTP: no server, and the program goes on."""
    host = Host([str(build(tmp_path / "host", "-O0", "-DPERFLAB_NO_HTTP")), "127.0.0.1:0"])
    assert (host.result, host.port) == (5, 0)
    assert host.end() == (0, "")
