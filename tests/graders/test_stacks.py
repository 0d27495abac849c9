"""python3 -m graders symbolize: reports completed from the right files, and only from those."""
from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import List, Tuple

import pytest
from graders import stacks
from graders.elf import Elf
from graders.model import GraderError

ROOT = Path(__file__).resolve().parents[2]
SOURCE = """\
static inline __attribute__((always_inline)) int inner(int x)
{
    __asm__ volatile(".globl marker\\nmarker: nop");
    return x + 1;
}
__attribute__((noinline)) int outer(int x)
{
    return inner(x) * 2;
}
int main(int argc, char **argv) { return outer(argc) + (argv == 0); }
"""


def build(folder: Path, *flags: str) -> Path:
    """A program in which the symbol `marker` is on line 3, inlined into line 8."""
    folder.mkdir(exist_ok=True)
    (folder / "app.c").write_text(SOURCE)
    subprocess.run(["gcc", "-O2", "-g", "-Wl,--build-id=sha1", *flags, "app.c", "-o", "app"],
                   cwd=folder, check=True)
    return folder / "app"


def marker(program: Path) -> int:
    listing = subprocess.run(["objdump", "-t", str(program)], stdout=subprocess.PIPE, text=True,
                             check=True).stdout
    return next(int(line.split()[0], 16) for line in listing.splitlines()
                if line.endswith(" marker"))


def report(path: str, address: int, build_id: str, name: str = "outer+0x2") -> str:
    """A crash report with two equal frames and a starter."""
    place = f"{path}+{address:#x}"
    return (f"perflab: the program crashed: SIGSEGV\n\nthread 7 [crashed]:\n"
            f"#0   0x000055d0c8f3a1b3  {name}  {place}\n"
            f"#1   0x000055d0c8f3a1b3  {name}  {place}\n"
            f"started by thread 6 at\n     0x000055d0c8f3a1b3  {name}  {place}\n\nmodules:\n"
            f"0x000055d0c8f39000-0x000055d0c8f3e000  {path}  build id {build_id or 'none'}\n")


def frames(text: str) -> List[Tuple[str, str]]:
    """Label, and what stands between address and module, of each frame."""
    found = re.findall(r"^(#\d+ +| {5})0x[0-9a-f]{16}  (.*)  /\S+\+0x[0-9a-f]+$", text,
                       re.MULTILINE)
    return [(label.strip(), middle) for label, middle in found]


def expected(source: Path, name: str = "outer+0x2") -> List[Tuple[str, str]]:
    inner, outer = f"inner (inlined)  {source}:3", f"{name}  {source}:8"
    return [("#0", inner), ("#1", outer), ("#2", inner), ("#3", outer), ("", inner), ("", outer)]


def test_lines_and_inlined_calls_are_added_and_frames_numbered_anew(tmp_path: Path) -> None:
    program = build(tmp_path / "src")
    made, notes = stacks.complete(
        report(str(program), marker(program), Elf(program).build_id()), ())
    assert frames(made) == expected(program.parent / "app.c")
    assert made.startswith("perflab: the program crashed: SIGSEGV\n\nthread 7 [crashed]:\n")
    assert made.endswith("/src/app  build id " + Elf(program).build_id() + "\n") and not notes


@pytest.mark.parametrize("place", ["app.debug", "anything", ".build-id"])
def test_a_stripped_program_is_completed_from_its_debug_file(tmp_path: Path, place: str) -> None:
    program = build(tmp_path / "src")
    address, identity = marker(program), Elf(program).build_id()
    kept = tmp_path / "kept" / (place if place != ".build-id" else
                                f".build-id/{identity[:2]}/{identity[2:]}.debug")
    kept.parent.mkdir(parents=True)
    subprocess.run(["objcopy", "--only-keep-debug", str(program), str(kept)], check=True)
    subprocess.run(["strip", str(program)], check=True)
    text = report(str(program), address, identity, "[app+0x1130]+0x2")
    made, notes = stacks.complete(text, [tmp_path / "kept"])
    assert frames(made) == expected(program.parent / "app.c", "outer") and not notes
    alone, notes = stacks.complete(text, ())
    assert alone == text and len(notes) == 1
    assert notes[0].startswith(f"app: no file with build id {identity}")


