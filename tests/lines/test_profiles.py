"""Profiles with the lines and inlined calls that the program itself has found; pprof on them."""
from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Set, Tuple

import pytest
from reading import HERE, ROOT, Workshop, run

from graders import pprof
from graders.profile import Profile

SOURCE = str(HERE / "profiled.c")
HERE_LINE, CALL_LINE = (next(number for number, line in enumerate(open(SOURCE), 1) if note in line)
                        for note in ("/* here */", "/* and here */"))


@pytest.fixture(scope="module", name="program")
def fixture_program(workshop: Workshop) -> Path:
    path = workshop.folder / "profiled"
    build(path, SOURCE, workshop.perflab("gcc", "-g"))
    return path


def build(path: Path, source: str, perflab: str) -> None:
    """perflab has lines, too: its functions are at the begin of every thread's stack."""
    run(["gcc", "-O2", "-g", f"-I{ROOT}", source, perflab, "-o", str(path), "-pthread", "-ldl"])


def taken(program: Path, folder: Path, *arguments: str) -> Tuple[Path, str]:
    """A profile as a file, and its text."""
    out, text = folder / "cpu.pb.gz", folder / "cpu.txt"
    run([str(program), str(out), str(text), *arguments])
    return out, text.read_text()


def frames(profile: Profile) -> Set[Tuple[Tuple[str, str, int], ...]]:
    """The functions of every location, with file and line."""
    functions = {function.id: function for function in profile.functions}
    return {tuple((functions[line.function].name, functions[line.function].file, line.line)
                  for line in location.lines) for location in profile.locations}


def go() -> str:
    """The program."""
    found = shutil.which("go", path=os.environ["PATH"] + ":/usr/local/go/bin")
    assert found, "go is missing; `make test-deps INSTALL=1` installs it"
    return found


def go_pprof(*arguments: str) -> str:
    """What stock pprof prints."""
    return run([go(), "tool", "pprof", "-symbolize=none", *arguments])


def test_inlined_calls(program: Path, tmp_path: Path) -> None:
    out, _ = taken(program, tmp_path)
    found = frames(pprof.read(out, strict=True))
    assert (("inlined", SOURCE, HERE_LINE), ("work", SOURCE, CALL_LINE)) in found
    assert all(file and line for location in found for name, file, line in location
               if name in ("inlined", "work", "run"))


def test_complete_mappings_say_so(program: Path, tmp_path: Path) -> None:
    """Nobody need look further when all addresses of the program have lines, as in a thread."""
    profile = pprof.read(taken(program, tmp_path)[0], strict=True)
    main = profile.mappings[0]
    assert (main.has_functions and main.has_filenames and main.has_line_numbers and
            main.has_inline_frames)


def test_so_do_those_whose_own_file_was_read(program: Path, tmp_path: Path) -> None:
    """The program's first function, _start, has no debug information: nobody would find more."""
    profile = pprof.read(taken(program, tmp_path, "main")[0], strict=True)
    assert any("_start" in location[-1][0] and not location[-1][1] for location in frames(profile))
    main = profile.mappings[0]
    assert (main.has_functions and main.has_filenames and main.has_line_numbers and
            main.has_inline_frames)


def test_mappings_without_lines_do_not(workshop: Workshop, tmp_path: Path) -> None:
    """A program without debug information may have it in a file that pprof finds."""
    bare = tmp_path / "bare"
    build(bare, SOURCE, workshop.perflab("gcc"))
    run(["strip", "--strip-debug", str(bare)])
    main = pprof.read(taken(bare, tmp_path, "main")[0], strict=True).mappings[0]
    assert not (main.has_functions or main.has_filenames or main.has_line_numbers or
                main.has_inline_frames)


def test_stock_pprof_has_all_names(program: Path, tmp_path: Path) -> None:
    """go tool pprof's own reader of DWARF knows no name for a function with an abstract origin,
    as those have that are inlined somewhere, too; it has to be kept from overwriting ours."""
    out, _ = taken(program, tmp_path, "main")
    shown = run([go(), "tool", "pprof", "-top", str(program), str(out)])
    assert re.search(r"\bwork\b", shown) and f"[{program.name}]" not in shown


def test_pprof_reads_them(program: Path, tmp_path: Path) -> None:
    out, _ = taken(program, tmp_path)
    place = rf"inlined {re.escape(SOURCE)}:{HERE_LINE} \(inline\)"
    assert re.search(place, go_pprof("-lines", "-top", str(out)))
    listed = go_pprof("-list=inlined", str(out))
    assert re.search(rf"[1-9].* {HERE_LINE}: +sum \+= i;", listed)


def test_text(program: Path, tmp_path: Path) -> None:
    out, text = taken(program, tmp_path)
    pair = (rf"#\t(0x[0-9a-f]+)\tinlined\+0x0\t{re.escape(SOURCE)}:{HERE_LINE}\n"
            rf"#\t\1\twork\+0x[0-9a-f]+\t{re.escape(SOURCE)}:{CALL_LINE}\n")
    assert re.search(pair, text)
    assert "inlined" in go_pprof("-lines", "-top", str(out))
    assert "Duration" not in go_pprof("-raw", str(out.with_suffix("").with_suffix(".txt")))


def test_killed(workshop: Workshop, tmp_path: Path) -> None:
    """In the handler of a deadly signal, too."""
    out = tmp_path / "killed.pb.gz"
    source = tmp_path / "endless.c"
    source.write_text("static volatile double sum;\nstatic inline void step(int i)\n"
                      "{ sum += i; }\nint main(void)\n{\n    for (int i = 0;; i++)\n"
                      "        step(i);\n}\n")
    endless = tmp_path / "endless"
    build(endless, str(source), workshop.perflab("gcc", "-g"))
    with subprocess.Popen([str(endless)], env=dict(os.environ, PERFLAB=f"cpu={out}")) as process:
        time.sleep(1)
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == -signal.SIGTERM
    assert (("step", str(source), 3), ("main", str(source), 7)) in frames(pprof.read(out))
