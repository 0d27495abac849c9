"""What tests of single labs share. What every lab has to hold is `make check-labs`."""
from __future__ import annotations

import sys
from pathlib import Path
from typing import List

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))


def includes(folder: Path) -> List[str]:
    """Where a lab's C files find lab.h, perflab.h and workload.h."""
    return [f"-I{folder}", f"-I{ROOT}", f"-I{ROOT / 'graders'}"]
