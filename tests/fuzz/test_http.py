"""The server on bytes that no client should send."""
from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent
GOOD = b"\0POST /debug/pprof/symbol?debug=%31 HTTP/1.1\r\nHost: name.example:80\r\n" \
       b"Authorization: Bearer t\r\nContent-Length: 5\r\nConnection: close\r\n\r\n0x1+2"


@pytest.fixture(scope="module", name="server")
def fixture_server(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The fuzz target as a program that reads the files it is given."""
    path = tmp_path_factory.mktemp("fuzz") / "http"
    subprocess.run(["gcc", "-g", "-O1", "-DREPLAY", "-fsanitize=address,undefined",
                    "-fno-sanitize-recover=all", f"-I{ROOT}", str(HERE / "http.c"), "-o",
                    str(path), "-pthread", "-ldl"], check=True)
    return str(path)


def read(server: str, *arguments: str) -> str:
    """What it says of its inputs; anything wrong ends it."""
    done = subprocess.run([server, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          universal_newlines=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def test_by_chance(server: str) -> None:
    """A hundred thousand requests that are nearly right, in pieces and in one go."""
    assert read(server, "100000") == "100000 inputs, some answered\n"


def test_every_cut_and_every_bit(server: str, tmp_path: Path) -> None:
    """A good request that ends anywhere, or has one bit that is wrong."""
    inputs = [GOOD[:size] for size in range(len(GOOD) + 1)]
    for bit in range(8, 8 * len(GOOD)):
        whole = bytearray(GOOD)
        whole[bit // 8] ^= 1 << bit % 8
        inputs.append(bytes(whole))
    for number, data in enumerate(inputs):
        (tmp_path / str(number)).write_bytes(data)
    files = [str(tmp_path / str(number)) for number in range(len(inputs))]
    assert read(server, *files) == f"{len(inputs)} inputs, some answered\n"


@pytest.mark.parametrize("data", [
    b"\0" + b"GET /" + b"%41" * 30000, b"\3" + b"A" * 90000, b"\0" + b"\n" * 90000,
    b"\0" + b"GET /debug/pprof/nothing HTTP/1.1\r\nHost: localhost\r\n\r\n" * 1500,
    b"\2POST /debug/pprof/symbol HTTP/1.1\r\nHost: localhost\r\nContent-Length: 90000\r\n\r\n" +
    b"0x401000+" * 10000], ids=["percent", "one word", "empty lines", "pipeline", "body"])
def test_large_ones(server: str, tmp_path: Path, data: bytes) -> None:
    (tmp_path / "input").write_bytes(data)
    assert read(server, str(tmp_path / "input")).startswith("1 inputs")
