"""Runs one side of a lab in a process of its own, and measures it from outside.

A Judge makes inputs and expected outputs. A Worker is one fresh process of slow or student; the
protocol is worker.c's, and docs/internals.md describes it. The grader believes nothing that
a worker says about itself: it reads the worker's CPU clock, compares every output byte by byte
with the judge's, and ends every process that it started.

The order of reading is part of the defence. The reply "R" could be forged by a thread that goes on
computing, so the output is copied first and the clock read after that: whatever work made the
output is on the clock, and work that comes later is in no output.
"""
from __future__ import annotations

import fcntl
import mmap
import os
import select
import signal
import struct
import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Dict, FrozenSet, List, NoReturn, Optional, Tuple, Type

from .model import GraderError, SubmissionError
from .plain import printable, short

COMMANDS, REPLIES, SHARED = 3, 4, 5         # descriptors in the worker
HEADER_SIZE = 4096
HEADER = struct.Struct("<8s4Q6q24s4Qd")     # struct shared in worker.c
MAGIC = b"PLWORK1\0"
EXIT_DENIED, EXIT_SETUP = 120, 121          # in worker.c
CPUCLOCK_SCHED = 2
PAGE = 4096
SMALLEST_LIMIT, LARGEST_LIMIT = 2.0, 60.0   # seconds for one operation
TIMES_SLOW = 20                             # and never less than slow's own time by this factor
PATIENCE, HELD_UP = 10, 0.5                 # so many times as long, for one that got less CPU
START_SECONDS = 20.0
JUDGE_SECONDS = 60.0
SPARE_MEMORY = 1 << 30                      # beyond input and output
PRINTED_BYTES = 1 << 16                     # what is kept of a worker's stdout and stderr
SETTLE_LOOKS, SETTLE_SECONDS = 40, 0.005    # how long threads may take to be gone, or asleep
FILE_BYTES = 32 << 20                       # of any other file that a worker writes: a memfd
PROTOCOL_CALLS = 2                          # the read of a command, and the write of the reply

HINTS: Dict[int, str] = {
    signal.SIGSEGV: "it used memory that is not its own",
    signal.SIGBUS: "it used memory that is not there",
    signal.SIGABRT: "it called abort; a failed assert and damaged malloc memory do that too",
    signal.SIGFPE: "it divided by zero",
    signal.SIGILL: "it ran into an impossible instruction; a missing return can do that",
    signal.SIGTRAP: "it ran into an impossible instruction; a missing return can do that",
}
OUT_OF_MEMORY = "out of memory"
DENIED = {
    "tried to start a new process (fork)": ("clone", "fork", "vfork"),
    "tried to start another program (exec)": ("execve", "execveat"),
    "tried to use the network": ("socket", "socketpair", "connect", "bind", "listen", "accept",
                                 "accept4", "sendto", "sendmsg", "sendmmsg"),
    "tried to reach another process": (
        "kill", "tkill", "tgkill", "ptrace", "process_vm_readv", "process_vm_writev", "kcmp",
        "prlimit64", "rt_sigqueueinfo", "rt_tgsigqueueinfo", "pidfd_send_signal", "pidfd_open",
        "pidfd_getfd", "process_madvise", "setpriority"),
    "tried to use shared memory, semaphores or messages": (
        "shmget", "shmat", "semget", "semop", "msgget", "msgsnd", "msgrcv", "mq_open"),
}
DENIED_WORDS = {name: words for words, names in DENIED.items() for name in names}


@dataclass(frozen=True)
class Case:
    """One input and the right output."""
    seed: int
    n: int
    input: bytes
    expected: bytes


@dataclass(frozen=True)
class Run:
    """One measured operation with the right output."""
    cpu_ns: int
    wall_ns: int


@dataclass(frozen=True)
class Memory:
    """What one operation did to the heap, as perflab's hooks counted it."""
    mallocs: int
    frees: int
    total_bytes: int
    live_bytes: int
    peak_bytes: int


