"""Rules about the labs: what is generated from lab.ini and recorded.ini is what stands there."""
from __future__ import annotations

import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import Iterator, List

from repo import Offence, Repo

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from graders import anatomy, files, lab as labs, readme, record  # noqa: E402  (path set first)
from graders.model import GraderError, Lab  # noqa: E402

PLACES = ("labs/", "solutions/", "tests/probes/", "README.md")


@contextmanager
def checkout(repo: Repo) -> Iterator[Path]:
    """The course's files in a folder of their own: graders read files, not texts."""
    with tempfile.TemporaryDirectory(prefix="perflab-lint-") as name:
        root = Path(name)
        for path, text in repo.files.items():
            if path.startswith(PLACES):
                (root / path).parent.mkdir(parents=True, exist_ok=True)
                (root / path).write_text(text, encoding="utf-8", errors="surrogateescape")
        yield root


def readable(root: Path) -> List[Lab]:
    """The labs whose lab.ini can be read; `lab_manifests` names the others."""
    found = []
    for folder in labs.folders(root):
        try:
            found.append(labs.read(folder))
        except GraderError:
            continue
    return found


def lab_manifests(repo: Repo) -> Iterator[Offence]:
    """Every lab.ini can be read."""
    with checkout(repo) as root:
        for folder in labs.folders(root):
            try:
                labs.read(folder)
            except GraderError as error:
                yield Offence(f"labs/{folder.name}/lab.ini", 0, str(error))


def lab_tables(repo: Repo) -> Iterator[Offence]:
    """The tables of README.md files are those that lab.ini makes."""
    with checkout(repo) as root:
        found = readable(root)
        for lab in found:
            page = lab.path / "README.md"
            text = files.read(page) if page.exists() else ""
            for complaint in anatomy.grading_complaints(lab, text):
                yield offence(complaint)
        body = readme.between(repo.files.get("README.md", ""), readme.LABS)
        if found and body != readme.labs_table(found):
            yield Offence("README.md", 0, f"its table between <!-- {readme.LABS} --> and "
                          f"<!-- {readme.END} --> differs from the labs: "
                          "python3 -m graders readme")


def lab_notes(repo: Repo) -> Iterator[Offence]:
    """The figures of NOTES.md files are those of recorded.ini."""
    with checkout(repo) as root:
        for lab in readable(root):
            page = lab.solution / "NOTES.md"
            try:
                for complaint in record.complaints(lab, files.read(page)) if page.exists() else ():
                    yield offence(complaint)
            except GraderError as error:
                yield Offence(f"solutions/{lab.path.name}", 0, str(error))


def lab_folders(repo: Repo) -> Iterator[Offence]:
    """Every folder of a solution or of probes belongs to a lab."""
    with checkout(repo) as root:
        for place, names in anatomy.strangers(root).items():
            for name in names:
                yield Offence(f"{place}/{name}", 0, f"has no lab labs/{name}")


def offence(complaint: str) -> Offence:
    """A complaint of the graders: PATH: words."""
    path, _, words = complaint.partition(": ")
    return Offence(path, 0, words)


RULES = (lab_manifests, lab_tables, lab_notes, lab_folders)
