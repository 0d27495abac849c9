"""Profiles are read by stock pprof: every way of building, every report, names included."""
from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Dict, List, Tuple

import pytest

from proto import read
from workshop import BASE, FRAMES, HERE, Workshop, run, table

BUILDS: Dict[str, Tuple[str, List[str]]] = {
    "gcc-pie": ("gcc", ["-fPIE", "-pie"]),
    "gcc-no-pie": ("gcc", ["-fno-pie", "-no-pie"]),
    "gcc-static": ("gcc", ["-static"]),
    "gcc-static-pie": ("gcc", ["-fPIE", "-static-pie"]),
    # -g0: for code from link-time optimisation, go tool pprof takes empty names from DWARF.
    "gcc-lto": ("gcc", ["-flto", "-flto-partition=none", "-g0"]),
    "gcc-O0": ("gcc", ["-O0"]),
    "gcc-no-build-id": ("gcc", ["-Wl,--build-id=none"]),
    "clang": ("clang", []),
    "clang-no-pie": ("clang", ["-fno-pie", "-no-pie"]),
}
WEIGHTS = {"parse": (40, 60), "read_word": (20, 20), "sum": (30, 30), "strlen": (10, 10),
           "crunch": (8, 8), "work": (0, 90), "main": (0, 90), "lostProfileEvent": (3, 3)}


@pytest.mark.parametrize("name", BUILDS)
def test_every_build(workshop: Workshop, name: str) -> None:
    """Functions have their names and weights, in the file and in pprof's table."""
    compiler, flags = BUILDS[name]
    out = workshop.profile(workshop.build(name, compiler, *flags))
    profile = read(out)
    assert profile.types == [("samples", "count"), ("cpu", "nanoseconds")]
    for function, (flat, cum) in WEIGHTS.items():
        assert (profile.flat(function), profile.cum(function)) == (flat, cum), function
    rows = table(workshop.pprof("-top", "-nodefraction=0", "-unit=ms", str(out)))
    # pprof prefers its own names: in a static program it knows libc's variants by theirs.
    for function in set(WEIGHTS) - {"strlen"}:
        flat, cum = WEIGHTS[function]
        assert rows[function][0] == (f"{flat * 10}ms" if flat else "0"), rows
        assert rows[function][3] == f"{cum * 10}ms", rows


@pytest.fixture(name="plain", scope="module")
def fixture_plain(workshop: Workshop) -> Path:
    """The profile of an ordinary build."""
    return workshop.profile(workshop.build("plain"))


def test_facts(plain: Path) -> None:
    """Time, duration, period, comments; the program is the first mapping."""
    profile = read(plain)
    numbers = [profile.message.number(i) for i in (9, 10, 12)]
    assert numbers == [1700000000000000000, 2000000000, 10000000]
    assert profile.comments == ["engine: by hand"]
    first = profile.mappings[0]
    assert first.filename == str(plain.with_suffix("").with_suffix(""))
    listed = run(["readelf", "-n", first.filename], plain.parent)
    assert first.build_id and first.build_id in listed
    assert first.has_functions      # and lines: its own file was read


def test_labels_and_marks(plain: Path) -> None:
    """Labels of words and numbers; a cut stack says so; an empty label is none."""
    sample = next(s for s in read(plain).samples if s.labels)
    assert sample.labels == {"handler": "search", "bytes": 48}
    assert sample.frames[-1] == ("[truncated]", 0, 0)
    assert [f[0] for f in sample.frames] == ["record_marks", "[truncated]"]


def test_reports(workshop: Workshop, plain: Path) -> None:
    """peek, list, traces, raw and tags work on the file."""
    peek = workshop.pprof("-peek", "^parse$", str(plain))
    assert re.search(r"600ms\s+100%\s+\|\s+work", peek) and "read_word" in peek
    listing = workshop.pprof("-list", "^parse$", str(plain))
    assert re.search(r"400ms\s+400ms\s+\d+:\s+record\(40\);", listing), listing
    traces = workshop.pprof("-traces", str(plain))
    assert re.search(r"200ms\s+read_word[^\n]*\n\s+parse", traces), traces
    raw = workshop.pprof("-raw", str(plain))
    assert "PeriodType: cpu nanoseconds" in raw and "engine: by hand" in raw
    assert "search" in workshop.pprof("-tags", str(plain))


def test_difference_and_sum(workshop: Workshop, plain: Path) -> None:
    """A profile less itself is nothing; with itself it is twice as much."""
    nothing = workshop.pprof("-top", "-diff_base", str(plain), str(plain))
    assert all(row[0] == "0" for row in table(nothing).values())
    rows = table(workshop.pprof("-top", "-unit=ms", str(plain), str(plain)))
    assert rows["parse"][0] == "800ms"


