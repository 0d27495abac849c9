"""Who may ask: addresses, names, tokens, files; and what is said when a server cannot be."""
from __future__ import annotations

import base64
import os
import socket
import stat
import subprocess
from pathlib import Path
from typing import Iterator, List, Tuple

import pytest

from conftest import Host, read_all

BUSY, INVALID, IO = 4, 2, 3


@pytest.fixture(scope="module", name="guarded")
def fixture_guarded(program: Path) -> Iterator[Host]:
    """With a token, and a name of its own."""
    host = Host([str(program), "localhost:0", "token=open sesame", "host=Profiles.example"])
    yield host
    assert host.end() == (0, "")


@pytest.mark.parametrize("name, status", [
    ("127.0.0.1", 200), ("127.0.0.1:80", 200), ("127.1.2.3:6060", 200), ("localhost", 200),
    ("LOCALHOST:6060", 200), ("[::1]", 200), ("[::1]:6060", 200),
    ("attacker.example", 403), ("localhost.attacker.example", 403), ("127.0.0.1.example", 403),
    ("10.0.0.1", 403), ("[::2]", 403), ("[::1", 403), ("[::1]x", 403), ("localhost:x", 403),
    ("", 403), ("[", 403), ("]", 403), (":", 403)])
def test_host_names(host: Host, name: str, status: int) -> None:
    """A page of a web site that has got at this port by its own name is sent away."""
    got = host.get("/debug/pprof/cmdline", Host=name)
    assert got.status == status
    if status == 403:
        assert "127.0.0.1" in got.text and "hosts" in got.text


def basic(password: str, user: str = "any") -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


@pytest.mark.parametrize("given, status", [
    ("Bearer open sesame", 200), ("bearer   open sesame", 200), (basic("open sesame"), 200),
    (basic("open sesame", ""), 200), ("Bearer open sesam", 401), ("Bearer open sesamee", 401),
    ("Bearer ", 401), ("Bearer", 401), ("", 401), ("open sesame", 401), (basic(""), 401),
    (basic("open sesame!"), 401), ("Basic ====", 401), ("Basic " + "QUFB" * 500, 401),
    ("Digest open sesame", 401)])
def test_token(guarded: Host, given: str, status: int) -> None:
    got = guarded.get("/debug/pprof/cmdline", Authorization=given)
    assert got.status == status
    if status == 401:
        assert "Bearer" in got.headers["www-authenticate"] and "Bearer TOKEN" in got.text
        assert "sesame" not in got.text


def test_token_and_name(guarded: Host) -> None:
    """Neither stands for the other; the program's own name is as good as localhost."""
    token = {"Authorization": "Bearer open sesame"}
    assert guarded.get("/", Host="profiles.example:99", **token).status == 302
    assert guarded.get("/", Host="profiles.example").status == 401
    assert guarded.get("/", Host="other.example", **token).status == 403
    assert guarded.get("/").status == 401


def refused(program: Path, *arguments: str) -> Tuple[int, str]:
    """The result of a start that fails, and what is said about it."""
    host = Host([str(program), *arguments])
    assert host.port == 0
    return host.result, host.end()[1]


def test_a_port_that_is_in_use(host: Host, program: Path) -> None:
    """One line that says which, and what to do."""
    address = f"127.0.0.1:{host.port}"
    result, said = refused(program, address)
    assert result == BUSY
    assert said == f"perflab: http: {address}: in use already: choose another port, or port 0 " \
                   "for any\n"


def test_one_server_a_program(own_host: Host) -> None:
    """A second is refused; after a stop there may be another, and nothing is left of the first."""
    first = own_host.port
    assert own_host.told("start 127.0.0.1:0") == BUSY and own_host.port == first
    before = own_host.descriptors()
    assert own_host.told("stop") == 0 and own_host.port == 0
    assert own_host.descriptors() == before - 2
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", first), timeout=5)
    assert own_host.told(f"start :{first}") == 0 and own_host.port == first
    assert own_host.told("stop") == 0 and own_host.told("stop") == 0
    assert own_host.told("start [::1]:0") in (0, INVALID)


