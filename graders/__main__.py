"""The command line: python3 -m graders COMMAND. Exit codes: 0 PASS or done, 1 FAIL,
75 INCONCLUSIVE, 2 could not be done, 130 interrupted."""
from __future__ import annotations

import argparse
import signal
import sys
from pathlib import Path
from typing import Callable, NoReturn, Optional, Sequence, Type

from . import check, commands, newlab, profile_commands, quiz, record, stacks, trace_commands, \
    trace_views, watch as watching
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
  python3 -m graders top cpu.pb.gz               which functions take the time
  python3 -m graders symbolize crash.txt         source lines for a crash report

exit codes: 0 PASS or done, 1 FAIL, 75 INCONCLUSIVE, 2 could not be done
"""
TOP = """\
top: the functions of a profile, the most expensive first

  flat   what the function spent itself        flat%   its share of the whole profile
  cum    what it spent with all it called      sum%    flat% of this row and all above

Numbers and order are those of 'go tool pprof -top'. Small functions (cum below 0.5 %) are left out.
Lines and inlined functions come from the program's debug information (built with -g).

examples:
  python3 -m graders top cpu.pb.gz
  python3 -m graders top --cum --count 10 cpu.pb.gz
  python3 -m graders top --base before.pb.gz after.pb.gz     what has become more, and what less
  python3 -m graders top --focus strlen --lines cpu.pb.gz    the lines from which strlen is called
"""
LIST = """\
list: the source of functions, with what each line cost: flat (the line itself) and cum (with all
that it called)

examples:
  python3 -m graders list cpu.pb.gz append_field
  python3 -m graders list --base before.pb.gz after.pb.gz '^main$'
"""
SYMBOLIZE = """\
symbolize: completes a crash report (pl_crash_install, PERFLAB=crash=all) or the stacks of all
threads (pl_stacks_write) with names, source lines and inlined calls, from the program's file or its
separate debug file. A file is used only if its build id is the one in the report.

examples:
  ./server 2> crash.txt; python3 -m graders symbolize crash.txt
  python3 -m graders symbolize crash.txt --debug build/debug     files made by objcopy
  journalctl -u server | python3 -m graders symbolize -
"""
TRACE = """\
trace: what the threads of a program did, and when: the report of an execution trace

  running    on a processor                      waiting    for a processor, ready to run
  blocked    in a wait that was noted: a lock, read, poll, sleep ...
  idle       asleep, and nobody noted why        unknown    the kernel's counts are missing

It begins with what stands out, in words. Regions: total counts what is inside another region of
the same name once; self is without the regions inside. Several files are put on one timeline.