def test_text(workshop: Workshop, plain: Path) -> None:
    """The text is read by pprof too, and has the same names."""
    text = plain.with_suffix("").with_suffix(".txt")
    lines = text.read_text()
    assert lines.startswith("fixture profile: total 116\n")
    assert re.search(r"^40 @( 0x[0-9a-f]+)+\n#\t0x[0-9a-f]+\tparse\+0x[0-9a-f]+\t/", lines,
                     re.MULTILINE)
    rows = table(workshop.pprof("-top", "-nodefraction=0", str(text)))
    assert (rows["parse"][0], rows["parse"][3]) == ("40", "60")
    assert rows["sum"][0] == "30"


@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_cxx(workshop: Workshop, compiler: str) -> None:
    """C++ names as people write them; the linker's beside them."""
    profile = read(workshop.profile(workshop.build(f"cxx-{compiler}", compiler, work="work.cc")))
    add = next(name for name in profile.system_names if name.startswith("shop::Basket<std::"))
    assert profile.flat(add) == 70 and add.endswith(" const&)")
    assert profile.system_names[add].startswith("_ZN4shop6Basket")
    assert profile.flat("shop::sell(int)") == 30 and profile.cum("shop::sell(int)") == 100


def test_cxx_static(workshop: Workshop) -> None:
    """Without a dynamic linker, too."""
    program = workshop.build("cxx-static", "gcc", "-static", work="work.cc")
    assert read(workshop.profile(program)).flat("shop::sell(int)") == 30


# without symbols ----------------------------------------------------------------------------------


def strip(program: Path, *options: str) -> None:
    """Takes the symbols out."""
    run(["strip", *options, str(program)], program.parent)


def test_stripped(workshop: Workshop) -> None:
    """Functions without names fall together by function, and have a place; pprof finds their names
    in a copy that was not stripped."""
    program = workshop.build("stripped")
    crunch = next(line.split()[0] for line in run(["nm", str(program)], program.parent).splitlines()
                  if line.endswith(" crunch"))
    whole = shutil.copy(program, workshop.folder / "whole")
    strip(program)
    profile = read(workshop.profile(program))
    assert profile.flat(f"[stripped+0x{int(crunch, 16):x}]") == 8
    assert profile.flat("strlen") == 10
    rows = table(workshop.pprof("-top", "-nodefraction=0", whole,
                                str(program.with_suffix(".pb.gz"))))
    assert rows["parse"][3] == "600ms"      # the names of a copy that was not stripped


@pytest.mark.parametrize("place", ["beside", "in-debug"])
def test_debug_file(workshop: Workshop, place: str) -> None:
    """A debug file is found beside the program and in .debug, if it is the right one."""
    program = workshop.build(f"split-{place}")
    folder = workshop.folder / (".debug" if place == "in-debug" else "")
    folder.mkdir(exist_ok=True)
    debug = folder / f"{program.name}.debug"
    run(["objcopy", "--only-keep-debug", str(program), str(debug)], workshop.folder)
    strip(program)
    run(["objcopy", f"--add-gnu-debuglink={debug}", str(program)], workshop.folder)
    profile = read(workshop.profile(program))
    assert (profile.flat("parse"), profile.cum("main")) == (40, 90)
    assert not profile.mapping(program.name).has_functions
    other = workshop.build(f"other-{place}", "gcc", "-Wl,--build-id=0x1234")
    run(["objcopy", "--only-keep-debug", str(other), str(debug)], workshop.folder)
    assert read(workshop.profile(program)).flat("parse") == 0


def library(workshop: Workshop, name: str) -> Path:
    """host with work.c in a shared library; where that is."""
    path = workshop.folder / f"lib{name}.so"
    run(["gcc", *BASE, *FRAMES, "-shared", "-fPIC", str(HERE / "work.c"), "-o", str(path)],
        workshop.folder)
    run(["gcc", *BASE, *FRAMES, "-rdynamic", str(HERE / "host.c"), str(path), "-o",
         str(workshop.folder / name), "-pthread", "-ldl", f"-Wl,-rpath,{workshop.folder}"],
        workshop.folder)
    return path