@pytest.mark.parametrize("address", [
    "", "6060", "127.0.0.1", "127.0.0.1:", "127.0.0.1:x", "127.0.0.1:65536", "127.0.0.1:-1",
    "example.org:80", "[::1:80", "[", "[:80", "::1:80", "[127.0.0.1]:80", "http://127.0.0.1:6060"])
def test_what_is_no_address(program: Path, address: str) -> None:
    result, said = refused(program, address)
    assert result == INVALID
    assert said.startswith(f"perflab: http: {address}: is no address: write 127.0.0.1:6060, ")
    assert said.count("\n") == 1


@pytest.mark.parametrize("arguments, word", [
    (["token="], "token"), (["token=" + "x" * 256], "token"), (["host="], "hosts"),
    (["host=" + "x" * 1024], "hosts")])
def test_options_that_make_no_sense(program: Path, arguments: List[str], word: str) -> None:
    """An empty token is a mistake that would leave the door open."""
    result, said = refused(program, "127.0.0.1:0", *arguments)
    assert result == INVALID and word in said and said.count("\n") == 1


def test_not_this_machines_address(program: Path) -> None:
    result, said = refused(program, "192.0.2.1:0")
    assert result == INVALID and "no such address" in said


def test_only_loopback_unless_asked(host: Host) -> None:
    """What the kernel says of the listening socket."""
    table = Path("/proc/net/tcp").read_text()
    assert f"0100007F:{host.port:04X} 00000000:0000 0A" in table


def test_open_to_the_network(program: Path) -> None:
    """Only by an address that says so; without a token there is a warning."""
    open_host = Host([str(program), "0.0.0.0:0"])
    assert open_host.get("/", Host="192.0.2.7:6060").status == 302
    assert open_host.get("/", Host="attacker.example").status == 403
    status, said = open_host.end()
    assert status == 0 and "without a token" in said and said.count("\n") == 1
    closed = Host([str(program), "0.0.0.0:0", "token=secret"])
    assert closed.get("/").status == 401
    assert closed.end() == (0, "")
    by_any = Host([str(program), "127.0.0.1:0", "host=*"])
    assert by_any.get("/", Host="attacker.example").status == 302
    by_any.end()


def ask(path: Path) -> bytes:
    """An answer over a Unix socket."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(path))
        connection.sendall(b"GET /debug/pprof/cmdline HTTP/1.1\r\nHost: any name\r\n"
                           b"Connection: close\r\n\r\n")
        return read_all(connection)


def test_unix_socket(program: Path, tmp_path: Path) -> None:
    """For this user only; the file goes with the program, by whatever way that ends."""
    path = tmp_path / "socket"
    first = Host([str(program), f"unix:{path}"])
    assert (first.result, first.port) == (0, 0)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600 and stat.S_ISSOCK(path.stat().st_mode)
    assert ask(path).endswith(b"unix:" + os.fsencode(path))
    result, said = refused(program, f"unix:{path}")
    assert result == BUSY and "in use" in said and ask(path)
    first.process.kill()
    first.process.wait()
    second = Host([str(program), f"unix:{path}"])      # takes the place of what was left
    assert second.result == 0 and ask(path)
    assert second.told("stop") == 0 and not path.exists()
    assert second.told(f"start unix:{path}") == 0
    assert second.told("fork") == 0 and ask(path)      # a child does not take it away
    assert second.end() == (0, "") and not path.exists()


def test_a_file_in_the_way_is_left_alone(program: Path, tmp_path: Path) -> None:
    path = tmp_path / "precious"
    path.write_text("data")
    assert refused(program, f"unix:{path}")[0] == BUSY
    assert path.read_text() == "data"
    for way, result, word in ((f"{tmp_path}/none/socket", IO, "folder"), ("", INVALID, "path"),
                              (f"{tmp_path}/{'x' * 120}", INVALID, "107 letters")):
        got, said = refused(program, "unix:" + way)
        assert got == result and word in said and said.count("\n") == 1


def test_a_relative_path_stays_where_it_was(program: Path, tmp_path: Path) -> None:
    done = subprocess.run([str(program), "unix:socket"], cwd=tmp_path, input=b"", timeout=30,
                          stdout=subprocess.PIPE, check=True)
    assert done.stdout == b"0 0\n" and not (tmp_path / "socket").exists()
