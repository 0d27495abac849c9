"""However a program ends, its profile is written, and whoever waits sees the end he would have
seen."""
from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path
from typing import List

import pytest

from preloaded import Preload, run

SPIN = "import os, signal, sys, threading, time\nsum(i * i for i in range(2000000))\n"
ENDS = {
    "returns": "",
    "exit": "sys.exit(3)",
    "_exit": "os._exit(4)",
    "SIGTERM": "os.kill(os.getpid(), signal.SIGTERM)",
    "SIGHUP": "os.kill(os.getpid(), signal.SIGHUP)",
    "KeyboardInterrupt": "os.kill(os.getpid(), signal.SIGINT); time.sleep(9)",
    "default again": "signal.signal(15, lambda *_: 0); signal.signal(15, signal.SIG_DFL); "
                     "os.kill(os.getpid(), 15)",
    "own handler": "signal.signal(15, lambda *_: print('own')); os.kill(os.getpid(), 15); "
                   "time.sleep(0)",
    "what is installed": "print(*(signal.getsignal(n) for n in (1, 15, 27)))",
    "thread": "threading.Thread(target=lambda: os.kill(os.getpid(), 15)).start(); time.sleep(9)",
    "forked": "sys.exit(os.waitstatus_to_exitcode(os.wait()[1])) if os.fork() else os._exit(6)",
}


@pytest.mark.parametrize("way", sorted(ENDS))
def test_ends(preload: Preload, way: str) -> None:
    """Status, output and errors as without perflab, and a profile that can be read."""
    command = [sys.executable, "-c", SPIN + ENDS[way]]
    without = run(command, preload.folder)
    sampled = preload.run(command)
    assert (sampled.status, sampled.output, sampled.errors) == (
        without.status, without.output, without.errors)
    assert preload.files()[0].name == "cpu.pb.gz" and preload.seconds() > 0.05


def test_ignored_signals_stay_ignored(preload: Preload) -> None:
    """What nohup does."""
    command = ["bash", "-c", "trap '' HUP; exec \"$0\" -c \"$1\"", sys.executable,
               SPIN + "os.kill(os.getpid(), signal.SIGHUP); sys.exit(9)"]
    assert preload.run(command).status == 9


HOLD = r"""
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/time.h>
#include <time.h>
static volatile int own;
static void count(int number) { (void)number; own++; }
int main(void)
{
    struct itimerval each = {{0, 10000}, {0, 10000}};
    if (signal(SIGPROF, count) != SIG_DFL) return 1;
    if (setitimer(ITIMER_PROF, &each, NULL) != 0) return 2;
    while (clock() < 600000) continue;
    return own < 30 || own > 70 ? 3 : signal(SIGPROF, SIG_DFL) == count ? 0 : 4;
}
"""


def test_a_profiler_of_its_own(preload: Preload) -> None:
    """A program that counts SIGPROFs of its own timer counts those, and only those."""
    source, program = preload.folder / "hold.c", preload.folder / "hold"
    source.write_text(HOLD)
    subprocess.run(["gcc", "-O1", str(source), "-o", str(program)], check=True)
    assert preload.run([str(program)]).status == 0
    assert 0.4 < preload.seconds() < 1.0


ALLOCATE = r"""
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
static int left;
static void *allocate(void *unused)
{
    void *block[64] = {0};
    for (unsigned i = 0, x = 1; !left || i < (unsigned)left; i++) {
        x = x * 1103515245 + 12345;
        free(block[x >> 16 & 63]);
        if ((block[x >> 16 & 63] = malloc(x >> 8 & 4095)) != NULL)
            memset(block[x >> 16 & 63], 1, x >> 8 & 4095);
    }
    return unused;
}
int main(int argc, char **argv)
{
    pthread_t thread[3];
    left = argc > 2 ? atoi(argv[2]) : 0;
    puts("ready");
    fflush(stdout);
    for (int i = 0; i < 3; i++)
        pthread_create(&thread[i], NULL, allocate, NULL);
    allocate(NULL);
    if (argc > 1 && strcmp(argv[1], "_exit") == 0)
        _exit(21);
    exit(22);
}
"""


@pytest.fixture(scope="module", name="allocator")
def fixture_allocator(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four threads that do nothing but malloc and free."""
    folder = tmp_path_factory.mktemp("allocator")
    (folder / "allocate.c").write_text(ALLOCATE)
    subprocess.run(["gcc", "-O1", str(folder / "allocate.c"), "-o", str(folder / "allocate"),
                    "-pthread"], check=True)
    return folder / "allocate"


def ended(preload: Preload, command: List[str], number: int, after: float) -> int:
    """Sends a signal so many seconds after the program is ready; its status."""
    wish = preload.settings(f"cpu={preload.profiles}/cpu.pb.gz,hz=10000")
    with subprocess.Popen(command, env=wish, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        try:
            process.wait(after)
        except subprocess.TimeoutExpired:
            process.send_signal(number)
        return process.wait(60)


def check_profile(preload: Preload) -> None:
    """One file, complete, and nothing beside it."""
    files = preload.files()
    assert [path.name for path in files] == ["cpu.pb.gz"]
    assert preload.seconds() >= 0
    files[0].unlink()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_signals_within_malloc(preload: Preload, allocator: Path, number: int) -> None:
    """At any moment of a program that allocates all the time."""
    for i in range(40):
        assert ended(preload, [str(allocator)], number, 0.002 * (i % 20)) == -number
        check_profile(preload)


@pytest.mark.parametrize("way, status", [("_exit", 21), ("exit", 22)])
def test_ends_amid_malloc(preload: Preload, allocator: Path, way: str, status: int) -> None:
    """One thread ends the program while the others allocate."""
    for i in range(40):
        assert ended(preload, [str(allocator), way, str(1000 * i + 1)], 0, 60) == status
        check_profile(preload)


def test_signal_while_the_file_is_written(preload: Preload, allocator: Path) -> None:
    """A signal that comes at the exit, maybe while the profile is written: it is complete all the
    same, and the status is one of the two."""
    seen = set()
    for i in range(80):
        status = ended(preload, [str(allocator), "exit", "20000"], signal.SIGTERM, 0.0005 * i)
        seen.add(status)
        check_profile(preload)
    assert seen <= {22, -signal.SIGTERM}