def test_another_build_is_not_used(tmp_path: Path) -> None:
    program, other = build(tmp_path / "src"), build(tmp_path / "other", "-O1", "-DOTHER")
    text = report(str(program), marker(program), Elf(program).build_id())
    shutil.copy(other, program)
    made, notes = stacks.complete(text, [tmp_path / "other"])
    assert made == text and "no file with build id" in notes[0]


def test_without_a_build_id_the_name_has_to_do(tmp_path: Path) -> None:
    program = build(tmp_path / "src", "-Wl,--build-id=none")
    made, _ = stacks.complete(report(str(program), marker(program), ""), ())
    assert frames(made) == expected(program.parent / "app.c")


def test_names_are_found_where_there_are_no_lines(tmp_path: Path) -> None:
    program = build(tmp_path / "src", "-g0")
    made, _ = stacks.complete(report(str(program), marker(program), Elf(program).build_id(),
                                     "[app+0x1130]+0x2"), ())
    assert [middle for _, middle in frames(made)] == ["outer"] * 3


def test_what_is_complete_stays(tmp_path: Path) -> None:
    program = build(tmp_path / "src")
    once, _ = stacks.complete(report(str(program), marker(program), Elf(program).build_id()), ())
    assert stacks.complete(once, ()) == (once, ())


def test_lines_of_a_log_may_have_something_in_front(tmp_path: Path) -> None:
    program = build(tmp_path / "src")
    text = report(str(program), marker(program), Elf(program).build_id())
    logged = "".join(f"Nov 21 host app[7]: {line}\n" for line in text.splitlines())
    made, _ = stacks.complete(logged, ())
    assert all(line.startswith("Nov 21 host app[7]: ") for line in made.splitlines())
    assert f"  outer+0x2  {program.parent / 'app.c'}:8  " in made


def test_repeated_frames_are_counted() -> None:
    lines = ["#0   0x000055d0c8f3a1b3  deeper+0x1  /gone+0x1", "     ... the same 250 times more",
             "#251 0x000055d0c8f3a1b3  main+0x1  /gone+0x2"]
    made, _ = stacks.complete("\n".join(lines) + "\n", ())
    assert made.splitlines() == lines


def run(*arguments: str, text: str = "") -> Tuple[int, str, str]:
    done = subprocess.run([sys.executable, "-m", "graders", "symbolize", *arguments], cwd=ROOT,
                          input=text, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    return done.returncode, done.stdout, done.stderr


def test_the_command_reads_a_file_or_its_input(tmp_path: Path) -> None:
    program = build(tmp_path / "src")
    text = report(str(program), marker(program), Elf(program).build_id())
    (tmp_path / "report").write_text(text)
    status, made, errors = run(str(tmp_path / "report"))
    assert (status, errors) == (0, "") and frames(made) == expected(program.parent / "app.c")
    assert run("-", text=text) == (0, made, "")


@pytest.mark.parametrize("arguments, text, words", [
    (["/nowhere/report"], "", "/nowhere/report: cannot be read"),
    (["-"], "hello\n", "no stack in the report"),
    (["-", "--debug", "/nowhere"], "", "--debug /nowhere: there is no such folder")])
def test_errors_are_one_line(arguments: List[str], text: str, words: str) -> None:
    status, made, errors = run(*arguments, text=text)
    assert status == 2 and made == "" and errors.count("\n") == 1 and words in errors


def test_no_tool_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stacks.symbolize, "find_tool", lambda: None)
    with pytest.raises(GraderError, match="install llvm or binutils"):
        stacks.complete("#0   0x000055d0c8f3a1b3  f+0x1  /x+0x1\n", ())
