"""What is built, from what, and what is kept; and the look at a student's object."""
from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Optional

import pytest
from fixture_lab import LAB, REPOSITORY, ROOT, SOLUTION, copy_of_the_lab

from graders import build, compiler, lab, vet
from graders.elf import Elf, NotElf
from graders.model import GraderError, SubmissionError


@pytest.fixture
def recipe(build_folder: Path) -> build.Recipe:
    return build.Recipe(compiler.find("gcc"), "-O2", build_folder / "labs")


@pytest.fixture
def trusted(recipe: build.Recipe) -> build.Trusted:
    return build.build_trusted(lab.load(ROOT, "90"), recipe)


def address(program: Path, name: str) -> int:
    done = subprocess.run(["nm", str(program)], capture_output=True, text=True, check=True)
    return next(int(line.split()[0], 16) for line in done.stdout.splitlines()
                if line.endswith(f" {name}"))


def test_a_second_build_builds_nothing(recipe: build.Recipe, trusted: build.Trusted,
                                       monkeypatch: pytest.MonkeyPatch) -> None:
    here, source = lab.load(ROOT, "90"), SOLUTION / "student.c"
    student = build.build_student(here, source, trusted, recipe)
    monkeypatch.setattr(compiler.Compiler, "run", None)     # running it would be an error
    assert build.build_trusted(here, recipe) == trusted
    assert build.build_student(here, source, trusted, recipe) == student


@pytest.mark.parametrize("name", ["lab.h", "slow.c", "workload.c"])
def test_each_file_of_the_lab_counts(name: str, tmp_path: Path, recipe: build.Recipe,
                                     trusted: build.Trusted) -> None:
    folder = copy_of_the_lab(tmp_path)
    (folder / name).write_text((folder / name).read_text() + "\n/* changed */\n")
    assert build.build_trusted(lab.load(tmp_path, "90"), recipe).folder != trusted.folder


def test_flags_and_compiler_count(recipe: build.Recipe, trusted: build.Trusted,
                                  build_folder: Path) -> None:
    labs = build_folder / "labs"
    others = [build.Recipe(compiler.find("gcc"), "-O1", labs),
              build.Recipe(compiler.find("clang"), "-O2", labs)]
    folders = {build.build_trusted(lab.load(ROOT, "90"), other).folder for other in others}
    assert len(folders | {trusted.folder}) == 3


def test_layouts_put_the_same_code_in_different_places(recipe: build.Recipe,
                                                       trusted: build.Trusted) -> None:
    student = build.build_student(lab.load(ROOT, "90"), SOLUTION / "student.c", trusted, recipe)
    for side in (trusted.slow, student):
        places = {address(program, "squeeze") % 4096 for program in side.layouts}
        assert len(places) == 3
        assert all(place % 64 == 0 for place in places)     # -falign-functions


def test_both_sides_get_the_same_flags(recipe: build.Recipe, trusted: build.Trusted) -> None:
    """The same source on both sides becomes the same object."""
    student = build.build_student(lab.load(ROOT, "90"), LAB / "slow.c", trusted, recipe)

    def code(path: Path) -> str:
        done = subprocess.run(["objdump", "-d", "-r", str(path)], capture_output=True, text=True,
                              check=True)
        return done.stdout.split("Disassembly", 1)[1]
    assert code(trusted.folder / "slow.o") == code(student.stats.parent / "student.o")


def test_only_the_stats_build_has_hooks(recipe: build.Recipe, trusted: build.Trusted) -> None:
    def defines_malloc(path: Path) -> bool:
        return any(symbol.name == "malloc" and symbol.defined for symbol in Elf(path).symbols())
    assert defines_malloc(trusted.slow.stats)
    assert not any(defines_malloc(program) for program in trusted.slow.layouts)


def test_a_students_folder_holds_nothing_to_copy_from(recipe: build.Recipe,
                                                      trusted: build.Trusted) -> None:
    """Neither slow.c nor workload.c nor a solution is beside the file that is compiled."""
    student = build.build_student(lab.load(ROOT, "90"), LAB / "student.c", trusted, recipe)
    sources = {path.name for path in student.stats.parent.iterdir() if path.suffix in (".c", ".h")}
    assert sources == {"student.c", "lab.h", "perflab.h"}


def test_old_builds_are_dropped(tmp_path: Path, recipe: build.Recipe,
                                trusted: build.Trusted) -> None:
    source = tmp_path / "student.c"
    for number in range(build.KEEP + 2):
        source.write_text((SOLUTION / "student.c").read_text() + f"/* {number} */\n")
        newest = build.build_student(lab.load(ROOT, "90"), source, trusted, recipe)
    kept = list(trusted.folder.parent.glob("student-*"))
    assert len(kept) == build.KEEP and newest.stats.parent in kept
    assert not list(trusted.folder.parent.glob(".student-*"))


