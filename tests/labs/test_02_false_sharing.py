"""Lab 02's judge against a second opinion, and races where there may be none."""
from __future__ import annotations

import re
import struct
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import List, Tuple

import pytest

import judging
from labfiles import ROOT, includes
from graders import lab as labs

FOLDER = ROOT / "labs" / "02_false_sharing"
PROBES = ROOT / "tests" / "probes" / "02_false_sharing"
RIGHT = [FOLDER / "slow.c", ROOT / "solutions" / "02_false_sharing" / "student.c",
         *sorted(PROBES.glob("other_*.c"))]
SMALL = [0, 1, 2, 7, 61, 255, 1023]
SIZES, LOOKS = 1024, 4


@dataclass(frozen=True)
class Order:
    """What stands in an input."""
    requests: int
    threads: int
    line: int
    sizes: Tuple[int, ...]

    def bytes(self, first: int, end: int) -> int:
        return sum(self.sizes[number % SIZES] for number in range(first, end))


@pytest.fixture(scope="module")
def judge(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return judging.build(FOLDER, tmp_path_factory.mktemp("judge"))


def order(data: bytes) -> Order:
    requests, threads, line, *sizes = struct.unpack(f"<{3 + SIZES}Q", data)
    return Order(requests, threads, line, tuple(sizes))


def lines_of(one: Order) -> List[str]:
    """The output: each thread's looks, after a fifth, two fifths ... of its share; the totals."""
    share, lines, first = one.requests // one.threads, [], 0
    for thread in range(one.threads):
        last = thread == one.threads - 1
        mine = share + (one.requests % one.threads if last else 0)
        for look in range(LOOKS):
            done = mine // (LOOKS + 1) * (look + 1)
            lines.append(f"thread {thread}, look {look}: requests {done}, "
                         f"bytes {one.bytes(first, first + done)}, total plausible")
        first += mine
    return [*lines, f"all threads: requests {one.requests}, bytes {one.bytes(0, one.requests)}",
            "other counters: requests 1, bytes 7"]


@pytest.mark.parametrize("n", SMALL)
@pytest.mark.parametrize("seed", range(5))
def test_the_oracle_counts_as_lab_h_says(judge: Path, seed: int, n: int) -> None:
    data, output = judging.make(judge, seed, n)
    assert output.decode().splitlines() == lines_of(order(data))


def test_seeds_decide_the_input_and_nothing_else_does(judge: Path) -> None:
    assert judging.make(judge, 1, 61) == judging.make(judge, 1, 61)
    assert judging.make(judge, 1, 61) != judging.make(judge, 2, 61)


def test_inputs_have_what_breaks_wrong_code(judge: Path) -> None:
    orders = [order(judging.make(judge, seed, 61)[0]) for seed in range(60)]
    assert {1, 2, 3, 64} <= {one.threads for one in orders}
    for one in orders:
        assert {0, 1, 2 ** 32 - 1, 2 ** 32, 2 ** 40} <= set(one.sizes)
    assert any(one.bytes(0, 61) >= 2 ** 32 for one in orders)


def test_what_is_timed_has_as_many_threads_as_lab_ini_says(judge: Path) -> None:
    lab = labs.read(FOLDER)
    assert order(judging.make(judge, 5, lab.n)[0]).threads == lab.threads == lab.slow_threads


def test_the_line_is_the_machines(judge: Path) -> None:
    caches = Path("/sys/devices/system/cpu/cpu0/cache").glob("index*/coherency_line_size")
    largest = max((int(path.read_text()) for path in caches), default=64)
    assert order(judging.make(judge, 1, 1)[0]).line == largest


@pytest.mark.parametrize("path", RIGHT, ids=lambda path: "/".join(path.parts[-2:]))
def test_no_data_race_in_right_versions(judge: Path, path: Path, tmp_path: Path) -> None:
    flags = ["-O1", "-g", "-fsanitize=thread", "-pthread", *includes(FOLDER)]
    main = tmp_path / "main.c"
    main.write_text(MAIN)
    sources = [main, ROOT / "graders" / "buffer.c", FOLDER / "workload.c", path,
               judge.parent / "perflab.o"]
    subprocess.run(["gcc", *flags, *map(str, sources), "-o", str(tmp_path / "run"), "-lm"],
                   check=True)
    done = subprocess.run([str(tmp_path / "run")], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          text=True)
    if "unexpected memory mapping" in done.stderr:
        pytest.skip("ThreadSanitizer does not run on this kernel (vm.mmap_rnd_bits)")
    assert done.returncode == 0 and "data race" not in done.stderr, done.stderr


def test_the_question_asks_for_members_that_stats_add_writes() -> None:
    asked = next(question for question in labs.read(FOLDER).questions
                 if question.name == "variables")
    body = (FOLDER / "slow.c").read_text().partition("void stats_add")[2].partition("\n}")[0]
    assert list(asked.words) == re.findall(r"&stats->(\w+)\[thread\]", body)


MAIN = """\
#include "workload.h"

#include <stdlib.h>

int main(void)
{
    for (unsigned seed = 0; seed < 5; seed++) {
        workload_buffer input = {0};
        if (workload_make(seed, 1023, &input) != 0)
            return 1;
        void *state = workload_load(input.data, input.size);
        if (state == NULL)
            return 1;
        workload_run(state);
        workload_unload(state);
        free(input.data);
    }
    return 0;
}
"""
