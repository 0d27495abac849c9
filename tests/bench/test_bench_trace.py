"""-trace: a region for each run of a benchmark, in the order of the runs."""
from __future__ import annotations

import sys
from pathlib import Path

import pytest

from conftest import ROOT, Build, execute

sys.path.insert(0, str(ROOT / "tests" / "trace"))

import decoder  # noqa: E402  (the path has to be set first)

SOURCE = r"""
#include "perflab.h"

static void part(pl_bench *b, void *arg)
{
    (void)arg;
    PL_LOOP(b) { PL_REGION("inner") { PL_CLOBBER(); } }
}

PL_BENCH(First) { PL_LOOP(b) { PL_CLOBBER(); } }
PL_BENCH(Second) { pl_bench_run(b, "part", part, NULL); }
PL_BENCH_MAIN()
"""


@pytest.fixture(scope="module", name="program")
def fixture_program(build: Build) -> Path:
    return build(SOURCE, standard="gnu11")


def test_each_run_is_a_region(program: Path, tmp_path: Path) -> None:
    path = tmp_path / "trace.pftrace"
    done = execute([str(program), "-benchtime", "100x", "-trace", str(path)])
    assert (done.returncode, done.stderr) == (0, "")
    trace = decoder.read(path)
    runs = [(s.name, s.depth) for s in trace.slices("region") if s.name != "inner"]
    assert runs == [("BenchmarkFirst", 0), ("BenchmarkSecond", 0), ("BenchmarkSecond/part", 1)]
    inner = [s for s in trace.slices("region") if s.name == "inner"]
    assert len(inner) == 100 and {s.depth for s in inner} == {2}
    assert {e.name: e.notes["text"] for e in trace.of("log")} == {"n": "1"}
    assert [p.name for p in tmp_path.iterdir()] == ["trace.pftrace"]


def test_with_all_profiles(program: Path, tmp_path: Path) -> None:
    """Samples of the CPU profile are in the trace, too."""
    flags = [part for kind in ("cpu", "mem", "block", "mutex")
             for part in (f"-{kind}profile", str(tmp_path / kind))]
    done = execute([str(program), "-bench", "First", "-benchtime", "300ms", *flags, "-trace",
                    str(tmp_path / "trace")])
    assert (done.returncode, done.stderr) == (0, "")
    samples = decoder.read(tmp_path / "trace").of("cpu")
    assert len(samples) > 5 and all("stack" in s.notes for s in samples)


@pytest.mark.parametrize("flags, said", [
    (["-trace", "/nowhere/t"], "perflab: -trace /nowhere/t: input or output failed; name a file "
     "in a folder that can be written to"),
    (["-trace"], 'perflab: bad value "" for -trace; give one')])
def test_mistakes(program: Path, flags: list, said: str) -> None:
    done = execute([str(program), *flags])
    assert (done.returncode, done.stderr.strip()) == (2, said)
    assert "Benchmark" not in done.stdout


def test_one_that_perflab_takes_already(program: Path, tmp_path: Path) -> None:
    done = execute(["env", f"PERFLAB=trace={tmp_path}/a", str(program), "-trace",
                    str(tmp_path / "b")])
    assert done.returncode == 2 and "leave cpu= and trace= out of PERFLAB" in done.stderr