def test_a_failed_build_leaves_nothing(tmp_path: Path, recipe: build.Recipe,
                                       trusted: build.Trusted) -> None:
    source = tmp_path / "student.c"
    source.write_text("char *squeeze(const char *text) { return }\n")
    before = set(trusted.folder.parent.iterdir())
    with pytest.raises(SubmissionError):
        build.build_student(lab.load(ROOT, "90"), source, trusted, recipe)
    assert set(trusted.folder.parent.iterdir()) == before


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(GraderError, match="PERFLAB_BUILD"):
        build.build_trusted(lab.load(ROOT, "90"),
                            build.Recipe(compiler.find("gcc"), "-O2", tmp_path / "file" / "labs"))


def test_a_huge_source_is_refused(tmp_path: Path, recipe: build.Recipe,
                                  trusted: build.Trusted) -> None:
    source = tmp_path / "student.c"
    source.write_bytes(b" " * (build.MAX_SOURCE + 1))
    with pytest.raises(SubmissionError, match="may have"):
        build.build_student(lab.load(ROOT, "90"), source, trusted, recipe)


@pytest.mark.parametrize("name,words", [("gcc", "gcc "), ("clang", "clang "),
                                        ("gcc -m64", "gcc ")])
def test_compilers_are_recognised(name: str, words: str) -> None:
    assert compiler.find(name).name.startswith(words)


@pytest.mark.parametrize("name,words", [("nothing-like-cc", "install one"), ("true", "not work"),
                                        ("'gcc", "quotation")])
def test_no_compiler_is_an_error_with_a_fix(name: str, words: str) -> None:
    with pytest.raises(GraderError, match=words) as error:
        compiler.find(name)
    assert "\n" not in str(error.value)


@pytest.mark.skipif(not shutil.which("musl-gcc"), reason="needs musl-gcc")
def test_musl_names_are_taken_too(tmp_path: Path) -> None:
    """musl's only library is the program's interpreter."""
    (tmp_path / "slow.c").write_text("int squeeze(void) { return 1; }\n")
    (tmp_path / "workload.c").write_text("int squeeze(void); int main(void) "
                                         "{ return squeeze(); }\n")
    musl = compiler.find("musl-gcc")
    for arguments in ("-c slow.c", "-c workload.c", "slow.o workload.o -o program"):
        assert musl.run(arguments.split(), tmp_path).status == 0
    taken, contract = vet.names(tmp_path / "program", tmp_path / "slow.o",
                                tmp_path / "workload.o", musl)
    assert {"clock_gettime", "write", "memcmp"} <= taken and contract == {"squeeze"}


def test_taken_names_and_contract(trusted: build.Trusted) -> None:
    assert {"clock_gettime", "write", "malloc", "memcmp", "exit", "main", "_start",
            "workload_run", "workload_append", "pl_now_ns"} <= trusted.taken
    assert trusted.contract == {"squeeze"}
    assert not {"squeeze", "append", "grow", "buffer_add"} & trusted.taken


OBJECTS = {
    "int helper(void) { return 1; }": None,
    "static void *malloc(unsigned long n) { return (void *)n; } void *f(void) "
    "{ return malloc(1); }": None,
    "void *memcpy(void *a, const void *b, unsigned long n) { return b ? a : (void *)n; }": "memcpy",
    "void *other(unsigned long n) __asm__(\"malloc\"); void *other(unsigned long n) "
    "{ return (void *)n; }": "malloc",
    "__asm__(\".globl mine\\nmine:\\n.symver mine, write@@GLIBC_9\\n\");": "write",
    "__attribute__((weak)) int printf(const char *s, ...) { return *s; }": "printf",
    "int errno_copy; int environ;": "environ",
    "__attribute__((destructor)) static void last(void) { squeeze++; }":
        "constructor or destructor",
    "static void first(void) {} __attribute__((section(\".preinit_array\"), used)) "
    "static void (*p)(void) = first;": "constructor or destructor",
    "static void first(void) {} __attribute__((section(\".ctors.1\"), used)) "
    "static void (*p)(void) = first;": "constructor or destructor",
    "__asm__(\".section .init,\\\"ax\\\"\\nnop\\n.text\\n\");": "constructor or destructor",
}


