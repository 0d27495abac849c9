"""Builds everything that one grading runs, from the lab's own files and the student's one file.

Nothing that a student can change takes part but a copy of that file: no Makefile, no header, no
environment variable. slow.c and student.c get the same flags, become one object each, and each
object is linked three times at different places in memory. What was built is kept under a name
made from a hash of everything that went into it, so a second grading builds nothing.

    build/labs/perflab-HASH/        perflab.h's implementation, without and with its hooks
    build/labs/03/trusted-HASH/     judge, null, slow-0..2, slow-stats; no student code
    build/labs/03/student-HASH/     student-0..2, student-stats
"""
from __future__ import annotations

import hashlib
import os
import re
import shutil
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, Dict, FrozenSet, Iterable, List, Sequence, Tuple

from . import compiler, vet
from .compiler import Compiler, Finished
from .model import GraderError, Lab, SubmissionError
from .plain import short

SOURCES = Path(__file__).resolve().parent
HEADER = SOURCES.parent / "perflab.h"
KEEP = 8                            # this many builds of each kind stay in the cache
MAX_SOURCE = 1 << 20
LINK = ("-pthread", "-lm", "-Wl,-z,relro,-z,now", "-Wl,-z,noexecstack")
C_LEVEL = "-std=gnu11"
TRUSTED_SOURCES = ("worker.c", "judge.c", "buffer.c", "null.c", "pad.c")

# Bytes before the code and before the data, and the order of the objects. {side} is slow.o or
# student.o. Odd multiples of a cache line move the code to other sets, the others to other pages.
PADS = {"pad-1": (1472, 272), "pad-2": (7232, 5136)}
LAYOUTS = (
    ("worker", "workload-run", "perflab", "{side}"),
    ("pad-1", "{side}", "worker", "perflab", "workload-run"),
    ("worker", "pad-2", "workload-run", "{side}", "perflab"),
)
STATS = ("worker-stats", "workload-run", "perflab-stats", "{side}")
# What a worker does without, of workload.c: the oracle must not lie in the student's address space,
# where its address can be found without its name.
ORACLE = frozenset(("workload_make", "workload_expect"))
LAB_FILES = ("lab.h", "slow.c", "workload.c")


@dataclass(frozen=True)
class Side:
    """slow or student, as programs."""
    name: str
    layouts: Tuple[Path, ...]       # for time: without perflab's hooks
    stats: Path                     # for memory: with them


@dataclass(frozen=True)
class Trusted:
    """Everything that holds no code of a student."""
    folder: Path
    judge: Path
    null: Path
    slow: Side
    taken: FrozenSet[str]           # names that a student's file may not define
    contract: FrozenSet[str]        # names that it has to define


@dataclass(frozen=True)
class Recipe:
    """How this grading builds: the same for both sides."""
    compiler: Compiler
    optimise: str                   # "-O2"
    cache: Path                     # the folder build/labs

    @property
    def flags(self) -> Tuple[str, ...]:
        """The flags of slow.c and student.c, as the report shows them."""
        return (*self.optimise.split(), "-g", *self.compiler.extra)


def recipe_for(root: Path, cc: str, optimise: str) -> Recipe:
    """The compiler called ``cc`` with the flags that were asked for, if it takes them."""
    recipe = Recipe(compiler.find(cc), optimise, cache_folder(root))
    refusal = recipe.compiler.refuses(recipe.flags)
    if refusal:
        raise GraderError(f"--opt '{short(optimise)}': {short(refusal, 120)}; "
                          "write for example --opt=-O3")
    return recipe


def cache_folder(root: Path) -> Path:
    """Where builds are kept: $PERFLAB_BUILD, or build/ in the repository."""
    return Path(os.environ.get("PERFLAB_BUILD") or root / "build").absolute() / "labs"


def build_trusted(lab: Lab, recipe: Recipe) -> Trusted:
    """Judge, null and slow. Errors here are the lab's or the machine's: GraderError."""
    header = _read(HEADER)
    files = {"perflab.h": header, "workload.h": _read(SOURCES / "workload.h")}
    files.update({name: _read(SOURCES / name) for name in TRUSTED_SOURCES})
    files.update({path.name: _read(path) for path in sorted(lab.path.glob("*.h"))})
    files.update({name: _read(lab.path / name) for name in LAB_FILES})
    library = _library(header, recipe)
    folder = _cached(recipe.cache / lab.id, "trusted", _key(recipe, files),
                     lambda work: _make_trusted(work, files, library, lab, recipe))
    return Trusted(folder, folder / "judge", folder / "null", _side(folder, "slow"),
                   frozenset((folder / "taken").read_text().split()),
                   frozenset((folder / "contract").read_text().split()))


