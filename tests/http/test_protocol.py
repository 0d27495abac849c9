"""HTTP itself: what clients send, rightly and wrongly, and those that go away."""
from __future__ import annotations

import socket
import time
from typing import List

import pytest

from conftest import Host, quiet, read_all

HEAD = b"GET /debug/pprof/cmdline HTTP/1.1\r\nHost: localhost\r\n"


def status(answer: bytes) -> int:
    """Of the first answer; 0 when there is none."""
    return int(answer.split(b" ")[1]) if answer.startswith(b"HTTP/1.1 ") else 0


@pytest.mark.parametrize("request_, want, word", [
    (b"GET / HTTP/1.1\r\n\r\n", 400, b"Host"),
    (b"GET / HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n", 400, b"only one Host"),
    (b"GET / HTTP/2.0\r\nHost: localhost\r\n\r\n", 505, b"HTTP/1.1"),
    (b"GET / HTTP/1.x\r\nHost: localhost\r\n\r\n", 505, b"HTTP/1.1"),
    (b"GET /\r\nHost: localhost\r\n\r\n", 400, b"first line"),
    (b"GET  / HTTP/1.1\r\nHost: localhost\r\n\r\n", 400, b"first line"),
    (b"GET\r\n\r\n", 400, b"first line"),
    (b"GET http://localhost/ HTTP/1.1\r\nHost: localhost\r\n\r\n", 400, b"slash"),
    (b"GET /%zz HTTP/1.1\r\nHost: localhost\r\n\r\n", 400, b"%"),
    (b"GET /%4 HTTP/1.1\r\nHost: localhost\r\n\r\n", 400, b"%"),
    (b"GET /%+1 HTTP/1.1\r\nHost: localhost\r\n\r\n", 400, b"%"),
    (b"GET /a%00b HTTP/1.1\r\nHost: localhost\r\n\r\n", 400, b"%"),
    (HEAD + b"Nonsense\r\n\r\n", 400, b"Name: value"),
    (HEAD + b"Name : value\r\n\r\n", 400, b"Name: value"),
    (HEAD + b" folded: line\r\n\r\n", 400, b"Name: value"),
    (HEAD + b": value\r\n\r\n", 400, b"Name: value"),
    (HEAD + b"A: b\x01c\r\n\r\n", 400, b"control"),
    (HEAD + b"A: b\0c\r\n\r\n", 400, b"control"),
    (HEAD + b"A: b\rc\r\n\r\n", 400, b"control"),
    (HEAD + b"Content-Length: x\r\n\r\n", 400, b"Content-Length"),
    (HEAD + b"Content-Length: -1\r\n\r\n", 400, b"Content-Length"),
    (HEAD + b"Content-Length: +1\r\n\r\n", 400, b"Content-Length"),
    (HEAD + b"Content-Length: 1, 1\r\n\r\n", 400, b"Content-Length"),
    (HEAD + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nxx", 400, b"Content-Length"),
    (HEAD + b"Content-Length: 99999999999999999999\r\n\r\n", 400, b"Content-Length"),
    (HEAD + b"Content-Length: 1048577\r\n\r\n", 413, b"1048576"),
    (HEAD + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 411, b"Content-Length"),
    (HEAD + b"A: " + b"x" * 9000 + b"\r\n\r\n", 431, b"8192"),
    (b"GET /" + b"x" * 100000, 431, b"8192"),
    (b"\x16\x03\x01\x02\x00\x01\x00", 400, b"plain HTTP"),
    (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505, b"HTTP/1.1"),
])
def test_what_is_wrong_is_named(host: Host, request_: bytes, want: int, word: bytes) -> None:
    """One answer, a line that teaches, and the connection is closed."""
    answer = host.raw(request_)
    assert status(answer) == want, answer
    assert answer.count(b"HTTP/1.1 ") - answer.count(b"Name HTTP/1.1 ") >= 1
    head, _, body = answer.partition(b"\r\n\r\n")
    assert word in body and body.endswith(b"\n") and body.count(b"\n") == 1
    assert b"Connection: " in head


@pytest.mark.parametrize("request_", [
    b"GET /debug/pprof/cmdline HTTP/1.0\r\n\r\n",
    b"GET /debug/pprof/cmdline HTTP/1.0\n\n",
    b"\r\n\r\n" + HEAD + b"\r\n",
    HEAD + b"X: \tblanks \t\r\n\r\n",
    b"GET /debug/%70prof/cmdlin%65?x=%zz&=&& HTTP/1.1\r\nhost: LocalHost:1\r\n\r\n",
    HEAD + b"Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc",
])
def test_what_is_right_is_answered(host: Host, request_: bytes) -> None:
    answer = host.raw(request_)
    assert status(answer) == 200 and answer.count(b"HTTP/1.1 ") == 1
    assert answer.endswith(b"/host\x00127.0.0.1:0")


@pytest.mark.parametrize("version, header, kept", [
    (b"1.1", b"", True), (b"1.1", b"Connection: close\r\n", False), (b"1.0", b"", False),
    (b"1.1", b"Connection: Upgrade, Close\r\n", False),
    (b"1.0", b"Connection: Keep-Alive\r\n", True)])
def test_connections_stay_as_agreed(host: Host, version: bytes, header: bytes, kept: bool) -> None:
    with host.connect() as connection:
        connection.sendall(b"GET /debug/pprof/nothing HTTP/" + version +
                           b"\r\nHost: localhost\r\n" + header + b"\r\n")
        answer = b""
        while b"profile\n" not in answer:
            answer += connection.recv(65536)
        assert (b"Connection: keep-alive" in answer) == kept
        if not kept:
            assert connection.recv(1) == b""
            return
        connection.sendall(b"GET /debug/pprof/symbol HTTP/1.0\r\n\r\n")
        assert read_all(connection).endswith(b"num_symbols: 1\n")


def test_pipelining(host: Host) -> None:
    """Answers come in the order of the requests, those that take time too; bodies are skipped."""
    asked = [b"GET /debug/pprof/cpu HTTP/1.1\r\nHost: localhost\r\n\r\n",
             b"POST /debug/pprof/symbol HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\n\r\n"
             b"0x1",
             b"GET /debug/pprof/profile?seconds=1 HTTP/1.1\r\nHost: localhost\r\n\r\n",
             b"HEAD /debug/pprof/cmdline HTTP/1.1\r\nHost: localhost\r\n\r\n",
             b"GET /debug/pprof/nothing HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"]
    with host.connect() as connection:
        connection.sendall(b"".join(asked))
        answer = read_all(connection)
    assert [int(part.split(b" ")[0]) for part in answer.split(b"HTTP/1.1 ")[1:]] == \
        [404, 200, 200, 200, 404]


def test_many_requests_in_one_go(host: Host) -> None:
    """More than a buffer holds."""
    one = b"GET /debug/pprof/symbol HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with host.connect() as connection:
        connection.settimeout(60)
        connection.sendall(one * 499 + one.replace(b"Host", b"Connection: close\r\nHost"))
        assert read_all(connection).count(b"num_symbols: 1\n") == 500


def test_one_byte_at_a_time(host: Host) -> None:
    request = b"POST /debug/pprof/symbol HTTP/1.0\r\nContent-Length: 4\r\n\r\n0x1+"
    with host.connect() as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in request:
            connection.sendall(bytes([byte]))
        assert read_all(connection).endswith(b"num_symbols: 1\n")


def test_a_client_that_wants_to_be_asked_first(host: Host) -> None:
    """Expect: 100-continue has the body come only after a word from the server."""
    with host.connect() as connection:
        connection.sendall(b"POST /debug/pprof/symbol HTTP/1.1\r\nHost: localhost\r\n"
                           b"Expect: 100-continue\r\nContent-Length: 3\r\n"
                           b"Connection: close\r\n\r\n")
        assert connection.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(b"0x1")
        assert status(read_all(connection)) == 200


def profiling(host: Host) -> bool:
    """Whether the server is taking a CPU profile."""
    got = host.get("/debug/pprof/profile?seconds=1&hz=1")
    assert got.status in (200, 500)
    return got.status == 500


@pytest.mark.parametrize("way", ["close", "half", "reset"])
def test_a_client_that_goes_away_ends_its_profile(host: Host, way: str) -> None:
    """At once, not after the 600 seconds that it had asked for."""
    connection = host.connect()
    connection.sendall(b"GET /debug/pprof/profile?seconds=600 HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert quiet(connection, 0.2) and profiling(host)
    if way == "half":
        connection.shutdown(socket.SHUT_WR)
        assert connection.recv(100) == b""
    elif way == "reset":
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    connection.close()
    deadline = time.monotonic() + 20
    while profiling(host):
        assert time.monotonic() < deadline


def test_a_client_that_does_not_read_holds_up_nobody(host: Host) -> None:
    """Its answers fill what the kernel keeps for it; the others get theirs."""
    with host.connect() as deaf:
        deaf.settimeout(2)
        try:
            while True:
                deaf.sendall(b"GET /debug/pprof/ HTTP/1.1\r\nHost: localhost\r\n\r\n" * 100)
        except socket.timeout:
            pass
        assert host.get("/debug/pprof/mutex").status == 200


def test_slow_clients_are_given_up(host: Host) -> None:
    """A request has 10 seconds, however it drips; an idle connection is not hurried."""
    with host.connect() as slow, host.connect() as idle:
        idle.sendall(HEAD + b"\r\n")
        assert status(idle.recv(65536)) == 200
        begun = time.monotonic()
        slow.sendall(HEAD)
        while quiet(slow, 0.5):
            slow.sendall(b"A: b\r\n")
        assert status(read_all(slow)) == 408 and time.monotonic() - begun > 9
        idle.sendall(HEAD + b"\r\n")
        assert status(idle.recv(65536)) == 200


def test_there_is_room_for_32(own_host: Host) -> None:
    """An idle connection gives way to a new one; while all are at work, the next is told so."""
    idle = [own_host.connect() for _ in range(40)]
    assert own_host.alive()
    for connection in idle:
        connection.close()
    busy: List[socket.socket] = []
    for _ in range(32):
        busy.append(own_host.connect())
        busy[-1].sendall(HEAD)
    answer = own_host.raw(HEAD + b"\r\n")
    assert status(answer) == 503 and b"try again" in answer
    for connection in busy:
        connection.sendall(b"\r\n")
        assert status(connection.recv(65536)) == 200
        connection.close()
    assert own_host.alive()
