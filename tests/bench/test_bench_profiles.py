"""-memprofile, -blockprofile and -mutexprofile: what is timed, and nothing of what is set up."""
from __future__ import annotations

import sys
from pathlib import Path
from typing import Dict

import pytest

from conftest import ROOT, Build, execute

sys.path.insert(0, str(ROOT))

from graders import pprof  # noqa: E402  (the path has to be set first)

SOURCE = r"""
#include "perflab.h"
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

static PL_NOINLINE void *set_up(void)
{
    void *p = malloc(4000);
    PL_KEEP(p);
    return p;
}

static PL_NOINLINE void timed(void)
{
    void *p = malloc(100);
    PL_KEEP(p);
    free(p);
    PL_CLOBBER();
}

static PL_NOINLINE void hold(void)
{
    pthread_mutex_lock(&mutex);
    usleep(2000);
    pthread_mutex_unlock(&mutex);
    PL_CLOBBER();
}

static PL_NOINLINE void *hold_early(void *unused)
{
    hold();
    return unused;
}

static void worker(pl_parallel *pb, void *arg)
{
    (void)arg;
    while (PL_NEXT(pb))
        hold();
}

PL_BENCH(Loop)
{
    void *kept = set_up();
    free(set_up());
    PL_LOOP(b) { timed(); }
    free(kept);
}

PL_BENCH(Plain)
{
    void *kept = set_up();
    pl_bench_reset_timer(b);
    for (int64_t i = 0; i < b->n; i++)
        timed();
    pl_bench_stop_timer(b);
    free(set_up());
    free(kept);
}

PL_BENCH(NoReset)
{
    for (int64_t i = 0; i < b->n; i++)
        timed();
}

PL_BENCH(Lock)
{
    pthread_t early[2];
    for (int i = 0; i < 2; i++)
        pthread_create(&early[i], NULL, hold_early, NULL);
    for (int i = 0; i < 2; i++)
        pthread_join(early[i], NULL);
    pl_bench_reset_timer(b);
    pl_bench_parallel(b, worker, NULL);
}

PL_BENCH_MAIN()
"""


@pytest.fixture(scope="module", name="program")
def fixture_program(build: Build) -> Path:
    return build(SOURCE, standard="gnu11")


def sums(path: Path, function: str) -> Dict[str, int]:
    """The values of all samples with that function on their stack."""
    profile = pprof.read(path, strict=True)
    names = {f.id: f.name for f in profile.functions}
    having = {place.id for place in profile.locations
              if any(names[line.function] == function for line in place.lines)}
    found = {kind.type: 0 for kind in profile.sample_types}
    for sample in profile.samples:
        if having & set(sample.locations):
            for kind, value in zip(profile.sample_types, sample.values):
                found[kind.type] += value
    return found


@pytest.mark.parametrize("name", ["Loop", "Plain", "NoReset"])
def test_blocks_of_what_is_timed(program: Path, tmp_path: Path, name: str) -> None:
    """Set-up and what comes after the loop are left out, and what they free does not count."""
    path = tmp_path / "mem.pb.gz"
    done = execute([str(program), "-bench", f"{name}$", "-benchtime", "100x", "-memprofile",
                    str(path), "-memprofilerate", "1"])
    assert (done.returncode, done.stderr) == (0, "")
    timed = sums(path, "timed")
    assert timed["alloc_objects"] in (100, 101) and timed["inuse_objects"] == 0
    assert set(sums(path, "set_up").values()) == {0}


def test_waits_of_what_is_timed(program: Path, tmp_path: Path) -> None:
    block, mutex = tmp_path / "block.pb.gz", tmp_path / "mutex.pb.gz"
    done = execute([str(program), "-bench", "Lock", "-cpu", "2", "-benchtime", "20x",
                    "-blockprofile", str(block), "-mutexprofile", str(mutex)])
    assert (done.returncode, done.stderr) == (0, "")
    assert sums(block, "worker")["delay"] > 0 and sums(mutex, "worker")["delay"] > 0
    assert sums(mutex, "hold_early")["delay"] == 0
    assert sums(block, "hold_early")["delay"] == 0


@pytest.mark.parametrize("flag", ["cpuprofile", "memprofile", "blockprofile", "mutexprofile"])
def test_a_folder_that_is_not_there(program: Path, flag: str) -> None:
    """Said before anything has run."""
    done = execute([str(program), f"-{flag}", "/nowhere/x.pb.gz"])
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr == (f"perflab: -{flag} /nowhere/x.pb.gz: input or output failed; name a "
                           "file in a folder that can be written to\n")