class Untold(Exception):
    """The kernel of this machine does not tell what was to be measured."""


@dataclass(frozen=True)
class Outside:
    """What one operation did, as the kernel counted it."""
    resident_bytes: int     # the most that was resident, beyond the empty process and the input
    system_calls: int       # reads and writes of all kinds
    descriptors: int        # that are open now and were not before
    threads: int            # that live now and did not before


@dataclass(frozen=True)
class Look:
    """One look at a worker that waits for a command, from outside."""
    resident: int
    most_resident: int
    calls: int
    descriptors: FrozenSet[str]     # number and what it leads to
    threads: FrozenSet[str]


@dataclass(frozen=True)
class Place:
    """Where and under which limits a worker runs."""
    cpus: Tuple[int, ...]
    padding: int            # bytes of environment: they move the stack
    seconds: float          # the longest that one operation may take


def time_limit(slow_wall_ns: int) -> float:
    """How long an operation may take, when slow.c took ``slow_wall_ns`` for it."""
    return min(LARGEST_LIMIT, max(SMALLEST_LIMIT, TIMES_SLOW * slow_wall_ns / 1e9))


class Judge:
    """The process that knows the answers. It never runs a student's code."""

    def __init__(self, program: Path) -> None:
        try:
            self._process = subprocess.Popen(
                [str(program)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL, env={}, bufsize=0, start_new_session=True)
        except OSError as error:
            raise _unstartable(program, error) from None

    def make(self, seed: int, n: int) -> Case:
        """The case of that seed and size, the same each time."""
        assert self._process.stdin
        try:
            self._process.stdin.write(f"make {seed} {n}\n".encode())
        except OSError:
            self._dead(n)
        first, second = struct.unpack("<QQ", self._read(16, n))
        if first == 2 ** 64 - 1:
            words = self._read(second, n).decode("utf-8", "replace")
            raise GraderError(f"workload.c made no case of size {n}: {short(words, 80)}; "
                              "workload_make and workload_expect return 0 on success")
        return Case(seed, n, self._read(first, n), self._read(second, n))

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()

    def __enter__(self) -> Judge:
        return self

    def __exit__(self, kind: Optional[Type[BaseException]], error: Optional[BaseException],
                 where: Optional[TracebackType]) -> None:
        self.close()

    def _read(self, size: int, n: int) -> bytes:
        assert self._process.stdout
        found = bytearray()
        deadline = time.monotonic() + JUDGE_SECONDS
        while len(found) < size:
            left = deadline - time.monotonic()
            ready = left > 0 and select.select([self._process.stdout], [], [], left)[0]
            part = os.read(self._process.stdout.fileno(), min(size - len(found), 1 << 20)) \
                if ready else b""
            if not part:
                self._dead(n)
            found += part
        return bytes(found)

    def _dead(self, n: int) -> NoReturn:
        try:                # a process closes its pipes a moment before it can be waited for
            status = self._process.wait(1.0)
            how = (f"crashed with {signal.Signals(-status).name}" if status < 0
                   else f"ended with status {status}")
        except subprocess.TimeoutExpired:
            how = "does not answer"
        raise GraderError(f"the lab's judge {how} (size {n}); workload_make or workload_expect in "
                          "workload.c is at fault: run its code under gdb or valgrind")


class Worker:
    """One fresh process of one side. Use it as a context manager: its end is certain."""

    def __init__(self, program: Path, case: Case, place: Place) -> None:
        self._place = place
        self._status: Optional[int] = None
        self._capacity = 2 * len(case.expected) + (1 << 16)
        self._input_area = _pages(len(case.input)) + PAGE   # room for larger cases: see load()
        self._size = HEADER_SIZE + self._input_area + _pages(self._capacity)
        self._descriptors: List[int] = []
        self._memory = self._share()
        try:
            self._printed = self._own(os.memfd_create("printed", os.MFD_ALLOW_SEALING))
            os.ftruncate(self._printed, PRINTED_BYTES)
            _seal(self._printed, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW)
            self._pid = self._spawn(program)
        except BaseException:
            self._close_descriptors()
            raise

    def __enter__(self) -> Worker:
        try:
            self._expect("h", START_SECONDS, "start")
        except SubmissionError as error:    # before any of the student's code has run
            self.close()
            raise GraderError(f"a worker cannot start on this machine ({error}); "
                              "raise the limits of this shell (ulimit -a)") from None
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, kind: Optional[Type[BaseException]], error: Optional[BaseException],
                 where: Optional[TracebackType]) -> None:
        self.close()

    @property
    def layers(self) -> int:
        """The bits of the sandbox layers that are in force."""
        return int(self._header()[-2])

    def load(self, case: Case) -> None:
        """Hands the input over."""
        if len(case.input) > self._input_area or 2 * len(case.expected) > self._capacity:
            raise ValueError("the first case of a worker has to be the largest")
        self._memory[HEADER_SIZE:HEADER_SIZE + len(case.input)] = case.input
        self._memory[8:16] = struct.pack("<Q", len(case.input))
        if self._command("l", "L!", "load its input") == "!":
            raise SubmissionError("memory", "there was no memory left to load the input")

    def run(self, case: Case) -> Run:
        """One operation, timed from outside. Its output is compared before the time counts."""
        clock = (~self._pid << 3) | CPUCLOCK_SCHED
        cpu = time.clock_gettime_ns(clock)
        wall = time.monotonic_ns()
        reply = self._command("r", "R!", "finish")
        wall = time.monotonic_ns() - wall
        size = int(self._header()[2])
        start = HEADER_SIZE + self._input_area
        got = self._memory[start:start + min(size, self._capacity)]
        cpu = time.clock_gettime_ns(clock) - cpu
        if size > self._capacity:
            raise SubmissionError(
                "output-too-large", f"the output has {size:,} bytes, {len(case.expected):,} are "
                f"right (input of size {case.n}, seed {case.seed})")
        if reply == "!":
            raise SubmissionError("wrong-output", "your function returned no result (NULL?) for "
                                  f"an input of size {case.n} (seed {case.seed})")
        compare(case, got)
        return Run(cpu, wall)

    def memory(self) -> Memory:
        """The heap statistics of the last operation; in a stats build only."""
        if self._command("m", "M!", "count memory") == "!":
            raise GraderError("this worker was built without statistics")
        return Memory(*self._header()[5:10])

    def count(self, name: str) -> float:
        """What workload.c has counted under this name during the last operation."""
        words = name.encode() + b"\0"
        self._memory[HEADER_SIZE:HEADER_SIZE + len(words)] = words
        if self._command("c", "C!", "count") == "!":
            raise GraderError(f"workload.c counts nothing called '{name}'; workload_count has to "
                              "return 0 and a value for it")
        return float(self._header()[-1])

    def look(self) -> Look:
        """The kernel's figures now, while the worker waits for a command."""
        self._asleep()
        process = Path(f"/proc/{self._pid}")
        try:
            status, io = (_numbers(process / name) for name in ("status", "io"))
            return Look(status["VmRSS"] << 10, status["VmHWM"] << 10, io["syscr"] + io["syscw"],
                        _descriptors(process / "fd"), frozenset(os.listdir(process / "task")))
        except (OSError, KeyError) as error:
            raise Untold(f"this machine does not tell ({error}); a container without restrictions "
                         "on /proc does") from None

    def look_settled(self, before: Look) -> Look:
        """The same once threads have ended that were joined or cancelled a moment ago."""
        found = self.look()
        for _ in range(SETTLE_LOOKS):
            if found.threads <= before.threads:
                break
            time.sleep(SETTLE_SECONDS)
            found = self.look()
        return found

    def _asleep(self) -> None:
        """Waits until the worker sleeps in its next read: before that, the kernel may not have
        counted yet the write of the reply that has just come."""
        for _ in range(SETTLE_LOOKS):
            if _state(Path(f"/proc/{self._pid}")) == "S":
                break
            time.sleep(SETTLE_SECONDS / 10)

    def ticks(self) -> Tuple[int, int]:
        """Ticks of the kernel's clock in the program and in the kernel."""
        fields = _stat(Path(f"/proc/{self._pid}"))
        return int(fields[11]), int(fields[12])

    def unload(self) -> None:
        self._command("u", "U", "free its result")

    def printed(self) -> bytes:
        """The beginning of what was written to stdout and stderr. Only people read it."""
        written = os.lseek(self._printed, 0, os.SEEK_CUR)   # the worker's own position, too
        return os.pread(self._printed, min(written, PRINTED_BYTES), 0)

    def close(self) -> None:
        """Ends the process and all that it may have started."""
        if self._status is None:
            try:
                os.killpg(self._pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            self._wait()
        self._close_descriptors()

    def _share(self) -> mmap.mmap:
        """Memory that the worker cannot shrink: the grader would die reading it."""
        shared = self._own(os.memfd_create("worker", os.MFD_ALLOW_SEALING))
        os.ftruncate(shared, self._size)
        _seal(shared, fcntl.F_SEAL_SHRINK)
        memory = mmap.mmap(shared, self._size)
        memory[:40] = struct.pack("<8s4Q", MAGIC, 0, 0, self._capacity, self._input_area)
        self._shared = shared
        return memory

    def _spawn(self, program: Path) -> int:
        commands, self._to = self._pipe()
        self._from, replies = self._pipe()
        nothing = self._own(os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC))
        places = ((nothing, 0), (self._printed, 1), (self._printed, 2), (commands, COMMANDS),
                  (replies, REPLIES), (self._shared, SHARED))
        arguments = [program.name, str(SPARE_MEMORY + 16 * self._size),
                     str(int(self._place.seconds * len(self._place.cpus)) + 2),
                     str(FILE_BYTES + 2 * self._size),
                     *map(str, self._place.cpus)]
        try:
            pid = os.posix_spawn(
                program, arguments, {"PAD": "x" * self._place.padding},
                file_actions=[(os.POSIX_SPAWN_DUP2, source, to) for source, to in places],
                setpgroup=0, setsigmask=[], setsigdef=[signal.SIGPIPE, signal.SIGINT])
        except OSError as error:
            raise _unstartable(program, error) from None
        self._close(commands)
        self._close(replies)
        return pid

    def _pipe(self) -> Tuple[int, int]:
        first, second = os.pipe()
        return self._own(first), self._own(second)

    def _own(self, descriptor: int) -> int:
        """Moves a descriptor out of the way of the worker's fixed ones, and remembers it."""
        high = fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, 10)
        os.close(descriptor)
        self._descriptors.append(high)
        return high

    def _close(self, descriptor: int) -> None:
        self._descriptors.remove(descriptor)
        os.close(descriptor)

    def _close_descriptors(self) -> None:
        self._memory.close()            # it holds a descriptor of its own
        for descriptor in list(self._descriptors):
            self._close(descriptor)

    def _command(self, letter: str, replies: str, doing: str) -> str:
        try:
            os.write(self._to, letter.encode())
        except BrokenPipeError:
            self._died()
        return self._expect(replies, self._place.seconds, doing)

    def _expect(self, letters: str, seconds: float, doing: str) -> str:
        """Waits for one of the letters; an end, a timeout or another letter is an error."""
        poll = select.poll()
        poll.register(self._from, select.POLLIN)
        patience = PATIENCE
        while not poll.poll(1000 * seconds):
            if doing == "start":
                raise GraderError(f"a worker did not start within {seconds:.0f} s; "
                                  "the machine is too busy to grade, try again later")
            patience -= 1
            if not patience or not self._is_held_up(seconds):
                raise self._too_long(seconds, doing)
        reply = os.read(self._from, 1).decode("latin-1")
        if not reply:
            self._died()
        if reply not in letters:
            raise SubmissionError(
                "protocol", f"something wrote '{printable(reply)}' into the grader's pipe; "
                "leave descriptors that your code did not open alone")
        return reply

    def _is_held_up(self, seconds: float) -> bool:
        """Whether it wants to compute, and a busy machine has hardly let it."""
        clock = (~self._pid << 3) | CPUCLOCK_SCHED
        if time.clock_gettime_ns(clock) > HELD_UP * 1e9 * seconds:
            return False
        return any(_state(task) == "R" for task in Path(f"/proc/{self._pid}/task").iterdir())

    def _too_long(self, seconds: float, doing: str) -> SubmissionError:
        """Endless computing, or endless allocating that a slow machine did not bring to its end."""
        taken = _resident_bytes(self._pid)
        if taken > SPARE_MEMORY // 4 + self._size:
            return SubmissionError(
                "memory", f"your code had taken {taken >> 20:,} MiB of memory after {seconds:.0f} s"
                " and wanted more; it was stopped")
        return SubmissionError("hang", f"your code did not {doing} within {seconds:.0f} s "
                               "(slow.c is far from needing that long); it was stopped")

    def _wait(self) -> int:
        if self._status is None:
            _, self._status = os.waitpid(self._pid, 0)
        return self._status

    def _died(self) -> NoReturn:
        """The process ended by itself: says how, in words that help."""
        status = self._status_soon()
        output = self.printed().decode("utf-8", "replace").strip()
        tail = printable("\n".join(output.splitlines()[-6:]))
        detail = f"The last lines it printed:\n{tail}" if tail else ""
        denied = self._denied()
        if os.WIFSIGNALED(status):
            hint = self._hint(os.WTERMSIG(status))
            raise _signalled(os.WTERMSIG(status), denied, hint, self._place.seconds, detail)
        code = os.WEXITSTATUS(status)
        if code == EXIT_SETUP:
            raise GraderError(f"a worker cannot work on this machine: {short(output, 100)}")
        if code == EXIT_DENIED and denied:
            raise _forbidden(denied)
        raise SubmissionError(
            "early-exit", f"your code ended the program (exit status {code}) in the middle of the "
            "operation; return from the function instead", detail)

    def _status_soon(self) -> int:
        """Waits for a process whose pipe is closed; one that lives on closed it itself."""
        for _ in range(200):
            pid, status = os.waitpid(self._pid, os.WNOHANG)
            if pid:
                self._status = status
                return status
            time.sleep(0.005)
        raise SubmissionError("protocol", "your code closed the grader's pipe; leave descriptors "
                              "that it did not open alone")

    def _denied(self) -> str:
        """The name of the system call that the filter refused last, or ""."""
        fields = self._header()
        name = bytes(fields[11]).partition(b"\0")[0].decode("ascii", "replace")
        return (name or str(fields[10])) if fields[10] else ""

    def _hint(self, number: int) -> str:
        """What a crash means, as far as the worker could note it."""
        _, fault, exhausted, overflow, _ = self._header()[-6:-1]
        if exhausted:
            return OUT_OF_MEMORY
        if overflow:
            return "the stack is full; look for a recursion without an end, or a huge local array"
        if number == signal.SIGSEGV and fault < PAGE:
            return "it used a NULL pointer"
        return HINTS.get(number, "")

    def _header(self) -> Tuple[Any, ...]:
        return HEADER.unpack_from(self._memory)