def build_student(lab: Lab, source: Path, trusted: Trusted, recipe: Recipe) -> Side:
    """The student's file as programs; what is wrong with it is a SubmissionError."""
    text = _read(source)
    if len(text) > MAX_SOURCE:
        raise SubmissionError("compile", f"{source.name} has {len(text):,} bytes; "
                              f"a lab's file may have {MAX_SOURCE:,}")
    files = {"student.c": text, "perflab.h": _read(HEADER)}
    files.update({path.name: _read(path) for path in sorted(lab.path.glob("*.h"))})
    key = _key(recipe, {**files, "trusted": trusted.folder.name.encode()})
    folder = _cached(recipe.cache / lab.id, "student", key,
                     lambda work: _make_student(work, files, source, trusted, recipe))
    return _side(folder, "student")


def build_bench(lab: Lab, source: Path, trusted: Trusted, recipe: Recipe) -> Path:
    """A program that runs workload.c's benchmarks on one file; that file is trusted here."""
    name = "slow.c" if source == lab.path / "slow.c" else "student.c"
    files = {name: _read(source), "perflab.h": _read(HEADER),
             "bench_main.c": _read(SOURCES / "bench_main.c")}
    files.update({path.name: _read(path) for path in sorted(lab.path.glob("*.h"))})

    def make(work: Path) -> None:
        _compile(_write(work, files), name, "side", recipe, source.parent, student=True)
        vet.check_contract(work / "side.o", trusted.contract)
        _compile(work, "bench_main.c", "bench_main", recipe, SOURCES)
        parts = [trusted.folder / f"{name}.o" for name in ("buffer", "workload", "perflab-stats")]
        _link(work, [work / "bench_main.o", *parts, work / "side.o"], "bench", recipe)

    key = _key(recipe, {**files, "trusted": trusted.folder.name.encode()})
    return _cached(recipe.cache / lab.id, "bench", key, make) / "bench"


def _library(header: bytes, recipe: Recipe) -> Path:
    """perflab.h's implementation, which takes longest to compile and serves every lab."""
    files = {"perflab.h": header}

    def make(work: Path) -> None:
        _write(work, files)
        common = ["-O2", "-g", "-DPERFLAB_IMPL", C_LEVEL, "-x", "c", "-c", "perflab.h", "-o"]
        _together([
            lambda: _trusted_run(recipe, work, [*common, "perflab-stats.o"], "perflab.h"),
            lambda: _trusted_run(recipe, work, [*common, "perflab.o", "-DPERFLAB_NO_INTERPOSE"],
                                 "perflab.h")])

    return _cached(recipe.cache, "perflab", _key(recipe, files), make)


def _make_trusted(work: Path, files: Dict[str, bytes], library: Path, lab: Lab,
                  recipe: Recipe) -> None:
    _write(work, files)
    for name in ("perflab.o", "perflab-stats.o"):
        shutil.copy(library / name, work / name)
    own = [("worker.c", "worker", ()), ("worker.c", "worker-stats", ("-DWORKER_STATS",)),
           ("judge.c", "judge", ()), ("buffer.c", "buffer", ()), ("null.c", "null", ()),
           ("workload.c", "workload", ()),
           ("workload.c", "workload-all", ("-ffunction-sections", "-fdata-sections"))]
    own += [("pad.c", name, (f"-DPAD_TEXT={text}", f"-DPAD_DATA={data}"))
            for name, (text, data) in PADS.items()]
    _together([_compile_job(work, source, name, recipe, lab.path, define)
               for source, name, define in own]
              + [_compile_job(work, "slow.c", "slow", recipe, lab.path, ())])
    _without_oracle(work, recipe)
    _together([lambda: _link_named(work, ("judge", "buffer", "workload", "slow", "perflab"),
                                   "judge-program", recipe),
               lambda: _link_named(work, ("worker", "null"), "null-program", recipe),
               *_side_jobs(work, work, "slow", recipe)])
    os.rename(work / "judge-program", work / "judge")
    os.rename(work / "null-program", work / "null")
    taken, contract = vet.names(work / "slow-0", work / "slow.o", work / "workload.o",
                                           recipe.compiler)
    (work / "taken").write_text("\n".join(sorted(taken)))
    (work / "contract").write_text("\n".join(sorted(contract)))


def _without_oracle(work: Path, recipe: Recipe) -> None:
    """workload-run.o: workload.c without the oracle, and without what only the oracle calls."""
    names = sorted(vet.defined(work / "workload-all.o") - ORACLE)
    roots = [f"-Wl,-u,{name}" for name in names]
    _trusted_run(recipe, work, ["-r", "-nostdlib", "-Wl,--gc-sections", *roots, "workload-all.o",
                                "-o", "workload-run.o"], "workload.c")


def _make_student(work: Path, files: Dict[str, bytes], source: Path, trusted: Trusted,
                  recipe: Recipe) -> None:
    _write(work, files)
    vet.check_includes(work, "student.c", recipe.compiler, recipe.flags)
    _compile(work, "student.c", "student", recipe, source.parent, student=True)
    vet.check_object(work / "student.o", trusted.taken, trusted.contract)
    _together(_side_jobs(work, trusted.folder, "student", recipe))


def _side_jobs(work: Path, shared: Path, side: str, recipe: Recipe) -> List[Callable[[], None]]:
    """The links of one side: each layout, and the one with perflab's hooks."""
    named = [(f"{side}-{number}", layout) for number, layout in enumerate(LAYOUTS)]
    return [_link_job(work, shared, side, name, layout, recipe)
            for name, layout in [*named, (f"{side}-stats", STATS)]]