examples:
  python3 -m graders trace trace.pftrace
  python3 -m graders trace --html trace.html trace.pftrace     a timeline to zoom into and search
  python3 -m graders trace --from 1.2s --to 1.5s trace.pftrace
  python3 -m graders trace --recover trace.pftrace.ring        of a program that was killed
  python3 -m graders trace -o both.pftrace client.pftrace server.pftrace
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
    grade.add_argument("--first-look", action="store_true",
                       help="say early what is known already, as watch does")
    _command(subs, "labs", "the board: every lab and how far you are", commands.labs, lab=False)
    hint = _command(subs, "hint", "one more hint each time", commands.hint)
    hint.add_argument("number", nargs="?", type=int, metavar="K", help="the K-th hint")
    _command(subs, "bench", "run the lab's benchmarks on slow.c and on yours", commands.bench,
             building=True)
    profile = _command(subs, "profile", "where slow.c spends its time: a CPU profile of the "
                       "lab's benchmarks", profile_commands.profile, building=True)
    profile.add_argument("--mine", action="store_true", help="profile student.c, not slow.c")
    watch = _command(subs, "watch", "grade again whenever you save; Ctrl-C ends",
                     watching.watch, building=True)
    _measuring(watch)
    _command(subs, "quiz", "four questions and their explained answers; not graded", quiz.quiz)
    _command(subs, "reset", "student.c and answers.ini as shipped; yours are kept", commands.reset)
    _authors(subs)
    _profiles(subs)
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
        if not getattr(options, "first_look", False):   # there the watcher ended it, not a person
            print("\ngraders: interrupted", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:             # the reader of our output has gone, as in '| head'
        sys.stderr.close()
        return COULD_NOT


def _command(subs: "argparse._SubParsersAction[_Parser]", name: str, help: str,
             run: Callable[[argparse.Namespace], int], lab: bool = True,
             building: bool = False, text: str = "") -> argparse.ArgumentParser:
    sub = subs.add_parser(name, help=help, description=text or f"{name}: {help}",
                          allow_abbrev=False, formatter_class=_formatter(text))
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


def _formatter(text: str) -> "Type[argparse.HelpFormatter]":
    """Text of our own is laid out already."""
    return argparse.RawDescriptionHelpFormatter if text else argparse.HelpFormatter


def _authors(subs: "argparse._SubParsersAction[_Parser]") -> None:
    """The commands for who writes or changes a lab."""
    checking = _command(subs, "check", "for authors: what a lab lacks, and whether it does what it "
                        "promises", check.check, lab=False)
    checking.add_argument("lab", nargs="?", default="", metavar="NN", help="one lab (default: all)")
    checking.add_argument("--all", action="store_true",
                          help="grade everything with every compiler and level")
    checking.add_argument("--tap", action="store_true", help="print a TAP report")
    tables = _command(subs, "readme", "for authors: the tables of README.md, made from lab.ini",
                      record.readmes, lab=False)
    tables.add_argument("lab", nargs="?", default="", metavar="NN", help="one lab (default: all)")
    recording = _command(subs, "record", "for authors: the figures of NOTES.md, measured here",
                         record.record, building=True)
    fresh = _command(subs, "new-lab", "for authors: the folders of a new lab", newlab.new_lab,
                     lab=False)
    fresh.add_argument("topic", metavar="TOPIC",
                       help="its name, as ring_buffers or 31_ring_buffers")
    for sub in (tables, recording):
        sub.add_argument("--check", action="store_true",
                         help="write nothing; say what differs")


def _profiles(subs: "argparse._SubParsersAction[_Parser]") -> None:
    """The commands that read profile files."""
    top = _on_files(subs, "top", "the functions of a profile that take the most",
                    profile_commands.top, TOP)
    top.add_argument("--cum", action="store_true", help="sort by cum, not by flat")
    top.add_argument("--count", type=_count, default=0, metavar="N", help="N rows at most")
    top.add_argument("--focus", default="", metavar="REGEX",
                     help="only samples with a function, file or module like REGEX in their stack")
    top.add_argument("--from", default="", metavar="REGEX", dest="from_",
                     help="stacks as seen from the first function like REGEX: its callers are left "
                          "out")
    top.add_argument("--lines", action="store_true", help="a row for each line of source")
    source = _on_files(subs, "list", "the source of a function, with what each line cost",
                       profile_commands.list_source, LIST)
    source.add_argument("function", metavar="FUNCTION",
                        help="a function's name or a part of it: a regular expression")


    _traces(subs)
    stack = _command(subs, "symbolize", "a crash report with source lines and inlined calls",
                     stacks.command, lab=False, text=SYMBOLIZE)
    stack.add_argument("report", type=Path, metavar="REPORT", help="its file; - reads the input")
    stack.add_argument("--debug", action="append", type=Path, metavar="DIR",
                       help="a folder with programs or debug files; may be given again")


def _traces(subs: "argparse._SubParsersAction[_Parser]") -> None:
    """The command that reads traces."""
    sub = subs.add_parser("trace", help="an execution trace: what the threads did and waited for",
                          description=TRACE, allow_abbrev=False,
                          formatter_class=argparse.RawDescriptionHelpFormatter)
    sub.set_defaults(run=trace_commands.trace)
    sub.add_argument("files", nargs="+", type=Path, metavar="FILE", help="a trace file")
    sub.add_argument("--recover", action="store_true",
                     help="FILE is the FILE.ring of a killed or running program: write the trace")
    sub.add_argument("-o", "--output", type=Path, metavar="OUT",
                     help="write the trace (recovered, or all files merged) to OUT")
    sub.add_argument("--html", type=Path, metavar="OUT", help="write a page with the timeline")
    sub.add_argument("--chrome", type=Path, metavar="OUT", help="write Chrome's JSON")
    sub.add_argument("--json", action="store_true", help="print the report as JSON")
    for table, words in (("threads", "the threads' times"), ("regions", "the regions"),
                         ("tasks", "the tasks, and where the longest spent their time"),
                         ("waits", "the waits by place")):
        sub.add_argument(f"--{table}", action="store_true", help=f"show {words} only")
    sub.add_argument("--top", type=_count, default=trace_views.ROWS, metavar="N",
                     help=f"N rows of each table at most (default: {trace_views.ROWS})")
    sub.add_argument("--longest", type=_count, default=trace_views.TASKS, metavar="N",
                     help=f"tell of the N longest tasks (default: {trace_views.TASKS})")
    for name, words in (("from", "leave out what was before"), ("to", "and what came after")):
        sub.add_argument(f"--{name}", type=trace_commands.moment, metavar="TIME", dest=f"{name}_",
                         help=f"{words}: 1.5s or 200ms since the start")


def _on_files(subs: "argparse._SubParsersAction[_Parser]", name: str, help: str,
              run: Callable[[argparse.Namespace], int], text: str) -> argparse.ArgumentParser:
    sub = subs.add_parser(name, help=help, description=text, allow_abbrev=False,
                          formatter_class=argparse.RawDescriptionHelpFormatter)
    sub.set_defaults(run=run)
    sub.add_argument("files", nargs="+", type=Path, metavar="FILE",
                     help="a profile in pprof's format; several are added up")
    sub.add_argument("--base", action="append", type=Path, metavar="FILE",
                     help="subtract this profile; may be given again")
    sub.add_argument("--sample", default="", metavar="NAME",
                     help="the values to show, for example samples or inuse_space")
    sub.add_argument("--as-recorded", action="store_true",
                     help="only the names that the program recorded: ask no addr2line")
    return sub


def _count(text: str) -> int:
    if not text.isdigit() or int(text) > 10 ** 9:
        raise argparse.ArgumentTypeError(f"'{text}' is not a number of rows")
    return int(text)


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
