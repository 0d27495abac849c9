"""perflab.h up to a section, for Python tests that compile programs of a lower layer."""
from __future__ import annotations

from typing import List

from run import CUT_FLAGS, cut_header


def flags(section: str) -> List[str]:
    """What a compiler is given instead of -I with the repository."""
    return [f"-I{cut_header(section)}", *CUT_FLAGS]
