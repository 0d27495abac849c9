"""What it costs a program to be asked for its profiles all the time: for bench/run.py.

Fetching takes time of the machine wherever the profiles come from. So the same fetcher asks another
program when the one under test is to be left alone: what differs is only who is asked. It changes
every half second, so that what else the machine does meets both alike.
"""
from __future__ import annotations

import http.client
import subprocess
import threading
import time
from pathlib import Path
from typing import List, NamedTuple, Tuple

PROFILES = ("heap", "allocs", "block", "mutex", "goroutine", "threadcreate")
A_SECOND = 50
PHASE_NS = 500_000_000     # as in http_load.c


class Growth(NamedTuple):
    """What a program has more of at the end of being asked for a long time."""
    kib: float
    descriptors: float


class Load:
    """http_load while it runs."""

    def __init__(self, program: str, seconds: int) -> None:
        self.process = subprocess.Popen([program, str(seconds)], stdout=subprocess.PIPE,
                                        universal_newlines=True)
        assert self.process.stdout
        self.port = int(self.process.stdout.readline())

    def p99_ns(self) -> Tuple[float, float]:
        """Waits for its end: of even half seconds, and of odd ones."""
        even, odd = self.process.communicate()[0].split()
        return float(even), float(odd)

    def stop(self) -> None:
        """Its figures are of no interest."""
        self.process.kill()
        self.process.communicate()

    def resident_kib(self) -> int:
        """Memory, as the kernel counts it."""
        lines = Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS"))

    def descriptors(self) -> int:
        """How many stay open: the least of some looks, since an answer under way may have files."""
        counts = []
        for _ in range(20):
            counts.append(len(list(Path(f"/proc/{self.process.pid}/fd").iterdir())))
            time.sleep(0.007)
        return min(counts)


def fetch(ports: Tuple[int, int], stop: threading.Event, faults: List[str]) -> None:
    """All profiles in turn, 50 a second, over connections that are kept, as scrapers do; in even
    half seconds from one port, in odd ones from the other."""
    connections = [http.client.HTTPConnection("127.0.0.1", port, timeout=10) for port in ports]
    due = time.monotonic()
    while not stop.is_set():
        for name in PROFILES:
            connection = connections[time.monotonic_ns() // PHASE_NS % 2]
            connection.request("GET", "/debug/pprof/" + name)
            answer = connection.getresponse()
            if answer.status != 200 or not answer.read():
                faults.append(f"{name}: {answer.status}")
            due += 1 / A_SECOND
            time.sleep(max(0.0, due - time.monotonic()))
    for connection in connections:
        connection.close()


class Fetching:
    """A thread that fetches from two ports in turn until the end of the block."""

    def __init__(self, even: int, odd: int) -> None:
        self.stop = threading.Event()
        self.faults: List[str] = []
        self.thread = threading.Thread(target=fetch, args=((even, odd), self.stop, self.faults))

    def __enter__(self) -> "Fetching":
        self.thread.start()
        return self

    def __exit__(self, *unused: object) -> None:
        self.stop.set()
        self.thread.join()
        if self.faults:
            raise ValueError(f"{len(self.faults)} answers were wrong: {self.faults[0]}")


def p99(program: str, seconds: int) -> Tuple[float, float]:
    """The program's own latency in ns while it is asked, and while another one is."""
    other, measured = Load(program, 10 * seconds), Load(program, seconds)
    try:
        with Fetching(measured.port, other.port):
            time.sleep(seconds - 0.5)       # the program is there until the fetching has ended
        return measured.p99_ns()
    finally:
        other.stop()


def growth(program: str, seconds: int) -> Growth:
    """Over this time, once everything has been fetched for some seconds."""
    load = Load(program, seconds + 60)
    try:
        with Fetching(load.port, load.port):
            time.sleep(5)
            kib, descriptors = load.resident_kib(), load.descriptors()
            time.sleep(seconds)
            return Growth(load.resident_kib() - kib, load.descriptors() - descriptors)
    finally:
        load.stop()
