"""The repository as the rules see it: texts by path. Tests of the rules write texts by hand."""
from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Dict, Iterator, List, NamedTuple, Tuple


class Offence(NamedTuple):
    """One line that breaks a rule, and how to mend it."""
    path: str
    line: int       # 0: the file as a whole
    text: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.text}" if self.line else f"{self.path}: {self.text}"


@dataclass(frozen=True)
class Repo:
    """Every file that git tracks or would track; one that is not text is read as Latin-1."""
    files: Dict[str, str]

    @staticmethod
    def load(root: Path) -> "Repo":
        """Reads the working tree, ignored files left out."""
        command = ["git", "-C", str(root), "ls-files", "-z", "--cached", "--others",
                   "--exclude-standard"]
        names = subprocess.check_output(command).decode().split("\0")
        paths = [name for name in names if name and (root / name).is_file()]
        return Repo({name: read(root / name) for name in sorted(paths)})

    def named(self, *suffixes: str) -> Iterator[Tuple[str, str]]:
        """The files whose path ends so, with their texts."""
        return ((path, text) for path, text in self.files.items() if path.endswith(suffixes))


def read(path: Path) -> str:
    """A file's text, whatever its bytes are."""
    data = path.read_bytes()
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def numbered(text: str) -> List[Tuple[int, str]]:
    """The lines of a text, counted from 1."""
    return list(enumerate(text.splitlines(), 1))