@pytest.mark.parametrize("text,words", OBJECTS.items())
def test_objects_are_looked_at(text: str, words: Optional[str], tmp_path: Path,
                               trusted: build.Trusted) -> None:
    (tmp_path / "a.c").write_text("int squeeze;\n" + text)
    subprocess.run(["gcc", "-O1", "-w", "-fno-builtin", "-fcommon", "-c", "a.c"], cwd=tmp_path,
                   check=True)
    if words is None:
        vet.check_object(tmp_path / "a.o", trusted.taken, trusted.contract)
        return
    with pytest.raises(SubmissionError, match=words) as error:
        vet.check_object(tmp_path / "a.o", trusted.taken, trusted.contract)
    assert error.value.kind == "forbidden"


@pytest.mark.parametrize("text,found", [
    ("\t.incbin \"/etc/passwd\"\n", True), ("nop; .incbin \"f\"\n", True),
    ("here: .include \"f\"\n", True), ("\t.macro x\n", True), ("\t.irp a, 1\n", True),
    ("\t.string \"a; .incbin b\"\n", False), ("\t.globl incbin\n", False),
    ("\t.include_me:\n", False), ("# 1 \".incbin\"\n", False)])
def test_directives_are_told_from_data(text: str, found: bool, tmp_path: Path) -> None:
    (tmp_path / "a.s").write_text(text)
    if not found:
        vet.check_assembly(tmp_path / "a.s")
        return
    with pytest.raises(SubmissionError, match="directive"):
        vet.check_assembly(tmp_path / "a.s")


@pytest.mark.parametrize("text,allowed", [
    ("#include <stdio.h>\n#include \"lab.h\"\n", True), ("#include <immintrin.h>\n", True),
    ("#include \"missing.h\"\n", True), ("// #include \"nothing\"\n", True),
    ("#include \"/etc/hostname\"\n", False), ("# include </etc/hostname>\n", False),
    ("#define F \"/etc/hostname\"\n#include F\n", False),
    ("#include \"sub/../../student.c\"\n", False)])
def test_includes_stay_within_the_lab(text: str, allowed: bool, tmp_path: Path) -> None:
    (tmp_path / "student.c").write_text(text)
    shutil.copy(LAB / "lab.h", tmp_path)
    if allowed:
        vet.check_includes(tmp_path, "student.c", compiler.find("gcc"), ["-O2"])
        return
    with pytest.raises(SubmissionError, match="includes") as error:
        vet.check_includes(tmp_path, "student.c", compiler.find("gcc"), ["-O2"])
    assert error.value.kind == "forbidden"


def test_a_damaged_object_is_not_read_as_a_good_one(tmp_path: Path) -> None:
    (tmp_path / "a.c").write_text("int squeeze(void) { return 1; }\n")
    subprocess.run(["gcc", "-c", "a.c"], cwd=tmp_path, check=True)
    whole = (tmp_path / "a.o").read_bytes()
    for length in (0, 3, 40, 63, 200, len(whole) - 70):
        (tmp_path / "b.o").write_bytes(whole[:length])
        with pytest.raises(NotElf):
            Elf(tmp_path / "b.o").symbols()


def test_elf_agrees_with_nm(trusted: build.Trusted) -> None:
    for path in (trusted.folder / "worker.o", trusted.slow.stats):
        done = subprocess.run(["nm", "-g", str(path)], capture_output=True, text=True, check=True)
        lines = [line.split() for line in done.stdout.splitlines()]
        expected = {(line[-1].partition("@")[0], line[-2] not in "Uwv") for line in lines}
        assert {(one.name, one.defined) for one in Elf(path).symbols()} == expected


def test_the_environment_does_not_change_what_is_built(tmp_path: Path) -> None:
    """CPATH would bring other headers in."""
    (tmp_path / "stdlib.h").write_text("#error wrong stdlib.h\n")
    (tmp_path / "a.c").write_text("#include <stdlib.h>\n")
    before = dict(os.environ)
    os.environ["CPATH"] = str(tmp_path)
    try:
        done = compiler.find("gcc").run(["-c", "a.c"], tmp_path)
    finally:
        os.environ.clear()
        os.environ.update(before)
    assert done.status == 0, done.err


def test_trusted_sources_compile_without_warnings(tmp_path: Path) -> None:
    for cc in ("gcc", "clang"):
        for name in build.TRUSTED_SOURCES:
            define = ["-DPAD_TEXT=64", "-DPAD_DATA=64"] if name == "pad.c" else []
            subprocess.run([cc, "-std=gnu11", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-O2",
                            *define, "-c", str(REPOSITORY / "graders" / name),
                            "-o", str(tmp_path / "a.o")], check=True)


def test_workers_do_not_hold_the_oracle(trusted: build.Trusted) -> None:
    """Code that is not there cannot be called, by whatever address."""
    for program in (*trusted.slow.layouts, trusted.slow.stats):
        with pytest.raises(StopIteration):
            address(program, "workload_expect")
        assert address(program, "workload_run")
    assert address(trusted.judge, "workload_expect")
