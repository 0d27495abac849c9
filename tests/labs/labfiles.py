"""What the tests of the labs share: the repository, its labs, and how their C files compile."""
from __future__ import annotations

import sys
from pathlib import Path
from typing import List

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from graders import lab as labs  # noqa: E402  (the path has to be set first)

FOLDERS: List[Path] = labs.folders(ROOT)
WARNINGS = ["-O2", "-Wall", "-Wextra", "-Werror"]


def includes(folder: Path) -> List[str]:
    """Where a lab's C files find lab.h, perflab.h and workload.h."""
    return [f"-I{folder}", f"-I{ROOT}", f"-I{ROOT / 'graders'}"]


def name(path: Path) -> str:
    """How pytest calls a test about ``path``."""
    return path.name
