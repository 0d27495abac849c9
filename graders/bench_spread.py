"""The measure bench_spread: by how much equal benchmarks differed in the student's own run.

`make labNN-bench` keeps what it printed. Where a benchmark NAME runs the same code several times
(as NAME/run=1, NAME/run=2, ...), the largest time less the smallest, in percent of the smallest, is
this machine's noise, as the student has seen it. A submission from elsewhere brings the output
along, as bench.txt beside answers.ini.
"""
from __future__ import annotations

import re
from pathlib import Path
from typing import Iterator, List, Optional

from .build import cache_folder
from .model import Lab, Share

MEASURE = "bench_spread"
SUBMITTED = "bench.txt"
ROUNDING = 0.5          # percent: people write 3 for 2.7
LINE = re.compile(r"^Benchmark(\S+)\s+\d+\s+([0-9.]+) ns/op", re.M)


def found(root: Path, lab: Lab, answers: Optional[Path], bench: str) -> Iterator[Share]:
    """What each output that is kept says of the benchmark."""
    paths = [cache_folder(root) / lab.id / f"bench-{side}.txt" for side in ("slow", "student")]
    if answers:
        paths.insert(0, answers.parent / SUBMITTED)
    for path in paths:
        value = spread(_text(path), bench)
        if value is not None:
            yield Share(value, max(0.0, value - ROUNDING), value + ROUNDING)


def spread(output: str, bench: str) -> Optional[float]:
    """The spread in percent; None when there are not at least two times."""
    times: List[float] = [float(time) for name, time in LINE.findall(output)
                          if name.startswith(f"{bench}/")]
    if len(times) < 2 or min(times) <= 0:
        return None
    return 100 * (max(times) / min(times) - 1)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
