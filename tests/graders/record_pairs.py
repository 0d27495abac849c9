"""Records real pairs of runs for the replays in test_verdict.py: python3 record_pairs.py COUNT.

Each pair runs two fresh processes whose work differs by exactly 3/2, in random order, on
whatever else this machine is doing. Prints JSON: [slow CPU, student CPU, slow wall, student wall]
in nanoseconds, and whether the student ran first.
"""
from __future__ import annotations

import json
import os
import platform
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import List, Tuple

UNITS = 6_000_000
SOURCE = """
#include <stdint.h>
#include <stdlib.h>
int main(int argc, char **argv) {
    uint64_t n = argc > 1 ? strtoull(argv[1], 0, 10) : 0, x = 1;
    for (uint64_t i = 0; i < n; i++) {
        x = x * 6364136223846793005u + 1442695040888963407u;
        __asm__ volatile("" : "+r"(x));
    }
    return x == 0;
}
"""


def run_once(program: Path, units: int) -> Tuple[int, int]:
    padding = {"PADDING": "x" * random.randrange(4096)}
    start = time.monotonic_ns()
    pid = os.posix_spawn(program, [str(program), str(units)], padding)
    usage = os.wait4(pid, 0)[2]
    wall = time.monotonic_ns() - start
    return round((usage.ru_utime + usage.ru_stime) * 1e9), wall


def record(program: Path, count: int) -> List[Tuple[int, int, int, int, bool]]:
    pairs = []
    for _ in range(count):
        student_first = random.random() < 0.5
        order = (2, 3) if student_first else (3, 2)
        times = {units: run_once(program, units * UNITS) for units in order}
        pairs.append((times[3][0], times[2][0], times[3][1], times[2][1], student_first))
    return pairs


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        program = Path(folder, "spin")
        subprocess.run([os.environ.get("CC", "cc"), "-O2", "-x", "c", "-", "-o", str(program)],
                       input=SOURCE, text=True, check=True)
        pairs = record(program, int(sys.argv[1]))
    facts = {"machine": platform.machine(), "cores": os.cpu_count(),
             "load": os.getloadavg()[0], "true_ratio": "3/2"}
    lines = ",\n".join(json.dumps(pair) for pair in pairs)
    print(json.dumps(facts)[:-1] + ', "pairs": [\n' + lines + "\n]}")


if __name__ == "__main__":
    main()
