"""The fresh-machine gate: README.md's shell blocks, run literally, on a machine with nothing on it.

The machine is a bare root folder with a C compiler, make and Python, made by debootstrap from the
package mirror this machine uses, kept in the cache folder of the user. The repository is copied in;
an ordinary user without network types what README.md says. Prints TAP. Needs root, or sudo.
"""
from __future__ import annotations

import os
import platform
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Dict, List, NamedTuple, Sequence, Tuple

sys.path[:0] = [str(Path(__file__).resolve().parent), str(Path(__file__).resolve().parents[1])]
import deps  # noqa: E402
from readme import Block, readme  # noqa: E402

PACKAGES = "gcc,libc6-dev,make,python3"
USER = 1000
LIMIT = 60      # seconds for one block: README.md promises a verdict in less
SOLUTION = "solutions/03_string_building"


class Step(NamedTuple):
    """One thing typed on the fresh machine, and the exit statuses that are right."""
    title: str
    script: str
    statuses: Tuple[int, ...]
    says: str = ""      # must be in what it prints: a broken set-up fails too, for no good reason


class Stop(Exception):
    """The gate cannot be built here; the text says why and what to do."""


# the bare machine ---------------------------------------------------------------------------------


def mirror() -> Tuple[str, str]:
    """Address and release of the main package archive that apt uses here."""
    release = os_release()["VERSION_CODENAME"]
    listing = subprocess.check_output(
        ["apt-get", "indextargets", "--format", "$(REPO_URI) $(CODENAME) $(COMPONENT)",
         "Created-By: Packages"], universal_newlines=True)
    for line in listing.splitlines():
        address, codename, component = line.split()
        if (codename, component) == (release, "main"):
            return address, release
    raise Stop(f"apt knows no main archive for {release}; run apt-get update")


def os_release() -> Dict[str, str]:
    """/etc/os-release as a dictionary."""
    lines = Path("/etc/os-release").read_text().splitlines()
    pairs = (line.partition("=") for line in lines if "=" in line)
    return {key: value.strip('"') for key, _, value in pairs}


def cache_folder() -> Path:
    """Where the bare root is kept between runs: $XDG_CACHE_HOME or ~/.cache."""
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    name = f"root-{os_release()['VERSION_CODENAME']}-{platform.machine()}-" + \
        PACKAGES.replace(",", "-")
    return Path(base) / "perflab" / name


def bare_root() -> Path:
    """The root folder of the bare machine; made when it is not in the cache."""
    root = cache_folder()
    if root.exists():
        return root
    address, release = mirror()
    root.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(dir=root.parent, prefix="partial-"))
    try:
        as_root([str(deps.find_program("debootstrap")), "--variant=minbase",
                 f"--include={PACKAGES}", release, str(partial), address])
        as_root(["chroot", str(partial), "/usr/sbin/useradd", "--uid", str(USER), "--create-home",
                 "student"])
        as_root(["chmod", "755", str(partial)])
        partial.rename(root)
    finally:
        if partial.exists():
            as_root(["rm", "-rf", str(partial)])
    return root


def as_root(command: Sequence[str]) -> None:
    """Runs a step that makes the bare machine; its output is shown only when it fails."""
    done = subprocess.run(deps.as_root(command), stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          env=dict(os.environ, PATH=deps.search_path()))
    if done.returncode != 0:
        tail = done.stdout.decode("utf-8", "replace").splitlines()[-15:]
        raise Stop("\n".join([f"{' '.join(command)}: exit {done.returncode}", *tail]))


# the ordinary user --------------------------------------------------------------------------------


