"""Rules about everything but perflab.h: Python, documents, and what may be in the repository."""
from __future__ import annotations

import ast
import re
import sys
from typing import FrozenSet, Iterator, List, Optional, Tuple

from header import HEADER, header
from repo import Offence, Repo, numbered

COLUMNS = 100
SOURCES = (".c", ".h", ".py", ".js", ".css", ".ini", ".sh", "Makefile", ".ci/run")
MAKEFILE_LINES = 150
MAX_BYTES = 512 * 1024
HEADER_BYTES = 1024 * 1024      # the one file that is meant to be large; its lines have a budget


# Python -------------------------------------------------------------------------------------------


def is_test(path: str) -> bool:
    """Tests may import what the venv has, and need no types."""
    return path.startswith("tests/") and re.search(r"/(test_\w+|conftest)\.py$", path) is not None


def parse(text: str) -> Optional[ast.Module]:
    """The tree under Python 3.9's grammar; None when that grammar refuses it."""
    try:
        return ast.parse(text, feature_version=(3, 9))
    except SyntaxError:
        return None


def python_syntax(repo: Repo) -> Iterator[Offence]:
    """Every Python file is valid in Python 3.9."""
    for path, text in repo.named(".py"):
        try:
            ast.parse(text, feature_version=(3, 9))
        except SyntaxError as error:
            yield Offence(path, error.lineno or 0, f"not valid in Python 3.9: {error.msg}")
        if re.search(r"^\s*def |^\w+: ", text, re.MULTILINE) \
                and "from __future__ import annotations" not in text:
            yield Offence(path, 1, "add 'from __future__ import annotations': newer annotations "
                          "stop Python 3.9 without it")


def python_types(repo: Repo) -> Iterator[Offence]:
    """Every function says what it takes and returns (tests excepted)."""
    for path, text in repo.named(".py"):
        tree = parse(text)
        for node in ast.walk(tree) if tree and not is_test(path) else ():
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                missing = untyped(node)
                if missing:
                    yield Offence(path, node.lineno, f"{node.name}: no type for {missing}")


def untyped(node: "ast.FunctionDef | ast.AsyncFunctionDef") -> str:
    """The first thing in a signature that has no type; "" when all have."""
    arguments = node.args
    every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    every += [item for item in (arguments.vararg, arguments.kwarg) if item]
    for item in every:
        if item.annotation is None and item.arg not in ("self", "cls"):
            return item.arg
    return "" if node.returns is not None else "the result"


def python_imports(repo: Repo) -> Iterator[Offence]:
    """Outside tests, only the standard library: users install nothing."""
    # Python 3.9 has no such list; there the rule waits for a newer one.
    library: FrozenSet[str] = getattr(sys, "stdlib_module_names", frozenset())
    own = {path.rsplit("/", 1)[-1][:-3] for path, _ in repo.named(".py")} | {"graders"}
    for path, text in repo.named(".py") if library else ():
        for line, name in imports(text) if not is_test(path) else ():
            if name not in library and name not in own:
                yield Offence(path, line, f"import of {name}, which is not in Python's library")


def imports(text: str) -> Iterator[Tuple[int, str]]:
    """Lines and top-level names of absolute imports."""
    tree = parse(text)
    for node in ast.walk(tree) if tree else ():
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name.split(".")[0]
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield node.lineno, node.module.split(".")[0]


# documents ----------------------------------------------------------------------------------------


def parity_rows(repo: Repo) -> Iterator[Offence]:
    """A row of docs/parity.md is done with an existing test, or planned with its area."""
    path = "docs/parity.md"
    for number, line in numbered(repo.files.get(path, "")):
        cells = [cell.strip() for cell in line.strip().strip("|").split(" | ")]
        if not line.startswith("|") or cells[0] == "Go" or set(line) <= set("|- :"):
            continue
        state = cells[-1]
        if state.startswith("done: "):
            for fault in test_faults(repo, state[len("done: "):]):
                yield Offence(path, number, fault)
        elif not re.match(r"planned: \w+", state):
            yield Offence(path, number, f"'{state}': write 'done: `tests/FILE::TEST`' "
                          "or 'planned: AREA'")


def test_faults(repo: Repo, text: str) -> Iterator[str]:
    """What is wrong with the tests that a row names, as `path` or `path::test`."""
    named = re.findall(r"`([^`]+)`", text)
    if not named:
        yield "names no test; write done: `tests/FILE::TEST`"
    for name in named:
        path, _, test = name.partition("::")
        if path not in repo.files:
            yield f"there is no test file {path}"
        elif test and not re.search(rf"\b{re.escape(test)}\b", repo.files[path]):
            yield f"{path} has no test {test}"


def code_blocks(repo: Repo) -> Iterator[Offence]:
    """Every code block says its language, so that README's can be run and compiled."""
    for path, text in repo.named(".md"):
        inside = False
        for number, line in numbered(text):
            fence = re.match(r"\s*```(\S*)", line)
            if fence and not inside and not fence.group(1):
                yield Offence(path, number, "a code block without a language: sh, c, text, ...")
            inside ^= fence is not None