def _link_job(work: Path, shared: Path, side: str, name: str, layout: Sequence[str],
              recipe: Recipe) -> Callable[[], None]:
    objects = [work / f"{side}.o" if part == "{side}" else shared / f"{part}.o"
               for part in layout]
    return lambda: _link(work, objects, name, recipe)


def _link_named(work: Path, parts: Sequence[str], name: str, recipe: Recipe) -> None:
    _link(work, [work / f"{part}.o" for part in parts], name, recipe)


def _compile_job(work: Path, source: str, name: str, recipe: Recipe, origin: Path,
                 define: Sequence[str]) -> Callable[[], None]:
    return lambda: _compile(work, source, name, recipe, origin, define)


def _compile(work: Path, source: str, name: str, recipe: Recipe, origin: Path,
             define: Sequence[str] = (), student: bool = False) -> None:
    """One object. It goes through assembly text, where a student's directives can be seen."""
    flags = [C_LEVEL, *recipe.flags, *define, f"-fdebug-prefix-map={work}={origin.absolute()}"]
    done = recipe.compiler.run([*flags, "-S", source, "-o", f"{name}.s"], work)
    if done.status and student:
        raise vet.compile_error(done)
    if not done.status and student:
        vet.check_assembly(work / f"{name}.s")
    if not done.status:
        done = recipe.compiler.run(["-c", f"{name}.s", "-o", f"{name}.o"], work)
    if done.status and student:
        raise vet.compile_error(done)
    _must(done, source)


def _link(work: Path, objects: Sequence[Path], name: str, recipe: Recipe) -> None:
    done = recipe.compiler.run([*map(str, objects), "-o", name, *LINK], work)
    if done.status and name.startswith(("student", "bench")):
        raise vet.link_error(done)
    _must(done, name)


def _trusted_run(recipe: Recipe, work: Path, arguments: Sequence[str], what: str) -> None:
    _must(recipe.compiler.run(arguments, work), what)


def _must(done: Finished, what: str) -> None:
    """A file of perflab's own that does not build."""
    if done.status:
        lines = [line for line in done.err.splitlines() if "error" in line.lower()]
        words = short((lines or done.err.splitlines() or ["no message"])[0], 200)
        raise GraderError(f"{what} does not build: {words}; restore it "
                          "('git status' names changed files), or try another compiler (CC=)")


def _side(folder: Path, name: str) -> Side:
    return Side(name, tuple(folder / f"{name}-{number}" for number in range(len(LAYOUTS))),
                folder / f"{name}-stats")


def _key(recipe: Recipe, files: Dict[str, bytes]) -> str:
    """A hash of everything that a build depends on."""
    digest = hashlib.sha256()
    parts = [recipe.compiler.identity.encode(), " ".join(recipe.flags).encode(),
             repr((LAYOUTS, STATS, PADS, LINK, C_LEVEL)).encode()]
    for name in sorted(files):
        parts += [name.encode(), files[name]]
    for part in parts:
        digest.update(len(part).to_bytes(8, "little") + part)
    return digest.hexdigest()[:16]


def _cached(parent: Path, kind: str, key: str, make: Callable[[Path], None]) -> Path:
    """The folder KIND-KEY, made when it is not there. It appears whole or not at all."""
    folder = parent / f"{kind}-{key}"
    if folder.is_dir():
        os.utime(folder)
        return folder
    try:
        parent.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(prefix=f".{kind}-", dir=parent))
    except OSError as error:
        raise GraderError(f"{parent}: cannot be written: {error.strerror}; make it writable, "
                          "or choose another folder with PERFLAB_BUILD=DIR") from None
    try:
        make(work)
        os.chmod(work, 0o755)
        _settle(work, folder)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    _prune(parent, kind)
    return folder


def _settle(work: Path, folder: Path) -> None:
    try:
        os.rename(work, folder)
    except OSError:             # another grading built the same meanwhile
        if not folder.is_dir():
            raise


def _prune(parent: Path, kind: str) -> None:
    """Drops the oldest builds: each edit of student.c makes a new one."""
    def age(path: Path) -> float:
        try:
            return path.stat().st_mtime
        except OSError:
            return 0.0
    for old in sorted(parent.glob(f"{kind}-*"), key=age, reverse=True)[KEEP:]:
        shutil.rmtree(old, ignore_errors=True)


def _write(work: Path, files: Dict[str, bytes]) -> Path:
    for name, content in files.items():
        (work / name).write_bytes(content)
    return work


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise GraderError(f"{path}: cannot be read: {error.strerror}; restore the file "
                          "('git status' names missing files)") from None


def _together(jobs: Iterable[Callable[[], None]]) -> None:
    """Runs the jobs side by side; the first error is raised when all have ended."""
    with ThreadPoolExecutor(max_workers=os.cpu_count() or 1) as pool:
        for future in [pool.submit(job) for job in jobs]:
            future.result()