def copy_repository(target: Path) -> None:
    """The files that a clone would have, as they are in the working tree."""
    names = subprocess.check_output(["git", "-C", str(deps.ROOT), "ls-files", "-z", "--cached",
                                     "--others", "--exclude-standard"]).decode().split("\0")
    for name in filter(None, names):
        if (deps.ROOT / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(deps.ROOT / name, target / name)


def sandbox(root: Path, home: Path, folder: str) -> List[str]:
    """The command that starts a program on the bare machine: own processes, no network."""
    path = "/usr/local/bin:/usr/bin:/bin"
    tmpfs = [item for place in ("/tmp", "/dev/shm")
             for item in ("--perms", "1777", "--tmpfs", place)]
    return deps.as_root([
        "bwrap", "--ro-bind", str(root), "/", "--dev", "/dev", "--proc", "/proc", *tmpfs,
        "--bind", str(home), "/home/student", "--unshare-net", "--unshare-pid", "--unshare-ipc",
        "--unshare-uts", "--die-with-parent", "--new-session", "--clearenv",
        "--setenv", "HOME", "/home/student", "--setenv", "USER", "student",
        "--setenv", "PATH", path, "--setenv", "LANG", "C.UTF-8",
        "--cap-drop", "ALL", "--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID",
        "--chdir", f"/home/student/{folder}",
        "setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups",
        "--inh-caps=-all"])


def run_step(step: Step, prefix: Sequence[str]) -> Tuple[bool, str]:
    """Types one step; whether it went as it should, and what it printed."""
    start = time.monotonic()
    try:
        done = subprocess.run([*prefix, "sh", "-c", step.script], stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=LIMIT)
    except subprocess.TimeoutExpired as late:
        return False, (late.stdout or b"").decode("utf-8", "replace") + f"\nno end in {LIMIT} s"
    seconds = time.monotonic() - start
    output = done.stdout.decode("utf-8", "replace")
    right = done.returncode in step.statuses and step.says in output
    return right, f"{output}\nexit {done.returncode}, {seconds:.1f} s"


# what is typed ------------------------------------------------------------------------------------


def step_of(block: Block) -> Step:
    """A block of README.md as something to type, or to save."""
    where = f"README.md:{block.line}"
    if block.kind == "file":
        save = f"cat > {shlex.quote(block.value)} <<'END OF FILE'\n{block.text}END OF FILE\n"
        return Step(f"{where}: the file {block.value}", save, (0,))
    title = f"{where}: {block.text.strip().splitlines()[-1]}"
    if block.kind == "expect":
        return Step(f"{title} ends with {block.value}", block.text, (1, 2), says=block.value)
    return Step(title, block.text, (0,))


def steps() -> List[Step]:
    """The machine is what it should be; README.md holds; the exit codes are the documented ones."""
    page = [step_of(block) for block in readme() if block.language == "sh" or block.kind == "file"]
    grade = "python3 -m graders grade 03"
    return [
        Step("an ordinary user", 'test "$(id -u)" -ne 0 && test ! -w /etc', (0,)),
        Step("no network but loopback", 'test "$(ls /sys/class/net 2>/dev/null || '
             'tail -n +3 /proc/net/dev | cut -d: -f1 | tr -d " ")" = lo', (0,)),
        Step("no developer's tools", "for tool in git go clang g++ gdb pip3 pytest; do "
             "command -v $tool && exit 1; done; ! python3 -c 'import pip'", (0,)),
        *page,
        Step(f"{grade} exits 1 as shipped", grade, (1,), says="FAIL"),
        Step(f"{grade} with the solution exits 0", f"{grade} --submission {SOLUTION}", (0,),
             says="PASS"),
        Step("an unknown lab exits 2", "python3 -m graders grade 99", (2,), says="99"),
    ]


def report(number: int, step: Step, right: bool, output: str) -> None:
    """One line of TAP, and what was printed when it went wrong."""
    print(f"{'' if right else 'not '}ok {number} - {step.title}", flush=True)
    for line in [] if right else [*step.script.splitlines(),
                                     *output.splitlines()[-40:]]:
        print(f"# {line}")


def main() -> int:
    """Makes the machine, types everything, says how it went."""
    todo = steps()
    print(f"1..{len(todo)}", flush=True)
    failed = 0
    try:
        root = bare_root()
    except (Stop, OSError, subprocess.CalledProcessError) as error:
        print(f"not ok 1 - the bare machine\n# {error}".replace("\n", "\n# ", 1))
        return 1
    with tempfile.TemporaryDirectory(prefix="perflab-fresh-") as folder:
        home = Path(folder)
        home.chmod(0o755)
        copy_repository(home / "my perflab")     # a path with a blank in it, as on many desktops
        as_root(["chown", "-R", f"{USER}:{USER}", str(home)])
        prefix = sandbox(root, home, "my perflab")
        for number, step in enumerate(todo, 1):
            right, output = run_step(step, prefix)
            failed += not right
            report(number, step, right, output)
        as_root(["chown", "-R", str(os.getuid()), str(home)])
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