def test_library_without_its_file(workshop: Workshop) -> None:
    """A library whose file is gone is known by what it exports; others' names stay right."""
    path = library(workshop, "gone")
    whole = read(workshop.profile(workshop.folder / "gone"))
    assert (whole.flat("parse"), whole.flat("sum"), whole.flat("crunch")) == (40, 30, 8)
    profile = read(workshop.profile(workshop.folder / "gone", str(path)))
    assert (profile.flat("parse"), profile.flat("sum")) == (40, 0)
    assert profile.cum("work") == 90 and profile.mapping("libgone").has_functions


def test_program_without_its_file(workshop: Workshop) -> None:
    """The kernel still has the running program's file."""
    program = workshop.build("removed")
    assert read(workshop.profile(program, str(program))).flat("sum") == 30


def test_stripped_library(workshop: Workshop) -> None:
    """What a library does not export is named by place, and pprof leaves it so."""
    path = library(workshop, "bare")
    strip(path)
    out = workshop.profile(workshop.folder / "bare")
    profile = read(out)
    places = [f[0] for s in profile.samples for f in s.frames if f[0].startswith("[libbare.so+0x")]
    assert profile.flat("read_word") == 20 and len(set(places)) == 2
    rows = table(workshop.pprof("-top", "-nodefraction=0", str(out)))
    assert set(places) <= set(rows) and rows["read_word"][0] == "200ms"


# libc with and without its debug package ----------------------------------------------------------


def bare_libc(folder: Path) -> None:
    """A copy of libc for which no debug file can be found: its build id is another."""
    source = Path(next(line.split()[2] for line in run(["ldd", shutil.which("sh") or "sh"], folder)
                       .splitlines() if "libc.so.6" in line))
    copy = folder / "libc.so.6"
    run(["objcopy", "--strip-all", "--remove-section=.gnu_debuglink", str(source), str(copy)],
        folder)
    notes = run(["readelf", "-n", str(source)], folder)
    build_id = bytes.fromhex(re.findall(r"Build ID: (\w+)", notes)[0])
    data = copy.read_bytes()
    assert data.count(build_id) == 1
    copy.write_bytes(data.replace(build_id, bytes(reversed(build_id))))


def test_libc_without_debug_package(workshop: Workshop, tmp_path: Path) -> None:
    """strlen is called strlen, whichever variant it is, and pprof does not rename it."""
    bare_libc(tmp_path)
    program = workshop.build("bare-libc")
    out = workshop.profile(program, LD_LIBRARY_PATH=str(tmp_path))
    profile = read(out)
    assert profile.mapping("libc.so").filename == str(tmp_path / "libc.so.6")
    assert profile.flat("strlen") == 10 and profile.mapping("libc.so").has_functions
    rows = table(workshop.pprof("-top", "-nodefraction=0", str(out)))
    assert rows["strlen"][0] == "100ms"
    assert not any(name.startswith("__nss") for name in rows)


# gzip ---------------------------------------------------------------------------------------------


@pytest.fixture(name="pack", scope="module")
def fixture_pack(workshop: Workshop) -> str:
    """perflab's gzip as a program."""
    path = workshop.folder / "pack"
    run(["gcc", *BASE, "-fsanitize=address,undefined", str(HERE / "pack.c"), "-o", str(path),
         "-pthread", "-ldl"], workshop.folder)
    return str(path)


def samples() -> List[bytes]:
    """Bytes of all values, lengths and distances of repetitions up to the limits, and beyond."""
    noise = bytes(i * i * 2654435761 >> 7 & 255 for i in range(70000))
    lengths = b"".join(noise[:n] + bytes([n & 255, n >> 8]) for n in range(300))
    distances = [noise[:40000] + noise[40000 - d:40000 - d + 9] for d in
                 (9, 10, 255, 256, 257, 4096, 32767, 32768, 32769)]
    return [b"", b"a", b"abc", bytes(1 << 20), bytes(range(256)) * 3, noise, lengths, *distances]


@pytest.mark.parametrize("data", samples(), ids=range(len(samples())))
def test_gzip(pack: str, tmp_path: Path, data: bytes) -> None:
    """Another decoder finds the same bytes."""
    packed = subprocess.run([pack], input=data, stdout=subprocess.PIPE, check=True).stdout
    (tmp_path / "data.gz").write_bytes(packed)
    unpacked = subprocess.run(["gzip", "-dc", str(tmp_path / "data.gz")], stdout=subprocess.PIPE,
                              check=True).stdout
    assert unpacked == data


def test_gzip_makes_smaller(pack: str) -> None:
    """What repeats takes little room."""
    text = b"".join(b"%d: the same words again and again\n" % i for i in range(1000))
    packed = subprocess.run([pack], input=text, stdout=subprocess.PIPE, check=True).stdout
    assert len(packed) < len(text) / 4
