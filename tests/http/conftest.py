"""A program with a server, and ways to ask it: politely, and byte by byte."""
from __future__ import annotations

import contextlib
import http.client
import os
import select
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, Iterator, List, Tuple

import pytest

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

import deps  # noqa: E402  (the path has to be set first)


@dataclass(frozen=True)
class Answer:
    """One whole answer."""
    status: int
    headers: Dict[str, str]     # names in lower case
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()


class Host:
    """host.c while it runs."""

    def __init__(self, command: List[str], **more: str) -> None:
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, env=dict(os.environ, **more))
        self.result, self.port = self.hears()

    def hears(self) -> Tuple[int, int]:
        """The next line that it says: a result and a port."""
        assert self.process.stdout
        words = self.process.stdout.readline().split()
        assert len(words) == 2, self.process.stderr and self.process.stderr.read()
        return int(words[0]), int(words[1])

    def told(self, words: str) -> int:
        """Has it do something; the result of that."""
        assert self.process.stdin
        self.process.stdin.write(words.encode() + b"\n")
        self.process.stdin.flush()
        result, self.port = self.hears()
        return result

    def get(self, path: str, method: str = "GET", body: Any = None, **headers: str) -> Answer:
        """Asks once, on a connection of its own."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request(method, path, body, headers)
            reply = connection.getresponse()
            return Answer(reply.status, {k.lower(): v for k, v in reply.getheaders()},
                          reply.read())
        finally:
            connection.close()

    def connect(self) -> socket.socket:
        """A connection to send anything over."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=30)

    def raw(self, text: bytes) -> bytes:
        """What comes back for some bytes, up to the end of the connection."""
        with self.connect() as connection:
            connection.sendall(text)
            with contextlib.suppress(OSError):      # it may have answered and hung up
                connection.shutdown(socket.SHUT_WR)
            return read_all(connection)

    def alive(self) -> bool:
        """Whether it runs and answers."""
        return self.process.poll() is None and self.get("/debug/pprof/cmdline").status == 200

    def descriptors(self) -> int:
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def end(self) -> Tuple[int, str]:
        """Closes its input; its status, and what it said on stderr."""
        _, errors = self.process.communicate(timeout=30)
        return self.process.returncode, errors.decode()


def read_all(connection: socket.socket) -> bytes:
    """Up to the end."""
    parts: List[bytes] = []
    with contextlib.suppress(ConnectionResetError):     # what was not read of a request
        while True:
            part = connection.recv(65536)
            if not part:
                break
            parts.append(part)
    return b"".join(parts)


def quiet(connection: socket.socket, seconds: float) -> bool:
    """Whether nothing comes, not even the end, for some time."""
    return not select.select([connection], [], [], seconds)[0]


def build(target: Path, *flags: str, source: str = "host.c", compiler: str = "gcc") -> Path:
    """host.c with the implementation, compiled the same way."""
    objects = target.with_suffix(".o")
    for command in ([compiler, "-O2", "-g", *flags, "-DPERFLAB_IMPL", "-x", "c", "-c",
                     str(ROOT / "perflab.h"), "-o", str(objects)],
                    [compiler, "-O2", "-g", *flags, f"-I{ROOT}", str(HERE / source), str(objects),
                     "-o", str(target), "-pthread", "-ldl"]):
        done = subprocess.run(command, stderr=subprocess.PIPE, universal_newlines=True)
        assert done.returncode == 0, done.stderr
    return target


@pytest.fixture(scope="session", name="program")
def fixture_program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("http") / "host")


@pytest.fixture(scope="module", name="host")
def fixture_host(program: Path) -> Iterator[Host]:
    """One for all tests of a file that leave it as it is."""
    host = Host([str(program), "127.0.0.1:0"])
    assert host.result == 0
    yield host
    assert host.alive()
    assert host.end() == (0, "")


@pytest.fixture(name="own_host")
def fixture_own_host(program: Path) -> Iterator[Host]:
    """One for a test alone."""
    host = Host([str(program), "127.0.0.1:0"])
    yield host
    host.process.kill()
    host.process.communicate()