def compare(case: Case, got: bytes) -> None:
    """Nothing, or the first difference in a form that can be read."""
    expected = case.expected
    if got == expected:
        return
    at = next((index for index, (right, wrong) in enumerate(zip(expected, got)) if right != wrong),
              min(len(expected), len(got)))
    if at == len(got):
        what = f"it ends after {at:,} of {len(expected):,} bytes"
    elif at == len(expected):
        more = len(got) - at
        what = f"it has {more:,} byte{'s' * (more > 1)} too many after the right {at:,}"
    else:
        what = f"byte {at:,} of {len(expected):,} is the first that differs"
    raise SubmissionError(
        "wrong-output", f"the output is wrong for an input of size {case.n} (seed {case.seed}): "
        f"{what}", f"expected  {_excerpt(expected, at)}\ngot       {_excerpt(got, at)}")


def _excerpt(data: bytes, at: int) -> str:
    """Some bytes before and after a place, which is marked with >, escaped as in C."""
    first = max(0, at - 20)
    before = ("..." if first else "") + _escape(data[first:at])
    after = _escape(data[at:at + 24]) + ("..." if len(data) > at + 24 else "")
    return f"{before} >{after or ' (end)'}"


def _escape(data: bytes) -> str:
    named: Dict[int, str] = {10: "\\n", 9: "\\t", 13: "\\r", 0: "\\0", 92: "\\\\"}
    return "".join(named.get(byte) or (chr(byte) if 32 <= byte < 127 else f"\\x{byte:02x}")
                   for byte in data)


