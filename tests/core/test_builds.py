"""Ways of building: whatever the flags, blocks are counted exactly and only our names are seen."""
from __future__ import annotations

import re
from typing import List, Set

import pytest

from builds import ROOT, Builds, run

HOOKS = set("""malloc calloc realloc reallocarray free posix_memalign aligned_alloc memalign valloc
pvalloc free_sized free_aligned_sized
open open64 __open_2 __open64_2 openat openat64 creat fopen fopen64 dup dup2 dup3 socket socketpair
accept accept4 pipe pipe2 eventfd epoll_create epoll_create1 timerfd_create memfd_create
inotify_init1
pthread_create pthread_sigmask sigprocmask sigaction signal __sysv_signal dlclose _exit _Exit
execve execv execvp execl execlp execle
pthread_mutex_lock pthread_mutex_timedlock pthread_mutex_clocklock pthread_mutex_unlock
pthread_rwlock_rdlock pthread_rwlock_timedrdlock pthread_rwlock_wrlock pthread_rwlock_timedwrlock
pthread_rwlock_unlock pthread_cond_wait pthread_cond_timedwait pthread_cond_clockwait
pthread_barrier_wait pthread_join sem_wait sem_timedwait
read readv pread pread64 write writev pwrite pwrite64 poll ppoll select pselect epoll_wait
epoll_pwait connect send sendto sendmsg recv recvfrom recvmsg nanosleep clock_nanosleep usleep sleep
wait waitpid wait4 __read_chk __pread_chk __pread64_chk __recv_chk __recvfrom_chk __poll_chk
__ppoll_chk""".split())


@pytest.mark.parametrize("compiler", ["gcc", "clang"])
@pytest.mark.parametrize("flag", ["-O0", "-O3", "-Os", "-fno-plt", "-fsanitize=undefined",
                                  "-fvisibility=hidden", "-fomit-frame-pointer"])
def test_flags(builds: Builds, compiler: str, flag: str) -> None:
    """The flags of a project do not change what is counted."""
    program = builds.program(f"ledger-{compiler}{flag}", compiler, "ledger.c",
                             builds.object(compiler, flag), flag)
    assert run([program]) == "exact\n"


def test_link_time_optimisation(builds: Builds) -> None:
    """The hooks survive a linker that sees through both sides."""
    program = builds.program("ledger-lto", "gcc", "ledger.c", builds.object("gcc", "-flto"),
                             "-O2", "-flto")
    assert run([program]) == "exact\n"


@pytest.mark.parametrize("way", ["linked", "preloaded"])
def test_stubs_of_malloc(builds: Builds, way: str) -> None:
    """A program whose own stubs are everybody's malloc is counted like any other."""
    program = builds.program("stub", "gcc", "stub.c", "-no-pie", "-fno-pic", builds.library(),
                             builds.search_path())
    assert run([program], preload=builds.library() if way == "preloaded" else "") == "exact\n"


def test_aarch64_static(builds: Builds) -> None:
    """A static program of the other processor steps aside and says so."""
    compiler = "aarch64-linux-gnu-gcc"
    program = builds.program("ledger-arm-static", compiler, "ledger.c", builds.object(compiler),
                             "-static")
    said = run(["qemu-aarch64-static", program])
    assert said.startswith("silent\n") and "# counted: nothing: another malloc" in said


def operators() -> Set[str]:
    """The linker names of C++'s operator new and delete, as the ABI spells them."""
    new = [f"_Zn{kind}m{aligned}{nothrow}" for kind in "wa" for aligned in ("", "St11align_val_t")
           for nothrow in ("", "RKSt9nothrow_t")]
    delete = [f"_Zd{kind}Pv{rest}{aligned}" for kind in "la" for rest in ("", "m")
              for aligned in ("", "St11align_val_t")]
    quiet = [f"_Zd{kind}Pv{aligned}RKSt9nothrow_t" for kind in "la"
             for aligned in ("", "St11align_val_t")]
    return {*new, *delete, *quiet}


def exported(path: str, *flags: str) -> List[str]:
    """The names that others can link with."""
    return [line.split()[-1] for line in run(["nm", "-g", "--defined-only", *flags, path])
            .splitlines() if line]


@pytest.mark.parametrize("way", ["object", "library"])
def test_names(builds: Builds, way: str) -> None:
    """Nothing is exported but the API, what its macros need, and the documented hooks."""
    names = exported(builds.object("gcc")) if way == "object" else exported(builds.library(), "-D")
    api = (ROOT / "perflab.h").read_text().split("#ifdef PERFLAB_IMPL\n")[0]
    declared = set(re.findall(r"\b(pli?_\w+)\(", api))
    declared |= set(re.findall(r"^extern \w+ (pl_\w+);", api, re.MULTILINE))
    hooks = {name for name in names if not name.startswith(("pl_", "pli_"))}
    assert len(operators()) == 20 and hooks == HOOKS | operators()
    assert set(names) - hooks <= declared
    assert {name for name in declared if f"{name}(" in api and name in names} >= {
        "pl_memstats_read", "pl_ticks", "pl_version"}


def test_names_without_hooks(builds: Builds) -> None:
    """The switch takes all of them out."""
    names = exported(builds.object("gcc", "-DPERFLAB_NO_INTERPOSE"))
    assert {name for name in names if not name.startswith(("pl_", "pli_"))} == set()
