"""What each address answers: status, headers, body, as Go's net/http/pprof does."""
from __future__ import annotations

import re
import subprocess
import time
from pathlib import Path
from typing import Dict, List, Optional

import pytest

from conftest import Host, quiet, read_all

TEXT = "text/plain; charset=utf-8"
BYTES = "application/octet-stream"


def attached(name: str) -> Optional[str]:
    """The header that has a browser save the answer."""
    return f'attachment; filename="{name}"' if name else None


# The table of TestHandlers in Go's net/http/pprof.
@pytest.mark.parametrize("path, status, kind, name, body", [
    ("/debug/pprof/<script>scripty<script>", 404, TEXT, "", b"Unknown profile\n"),
    ("/debug/pprof/heap", 200, BYTES, "heap", None),
    ("/debug/pprof/heap?debug=1", 200, TEXT, "", None),
    ("/debug/pprof/cmdline", 200, TEXT, "", None),
    ("/debug/pprof/profile?seconds=1", 200, BYTES, "profile", None),
    ("/debug/pprof/symbol", 200, TEXT, "", b"num_symbols: 1\n"),
    ("/debug/pprof/trace", 200, BYTES, "trace", None),
    ("/debug/pprof/mutex", 200, BYTES, "mutex", None),
    ("/debug/pprof/block?seconds=1", 200, BYTES, "block-delta", None),
    ("/debug/pprof/goroutine?seconds=1", 200, BYTES, "goroutine-delta", None),
    ("/debug/pprof/", 200, "text/html; charset=utf-8", "", b"Types of profiles available:"),
])
def test_the_table_of_go(host: Host, path: str, status: int, kind: str, name: str,
                         body: Optional[bytes]) -> None:
    got = host.get(path)
    assert got.status == status, got.body
    assert got.headers["content-type"] == kind
    assert got.headers["x-content-type-options"] == "nosniff"
    assert got.headers.get("content-disposition") == attached(name)
    assert int(got.headers["content-length"]) == len(got.body)
    if status == 404:
        assert got.body == body
    elif body is not None:
        assert body in got.body


@pytest.mark.parametrize("path, status, message", [
    ("/debug/pprof/nothing", 404, "Unknown profile"),
    ("/debug/pprof/cpu", 404, "Unknown profile"),
    ("/debug/pprof/heap/", 404, "Unknown profile"),
    ("/debug/pprof/mutex?seconds=0", 400,
     'invalid value for "seconds" - must be a positive integer'),
    ("/debug/pprof/mutex?seconds=-3", 400,
     'invalid value for "seconds" - must be a positive integer'),
    ("/debug/pprof/mutex?seconds=1.5", 400,
     'invalid value for "seconds" - must be a positive integer'),
    ("/debug/pprof/mutex?seconds=99999999999999999999", 400,
     'invalid value for "seconds" - must be a positive integer'),
    ("/debug/pprof/mutex?seconds=%zz", 400,
     'invalid value for "seconds" - must be a positive integer'),
    ("/debug/pprof/goroutineleak?seconds=1", 400,
     '"seconds" parameter is not supported for this profile type'),
    ("/debug/pprof/mutex?seconds=1&debug=1", 400, "seconds and debug params are incompatible"),
    ("/debug/pprof/profile?hz=20000", 400, 'invalid value for "hz": write 1 to 10000'),
    ("/nowhere", 404, "there is nothing here: the profiles are at /debug/pprof/"),
])
def test_errors_are_shown_by_pprof(host: Host, path: str, status: int, message: str) -> None:
    """X-Go-Pprof has the tool show the message, which names what is wrong."""
    got = host.get(path)
    assert (got.status, got.text) == (status, message + "\n")
    assert got.headers["x-go-pprof"] == "1"
    assert got.headers["content-type"] == TEXT
    assert "content-disposition" not in got.headers


@pytest.mark.parametrize("path, status", [("/debug/pprof", 301), ("/", 302)])
def test_the_way_to_the_page(host: Host, path: str, status: int) -> None:
    got = host.get(path)
    assert (got.status, got.headers["location"]) == (status, "/debug/pprof/")
    assert "x-go-pprof" not in got.headers


def test_methods(host: Host) -> None:
    """HEAD is GET without a body; what changes nothing cannot be posted to."""
    whole, head = host.get("/debug/pprof/cmdline"), host.get("/debug/pprof/cmdline", "HEAD")
    assert head.status == 200 and head.body == b""
    assert head.headers["content-length"] == str(len(whole.body))
    for method in ("POST", "PUT", "DELETE", "OPTIONS", "PATCH"):
        got = host.get("/debug/pprof/heap", method)
        assert (got.status, got.headers["allow"]) == (405, "GET, HEAD")
    assert host.get("/debug/pprof/symbol", "PUT").headers["allow"] == "GET, HEAD, POST"