def _signalled(number: int, denied: str, hint: str, seconds: float,
               detail: str) -> SubmissionError:
    name = signal.Signals(number).name if number in set(signal.Signals) else f"signal {number}"
    if number in (signal.SIGXCPU, signal.SIGKILL):
        return SubmissionError("hang", f"your code used more than {seconds:.0f} s of processor "
                               "time for one operation; it was stopped")
    if number == signal.SIGSYS:
        return _forbidden(denied or "unknown")
    if hint == OUT_OF_MEMORY:
        return SubmissionError("memory", f"your code used up its memory ({SPARE_MEMORY >> 20:,} "
                               f"MiB) and crashed with {name}", detail)
    if denied:
        hint += f"; before that it {_denied_words(denied)}, which is refused here"
    words = f": {hint}" if hint else ""
    return SubmissionError("crash", f"your code crashed with {name}{words}", detail)


def _unstartable(program: Path, error: OSError) -> GraderError:
    return GraderError(f"{program}: cannot be started: {error.strerror}; try 'make clean', "
                       "or a compiler that builds for this machine (--cc, make: CC=)")


def _forbidden(name: str) -> SubmissionError:
    return SubmissionError("forbidden", f"your code {_denied_words(name)}, which no lab needs "
                           "and the grader refuses; do the work in your own function")