def links(repo: Repo) -> Iterator[Offence]:
    """Links between documents lead somewhere."""
    folders = {path.rsplit("/", count)[0] for path in repo.files
               for count in range(1, path.count("/") + 1)}
    for path, text in repo.named(".md"):
        for match in re.finditer(r"\]\((?!\w+:|#)([^)#\s]+)(?:#[^)]*)?\)", text):
            target = join(path, match.group(1))
            if target not in repo.files and target not in folders:
                yield Offence(path, text.count("\n", 0, match.start()) + 1,
                              f"the link to {match.group(1)} leads nowhere")


def join(path: str, link: str) -> str:
    """The repository's path that a relative link in a file means."""
    parts: List[str] = path.split("/")[:-1]
    for part in link.rstrip("/").split("/"):
        if part == ".." and parts:
            parts.pop()
        elif part not in (".", ".."):
            parts.append(part)
    return "/".join(parts)


# the repository -----------------------------------------------------------------------------------


def columns(repo: Repo) -> Iterator[Offence]:
    """No line of source is wider than 100 columns, ends in blanks or lacks its end."""
    for path, text in repo.named(*SOURCES):
        for number, line in numbered(text):
            if len(line) > COLUMNS and not path.endswith("/recorded.ini"):  # tools wrote it
                yield Offence(path, number, f"{len(line)} columns; the limit is {COLUMNS}")
            if line != line.rstrip():
                yield Offence(path, number, "blanks at the end of the line")
            if "\t" in line and not path.endswith("Makefile"):
                yield Offence(path, number, "a tab; write spaces")
        if text and not text.endswith("\n"):
            yield Offence(path, 0, "the last line has no end")


MARKERS = re.compile(r"\b(TO" r"DO|FIX" r"ME|XX" r"X|HA" r"CK)\b")
PLACES = re.compile(r"(?<![\w.])/(root|work)/")


def markers(repo: Repo) -> Iterator[Offence]:
    """No note to do something later, and no path of somebody's machine."""
    for path, text in repo.files.items():
        for number, line in numbered(text):
            marker, place = MARKERS.search(line), PLACES.search(line)
            if marker:
                yield Offence(path, number, f"{marker.group(0)}: do it, or file an issue")
            if place:
                yield Offence(path, number, f"{place.group(0)} is a path of one machine")


TOP = set(".ci .gitignore .github CHANGELOG.md CONTRIBUTING.md LICENSE Makefile README.md "
          "SECURITY.md bench docs graders labs perflab.h slides solutions tests".split())
STRAY = re.compile(r"\.(o|so|a|out|orig|rej|swp|pyc|prof|trace|tmp|bak|log)$|~$|(^|/)\.DS_Store$")


def stray_files(repo: Repo) -> Iterator[Offence]:
    """Only what belongs here: no artefacts, no binaries, nothing big."""
    for path, text in repo.files.items():
        if path.split("/")[0] not in TOP:
            yield Offence(path, 0, "is not part of the repository's plan (tests/lint/files.py)")
        corpus = path.startswith("tests/fuzz/")  # inputs of fuzzers: hostile on purpose
        if STRAY.search(path) and not corpus:
            yield Offence(path, 0, "looks like something a tool left behind")
        if "\0" in text and not path.endswith(".png") and not corpus:
            yield Offence(path, 0, "is not text")
        limit = HEADER_BYTES if path == "perflab.h" else MAX_BYTES
        if len(text) > limit:
            yield Offence(path, 0, f"has {len(text)} bytes; the limit is {limit}")


def version(repo: Repo) -> Iterator[Offence]:
    """The header's version is the newest one of CHANGELOG.md."""
    macro = re.search(r'^#define PL_VERSION "([^"]*)"', header(repo), re.MULTILINE)
    heading = re.search(r"^## (\d\S*)", repo.files.get("CHANGELOG.md", ""), re.MULTILINE)
    here, there = (match.group(1) if match else "nothing" for match in (macro, heading))
    if header(repo) and here != there:
        yield Offence(HEADER, 0, f"PL_VERSION says {here}, CHANGELOG.md {there}: make them equal")


def makefile(repo: Repo) -> Iterator[Offence]:
    """The Makefile stays short, and each target of it has a text for `make help`."""
    text = repo.files.get("Makefile", "")
    if len(text.splitlines()) > MAKEFILE_LINES:
        yield Offence("Makefile", 0, f"{len(text.splitlines())} lines; the budget is "
                      f"{MAKEFILE_LINES}")
    for number, line in numbered(text):
        target = re.match(r"([a-z][\w%-]*):(?!=)", line)
        if target and " ## " not in line:
            yield Offence("Makefile", number, f"{target.group(1)}: add '## what it does'")


RULES = (python_syntax, python_types, python_imports, parity_rows, code_blocks, links, columns,
         markers, stray_files, version, makefile)
