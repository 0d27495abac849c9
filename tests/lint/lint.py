"""The rules of the house, checked.

    python3 tests/lint/lint.py           prints each offence; exit 1 when there is one
    python3 tests/lint/lint.py --tap     one test a rule, for tests/run.py

Each rule is a function whose first line of documentation says what it wants; test_lint.py shows it
text that breaks it.
"""
from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Callable, Iterator, List, Optional, Sequence, Tuple

import course
import files
import header
from repo import Offence, Repo

ROOT = Path(__file__).resolve().parents[2]
Rule = Callable[[Repo], Iterator[Offence]]
RULES: Tuple[Rule, ...] = header.RULES + files.RULES + course.RULES


def check(repo: Repo) -> Iterator[Tuple[Rule, List[Offence]]]:
    """Every rule with what breaks it."""
    for rule in RULES:
        yield rule, list(rule(repo))


def title(rule: Rule) -> str:
    """The rule in a sentence: the first line of its documentation."""
    return (rule.__doc__ or rule.__name__).strip().splitlines()[0]


def print_tap(repo: Repo) -> int:
    """One test a rule; the offences as diagnosis."""
    failed = 0
    print(f"1..{len(RULES)}")
    for number, (rule, offences) in enumerate(check(repo), 1):
        failed += bool(offences)
        print(f"{'not ' if offences else ''}ok {number} - {rule.__name__}: {title(rule)}")
        for offence in offences:
            print(f"# {offence}")
    return 1 if failed else 0


def print_offences(repo: Repo) -> int:
    """For a person: the offences, grouped by rule."""
    count = 0
    for rule, offences in check(repo):
        if offences:
            print(title(rule))
        for offence in offences:
            count += 1
            print(f"    {offence}")
    print(f"{len(RULES)} rules, {count} offence{'' if count == 1 else 's'}")
    return 1 if count else 0


def main(arguments: Optional[Sequence[str]] = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="tests/lint/lint.py", description="perflab's rules.")
    parser.add_argument("--tap", action="store_true", help="print a TAP report")
    options = parser.parse_args(arguments)
    repo = Repo.load(ROOT)
    return print_tap(repo) if options.tap else print_offences(repo)


if __name__ == "__main__":
    sys.exit(main())
