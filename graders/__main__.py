"""The command line: python3 -m graders COMMAND. Exit codes: 0 PASS or done, 1 FAIL,
75 INCONCLUSIVE, 2 could not be done, 130 interrupted."""
from __future__ import annotations

import argparse
import signal
import sys
from pathlib import Path
from typing import Callable, NoReturn, Optional, Sequence

from . import commands
from .model import EXIT_CODES, FAIL, GraderError, SubmissionError
from .plain import printable

ROOT = Path(__file__).resolve().parent.parent
INTERRUPTED = 130
COULD_NOT = 2

EXAMPLES = """\
examples:
  python3 -m graders grade 03                    grade labs/03_string_building
  python3 -m graders grade 03 --submission DIR   grade DIR/student.c with DIR/answers.ini
  python3 -m graders grade 03 --format junit --output lab03.xml
  python3 -m graders doctor                      what disturbs on this machine

exit codes: 0 PASS or done, 1 FAIL, 75 INCONCLUSIVE, 2 could not be done
"""


class _Parser(argparse.ArgumentParser):
    """Says in one line what is wrong with the arguments."""

    def error(self, message: str) -> NoReturn:
        print(f"graders: {printable(message)}; '{self.prog} --help' shows how",
              file=sys.stderr)
        raise SystemExit(COULD_NOT)


def parser() -> argparse.ArgumentParser:
    """Every command with its options."""
    top = _Parser(prog="python3 -m graders", epilog=EXAMPLES, allow_abbrev=False,
                  description="Grades perflab's labs: is student.c faster, for the right reason?",
                  formatter_class=argparse.RawDescriptionHelpFormatter)
    subs = top.add_subparsers(dest="command", metavar="COMMAND", required=True)
    grade = _command(subs, "grade", "measure, judge and report", commands.grade, building=True)
    _measuring(grade)
    grade.add_argument("--format", default="text", choices=commands.FORMATS,
                       help="text (default), json with every sample, or junit for CI systems")
    grade.add_argument("--output", type=Path, metavar="FILE",
                       help="write the report to FILE, whole or not at all")
    _command(subs, "labs", "the board: every lab and how far you are", commands.labs, lab=False)
    hint = _command(subs, "hint", "one more hint each time", commands.hint)
    hint.add_argument("number", nargs="?", type=int, metavar="K", help="the K-th hint")
    _command(subs, "bench", "run the lab's benchmarks on slow.c and on yours", commands.bench,
             building=True)
    watch = _command(subs, "watch", "grade again whenever you save; Ctrl-C ends",
                     commands.watch, building=True)
    _measuring(watch)
    _command(subs, "reset", "student.c and answers.ini as shipped; yours are kept", commands.reset)
    doctor = _command(subs, "doctor", "what disturbs on this machine, and what mends it",
                      commands.doctor, lab=False)
    doctor.add_argument("--cc", default="", metavar="CC", help="the compiler to look for")
    return top


def main(arguments: Optional[Sequence[str]] = None) -> int:
    """Runs one command and returns the exit code."""
    signal.signal(signal.SIGTERM, _terminated)
    options = parser().parse_args(arguments)
    try:
        run: Callable[[argparse.Namespace], int] = options.run
        return run(options)
    except GraderError as error:
        print(f"graders: {printable(' '.join(str(error).split()))}", file=sys.stderr)
        return COULD_NOT
    except SubmissionError as error:    # outside of a grading, where it is a result
        print("\n".join([f"graders: {printable(str(error))}", *printable(error.detail).split("\n")])
              .rstrip(), file=sys.stderr)
        return EXIT_CODES[FAIL]
    except KeyboardInterrupt:
        print("\ngraders: interrupted", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:             # the reader of our output has gone, as in '| head'
        sys.stderr.close()
        return COULD_NOT


def _command(subs: "argparse._SubParsersAction[_Parser]", name: str, help: str,
             run: Callable[[argparse.Namespace], int], lab: bool = True,
             building: bool = False) -> argparse.ArgumentParser:
    sub = subs.add_parser(name, help=help, description=f"{name}: {help}", allow_abbrev=False)
    sub.set_defaults(run=run)
    sub.add_argument("--root", type=Path, default=ROOT, help=argparse.SUPPRESS)
    if lab:
        sub.add_argument("lab", metavar="NN", help="the lab's number or topic")
    if building:
        sub.add_argument("--submission", type=Path, metavar="PATH",
                         help="a C file, or a folder with student.c and answers.ini")
        sub.add_argument("--cc", default="", metavar="CC", help="the C compiler (default: cc)")
        sub.add_argument("--opt", default="-O2", metavar="FLAGS",
                         help="optimisation flags of both versions (default: -O2), as --opt=-O3")
    return sub


def _measuring(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("--seed", type=_seed, metavar="N", help="the same inputs and order again")
    sub.add_argument("--no-progress", action="store_true", help="no line while it measures")


def _seed(text: str) -> int:
    if not text.isdigit() or int(text) >= 2 ** 64:
        raise argparse.ArgumentTypeError(f"'{text}' is not a whole number from 0 to 2^64-1")
    return int(text)


def _terminated(number: int, frame: object) -> NoReturn:
    """A polite request to end: leaves through the same clean-up as Ctrl-C."""
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
