"""Makes the golden files of this folder anew; needs go (1.24 or later).

    python3 tests/bench/golden/make.py

tables.go answers single questions for tests/unit/test_bench.c; twin_test.go runs benchmarks whose
output tests/bench/test_bench_output.py compares with that of tests/bench/twin.c, byte for byte.
"""
from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import List

HERE = Path(__file__).resolve().parent
LINKNAME = "-ldflags=-checklinkname=0"     # tables.go calls a function that testing keeps private

# What is asked of both programs. Go says -test.bench; "." stands for the default here.
RUNS: List[List[str]] = [
    ["-benchtime=1x"],
    ["-benchtime=100x", "-bench=Plain|Metrics|Hidden|Reset|Loop|Logs"],
    ["-benchtime=1x", "-benchmem", "-bench=Metrics"],
    ["-benchtime=1x", "-cpu=1,2,16", "-count=2", "-bench=Plain|Nested/one|Very"],
    ["-benchtime=1x", "-cpu=1"],
    ["-benchtime=1x", "-v", "-bench=Plain|Nested|Logs|Fail"],
    ["-benchtime=2x", "-bench=Fail"],
    ["-benchtime=2x", "-bench=FailLate", "-v", "-count=2"],
    *[["-benchtime=1x", f"-bench={pattern}"] for pattern in (
        "Names/a", "Names/^a$", "Names/a#01", "Names//", "/x", "Nested/two/y", "Nested/(one|two)/x",
        "Plain|Nested/one/y", "Names/b/c", "Names/n=10$", "Names/[a/b]", "Names/x y", "^$",
        "Nested/one/x/deeper", "Na.*s/(a|b/c)", "sted")],
]


def normal(output: str) -> str:
    """Without the machine's lines and the places of log lines."""
    lines = [line for line in output.splitlines(keepends=True)
             if not re.match(r"(goos|goarch|pkg|cpu): ", line)]
    return re.sub(r"^(\s*)\w+_test\.go:\d+: ", r"\1", "".join(lines), flags=re.MULTILINE)


def run(binary: Path, arguments: List[str]) -> str:
    """What Go prints for a command line of ours."""
    flags = [flag.replace("-", "-test.", 1) for flag in arguments]
    if not any(flag.startswith("-test.bench=") for flag in flags):
        flags.append("-test.bench=.")
    if not any(flag.startswith("-test.cpu=") for flag in flags):
        flags.append("-test.cpu=2")
    done = subprocess.run([str(binary), *flags], cwd=HERE, stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL, universal_newlines=True)
    return normal(done.stdout)


def main() -> None:
    """Writes all golden files."""
    subprocess.run(["go", "run", LINKNAME, ".", "."], cwd=HERE, check=True)
    binary = HERE / "twin.test"
    subprocess.run(["go", "test", "-c", LINKNAME, "-o", str(binary)], cwd=HERE, check=True)
    records = [{"arguments": arguments, "stdout": run(binary, arguments)} for arguments in RUNS]
    binary.unlink()
    (HERE / "twin.json").write_text(json.dumps(records, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