def test_command_line(host: Host) -> None:
    """The arguments, a NUL between two."""
    argv = host.get("/debug/pprof/cmdline").body.split(b"\0")
    assert argv[0].endswith(b"/host") and argv[1:] == [b"127.0.0.1:0"]


def addresses(program: Path, pid: int, *names: str) -> List[int]:
    """Where functions of the running program are."""
    listing = subprocess.check_output(["nm", str(program)], universal_newlines=True)
    maps = Path(f"/proc/{pid}/maps").read_text().splitlines()
    base = min(int(line.split("-")[0], 16) for line in maps if line.endswith(str(program)))
    found: Dict[str, int] = {line.split()[-1]: int(line.split()[0], 16)
                             for line in listing.splitlines() if " T " in line}
    return [base + found[name] for name in names]


def test_symbols(host: Host, program: Path) -> None:
    """By query and by POST; what is no address of the program's is left out."""
    burn, hold = addresses(program, host.process.pid, "burn_cpu", "hold_lock")
    want = f"num_symbols: 1\n{burn:#x} burn_cpu\n{hold:#x} hold_lock\n"
    asked = f"{burn:#x}+0x10+xyz++{hold:#x}"
    assert host.get("/debug/pprof/symbol?" + asked).text == want
    assert host.get("/debug/pprof/symbol", "POST", asked.encode()).text == want
    assert host.get("/debug/pprof/symbol", "POST", b"").text == "num_symbols: 1\n"
    many = "+".join([f"{burn:#x}"] * 50000).encode()
    assert host.get("/debug/pprof/symbol", "POST", many).text.count("burn_cpu") == 50000


def test_names_are_bounded(host: Host, program: Path) -> None:
    """An answer does not grow beyond all bounds."""
    burn = addresses(program, host.process.pid, "burn_cpu")[0]
    many = "+".join([f"{burn:#x}"] * 1000000).encode()
    got = host.get("/debug/pprof/symbol", "POST", many)
    assert got.status == 413 and "1048576 bytes" in got.text


def test_memory_figures(host: Host) -> None:
    """A line for each field of pl_memstats."""
    lines = dict(line.split(" = ") for line in host.get("/debug/pprof/memstats").text.splitlines())
    assert int(lines["sys"]) > 0 and int(lines["mallocs"]) >= int(lines["frees"])


def test_text_of_a_profile(host: Host) -> None:
    """debug=1 names functions; debug=2 of a profile without such a form is the same."""
    deadline = time.monotonic() + 20
    while "hold_lock" not in host.get("/debug/pprof/mutex?debug=1").text:
        assert time.monotonic() < deadline
    assert host.get("/debug/pprof/mutex?debug=2").text.startswith("--- mutex:\n")
    assert host.get("/debug/pprof/mutex?debug=nonsense").headers["content-type"] == BYTES


def test_one_cpu_profile_at_a_time(host: Host) -> None:
    """The second is refused, in Go's words, and everything else is answered meanwhile."""
    with host.connect() as first:
        first.sendall(b"GET /debug/pprof/profile?seconds=2 HTTP/1.0\r\n\r\n")
        second = host.get("/debug/pprof/profile?seconds=1")
        assert second.status == 500
        assert second.text == "Could not enable CPU profiling: cpu profiling already in use\n"
        assert host.get("/debug/pprof/mutex").status == 200
        assert quiet(first, 0)
        head, _, body = read_all(first).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK\r\n") and body.startswith(b"\x1f\x8b")


def test_the_page_is_for_people(host: Host) -> None:
    """Every profile with its links; what the program is; nothing from elsewhere, no scripts."""
    got = host.get("/debug/pprof/", Host="localhost:1234")
    for name in ("block", "mutex"):
        assert re.search(rf'<td class=n>\d+</td><td><a href="{name}\?debug=1">{name}</a>', got.text)
        assert f'<a href="{name}?seconds=10">' in got.text
        assert f"go tool pprof &quot;http://localhost:1234/debug/pprof/{name}" in got.text.replace(
            '"http://', "&quot;http://")
    assert f"process {host.process.pid}" in got.text and "127.0.0.1:0" in got.text
    assert "<script" not in got.text and "src=" not in got.text and "url(" not in got.text
    assert got.headers["content-security-policy"].startswith("default-src 'none'")


def test_what_is_shown_cannot_be_markup(program: Path) -> None:
    """The command line and the Host come from outside."""
    host = Host([str(program), "127.0.0.1:0", "<b>&\"'"])
    page = host.get("/debug/pprof/").text
    assert "&#60;b&#62;&#38;&#34;&#39;" in page and "<b>&" not in page
    host.end()


