"""README.md's programs compile as printed, and its screen is what the grader prints."""
from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Dict, List

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "fresh"))
from readme import Block, blocks, readme  # noqa: E402

FILES: Dict[str, str] = {block.value: block.text for block in readme() if block.kind == "file"}
STRICT = ["-Wall", "-Wextra", "-Wpedantic", "-Werror"]


@pytest.fixture(scope="module")
def implementation(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """perflab.o, compiled as README.md says."""
    target = tmp_path_factory.mktemp("object") / "perflab.o"
    subprocess.check_call(["cc", "-O2", "-DPERFLAB_IMPL", "-x", "c", "-c",
                           str(ROOT / "perflab.h"), "-o", str(target)])
    return target


def compile_and_run(tmp_path: Path, command: List[str], name: str, text: str,
                    implementation: Path, *arguments: str) -> str:
    """Compiles a program of README.md warning-free beside perflab.o; what it prints."""
    (tmp_path / name).write_text(text)
    subprocess.check_call([*command, *STRICT, f"-I{ROOT}", name, str(implementation),
                           "-o", "program", "-ldl", "-pthread"], cwd=tmp_path)
    return subprocess.check_output(["./program", *arguments], cwd=tmp_path,
                                   universal_newlines=True)


def twin(text: str) -> str:
    """The same program in C++: an empty initialiser is {} there."""
    return text.replace("= {0}", "= {}")


EXAMPLE = re.compile(r"\d+ us, 1 blocks, 20\d{5} bytes\n")


@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_the_example_is_clean_c99(tmp_path: Path, compiler: str, implementation: Path) -> None:
    printed = compile_and_run(tmp_path, [compiler, "-std=c99"], "main.c", FILES["example.c"],
                              implementation)
    assert EXAMPLE.fullmatch(printed)


@pytest.mark.parametrize("compiler", ["g++", "clang++"])
def test_its_twin_is_clean_cpp11(tmp_path: Path, compiler: str, implementation: Path) -> None:
    printed = compile_and_run(tmp_path, [compiler, "-std=c++11"], "main.cc",
                              twin(FILES["example.c"]), implementation)
    assert EXAMPLE.fullmatch(printed)


@pytest.mark.parametrize("command, name", [
    (["gcc", "-std=c99"], "main.c"), (["clang", "-std=c99"], "main.c"),
    (["g++", "-std=c++11"], "main.cc"), (["clang++", "-std=c++11"], "main.cc")])
def test_the_benchmark_prints_gos_format(tmp_path: Path, command: List[str], name: str,
                                         implementation: Path) -> None:
    printed = compile_and_run(tmp_path, [*command, "-O2"], name, twin(FILES["sums.c"]),
                              implementation, "-bench", "Sum", "-benchtime", "20x", "-benchmem")
    lines = [line for line in printed.splitlines() if line.startswith("BenchmarkSum")]
    assert len(lines) == 1
    assert re.fullmatch(r"BenchmarkSum(-\d+)?\s+20\s+[\d.]+ ns/op\s+0 B/op\s+0 allocs/op",
                        lines[0])


@pytest.mark.parametrize("command, name", [
    (["gcc", "-std=c99"], "main.c"), (["clang", "-std=c99"], "main.c"),
    (["g++", "-std=c++11"], "main.cc")])
def test_the_program_that_leaks_says_where(tmp_path: Path, command: List[str], name: str,
                                           implementation: Path) -> None:
    compile_and_run(tmp_path, [*command, "-O2"], name, FILES["requests.c"], implementation)
    said = subprocess.run([str(tmp_path / "program")], env=dict(os.environ, PERFLAB="leakcheck=1"),
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True).stderr
    assert re.match(r"perflab: 10 leaks: \d+ bytes in 10 blocks, 0 descriptors, 0 threads\n"
                    r"  lost: \d+ bytes in 10 blocks, allocated at\n"
                    r" +#0 +0x[0-9a-f]+  \S*copy_name", said)


@pytest.mark.parametrize("command, name", [
    (["gcc", "-std=gnu99"], "kitchen.c"), (["clang", "-std=gnu99"], "kitchen.c"),
    (["g++", "-std=c++11"], "kitchen.cc")])
def test_the_trace_names_the_lock(tmp_path: Path, command: List[str], name: str,
                                  implementation: Path) -> None:
    compile_and_run(tmp_path, [*command, "-O2", "-g"], name, FILES["kitchen.c"], implementation)
    trace, page = str(tmp_path / "trace.pftrace"), tmp_path / "trace.html"
    said = subprocess.check_output([sys.executable, "-m", "graders", "trace", trace], cwd=ROOT,
                                   universal_newlines=True)
    findings = said[said.index("Findings"):said.index("Threads")]
    assert re.search(rf"\block .*\bbake(\(\))? \({name}:\d+\)", " ".join(findings.split()))
    assert re.search(r"^ +40 .* bake$", said, re.MULTILINE)
    assert re.search(r"^ +40 .* order$", said, re.MULTILINE)
    subprocess.check_call([sys.executable, "-m", "graders", "trace", "--html", str(page), trace],
                          cwd=ROOT, stdout=subprocess.DEVNULL)
    assert page.stat().st_size > 50_000


def test_the_cmake_snippet_builds(tmp_path: Path) -> None:
    for name in ("CMakeLists.txt", "example.c"):
        (tmp_path / name).write_text(FILES[name])
    shutil.copy(ROOT / "perflab.h", tmp_path)
    for command in (["cmake", "-S", ".", "-B", "build"], ["cmake", "--build", "build"]):
        subprocess.check_call(command, cwd=tmp_path, stdout=subprocess.DEVNULL)
    printed = subprocess.check_output(["build/example"], cwd=tmp_path, universal_newlines=True)
    assert EXAMPLE.fullmatch(printed)


def labels(screen: str) -> List[str]:
    """What stays of a screen from run to run: the words on its left, warnings apart."""
    return [word for word in re.findall(r"^  (\w+) ", screen, re.MULTILINE) if word != "warning"]


def test_the_screen_is_what_the_grader_prints() -> None:
    block = next(block for block in readme() if block.kind == "screen")
    command = block.value.split()
    assert command[0] == "make"
    done = subprocess.run([*command, "--no-print-directory"], cwd=ROOT, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, universal_newlines=True)
    assert labels(block.text) == labels(done.stdout)
    assert {"output", "time", "evidence", "diagnosis", "PASS"} <= set(labels(done.stdout))


def test_every_shell_block_is_run_by_the_gate() -> None:
    text = (ROOT / "README.md").read_text()
    assert text.count("```") == 2 * len(readme())
    assert {block.language for block in readme()} == {"sh", "c", "cmake", "text"}


def test_blocks_are_read_with_their_comments() -> None:
    page = "a\n<!-- file: x.c -->\n```c\nint a;\n```\n\n```sh\nmake\nmake lab\n```\n"
    assert blocks(page) == [Block("c", "int a;\n", "file", "x.c", 3),
                            Block("sh", "make\nmake lab\n", "", "", 7)]
