"""Lab 00: its given functions do what lab.h says, and its benchmarks lie as its questions say."""
from __future__ import annotations

import base64
import ctypes
import re
import subprocess
import sys
from pathlib import Path
from typing import Dict, List

import pytest

from labfiles import ROOT, includes

FOLDER = ROOT / "labs" / "00_measuring"
SCORES = 80


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    """The lab's functions as a library."""
    folder = tmp_path_factory.mktemp("given")
    subprocess.run(["gcc", "-O2", "-fPIC", "-DPERFLAB_IMPL", "-DPERFLAB_NO_INTERPOSE",
                    "-DPERFLAB_NO_ENV", "-x", "c", "-c", str(ROOT / "perflab.h"), "-o",
                    str(folder / "perflab.o")], check=True)
    subprocess.run(["gcc", "-O2", "-shared", "-fPIC", *includes(FOLDER), str(FOLDER / "workload.c"),
                    str(FOLDER / "slow.c"), str(ROOT / "graders" / "buffer.c"),
                    str(folder / "perflab.o"), "-o", str(folder / "given.so"), "-pthread", "-lm"],
                   check=True)
    loaded = ctypes.CDLL(str(folder / "given.so"))
    for name in ("dictionary_new", "encoder_new", "tally_new"):
        getattr(loaded, name).restype = ctypes.c_void_p
    for name in ("count_words", "spell_check", "encode"):
        getattr(loaded, name).restype = ctypes.c_size_t
    loaded.checksum.restype = ctypes.c_uint32
    return loaded


@pytest.fixture(scope="module")
def letter(given: ctypes.CDLL) -> bytes:
    text = ctypes.string_at(ctypes.addressof(ctypes.c_char.in_dll(given, "letter")))
    assert len(text) == 3600
    return text


def test_checksum_is_fnv_1a(given: ctypes.CDLL, letter: bytes) -> None:
    wanted = 2166136261
    for byte in letter:
        wanted = (wanted ^ byte) * 16777619 % 2 ** 32
    assert given.checksum(letter, len(letter)) == wanted


@pytest.mark.parametrize("text", [b"", b" ", b"one", b"  two words ", b"a\nb c"])
def test_count_words(given: ctypes.CDLL, text: bytes) -> None:
    assert given.count_words(text) == len(text.split())


def test_sort_numbers(given: ctypes.CDLL) -> None:
    scores = list((ctypes.c_int * SCORES).in_dll(given, "scores"))
    assert scores != sorted(scores)
    for numbers in (scores, sorted(scores), scores[::-1], [3, 3, -1], [7], [-5, 2 ** 31 - 1]):
        array = (ctypes.c_int * len(numbers))(*numbers)
        given.sort_numbers(array, len(numbers))
        assert list(array) == sorted(numbers)


def test_a_dictionary_knows_the_words_of_its_text(given: ctypes.CDLL, letter: bytes) -> None:
    dictionary = ctypes.c_void_p(given.dictionary_new(letter))
    assert given.spell_check(dictionary, letter) == 0
    assert given.spell_check(dictionary, b"A cloque tells how lonk somethink took. ") == 3
    given.dictionary_free(dictionary)


def test_encode_is_base64(given: ctypes.CDLL, letter: bytes) -> None:
    encoder, code = ctypes.c_void_p(given.encoder_new()), ctypes.create_string_buffer(5000)
    for _ in range(2):
        size = given.encode(encoder, letter, len(letter), code)
        assert code.raw[:size] == base64.b64encode(letter)
    given.encoder_free(encoder)


def bench(submission: Path) -> Dict[str, List[float]]:
    """What make lab00-bench prints in ns/op: slow.c's, then the submission's."""
    done = subprocess.run([sys.executable, "-m", "graders", "bench", "00", "--submission",
                           str(submission)], cwd=ROOT, text=True, stdout=subprocess.PIPE,
                          check=True, timeout=120)
    found: Dict[str, List[float]] = {}
    for name, time in re.findall(r"^Benchmark(\w+)\S*\s+\d+\s+([\d.]+) ns/op", done.stdout, re.M):
        found.setdefault(name, []).append(float(time))
    return found


def test_two_benchmarks_are_too_fast_to_be_true_and_the_solution_has_none() -> None:
    found = bench(ROOT / "solutions" / "00_measuring")
    names = ("Checksum", "Spell", "Words", "Sort", "Encode", "Tally")
    assert [name for name in names if found[name][0] < 20] == ["Checksum", "Words"]
    assert all(found[name][1] > 200 for name in names)
    assert len(found["Noise"]) == 10


@pytest.mark.parametrize("compiler", ["gcc", "clang"])
@pytest.mark.parametrize("level", ["-O1", "-O2", "-O3"])
def test_the_compiler_leaves_checksum_out_and_nothing_else(compiler: str, level: str,
                                                           tmp_path: Path) -> None:
    calls = {}
    for name in ("slow.c", "student.c"):
        source = FOLDER / name if name == "slow.c" else ROOT / "solutions" / FOLDER.name / name
        subprocess.run([compiler, level, "-c", *includes(FOLDER), str(source), "-o",
                        str(tmp_path / name)], check=True)
        symbols = subprocess.run(["nm", "-u", str(tmp_path / name)], check=True, text=True,
                                 stdout=subprocess.PIPE).stdout.split()
        calls[name] = {"checksum", "count_words", "sort_numbers", "spell_check", "encode",
                       "tally_add"} - set(symbols)
    assert calls == {"slow.c": {"checksum"}, "student.c": set()}