def _denied_words(name: str) -> str:
    if name in DENIED_WORDS:
        return DENIED_WORDS[name]
    if name == "unknown":       # system() and popen() block the signal that would tell the name
        return "tried to start another program (system or popen), or something like it"
    if name.startswith(("open", "creat")):
        return "tried to open a file"
    return f"used the system call {short(name)}"


def _seal(descriptor: int, seals: int) -> None:
    """Fixes the size of a file in memory for good."""
    fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SEAL | seals)


def _numbers(path: Path) -> Dict[str, int]:
    """Lines like "VmRSS:  1234 kB", those with a number."""
    found: Dict[str, int] = {}
    for line in path.read_text(encoding="ascii", errors="replace").splitlines():
        name, _, rest = line.partition(":")
        words = rest.split()
        if words and words[0].isdigit():
            found[name] = int(words[0])
    return found


def _stat(task: Path) -> List[str]:
    """The fields of a process's or thread's stat after the name, which may hold blanks."""
    text = (task / "stat").read_text(encoding="utf-8", errors="replace")
    return text.rpartition(")")[2].split()


def _state(task: Path) -> str:
    """R: computes or wants to, S: sleeps; "" when it is gone."""
    try:
        return _stat(task)[0]
    except OSError:
        return ""


def _descriptors(folder: Path) -> FrozenSet[str]:
    """Each with its target: one that was closed makes no room for one that was left open."""
    found = set()
    for name in os.listdir(folder):
        with suppress(FileNotFoundError):       # closed by a thread in this moment
            found.add(f"{name} {os.readlink(folder / name)}")
    return frozenset(found)


def _resident_bytes(pid: int) -> int:
    try:
        return PAGE * int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
    except (OSError, ValueError, IndexError):
        return 0


def _pages(size: int) -> int:
    return -(-size // PAGE) * PAGE
