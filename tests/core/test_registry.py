"""The registry of threads and the sums over them, under the thread sanitizer."""
from __future__ import annotations

from pathlib import Path

from builds import HERE, ROOT, run


def test_registry_has_no_races(tmp_path: Path) -> None:
    """perflab's hooks stay out of sanitizer builds: threads and heap are built without the rest."""
    header = (ROOT / "perflab.h").read_text()
    lower = header.split("/* ==== >>module ")[0]
    heap = header.split("/* ==== >>heap ")[1].split("/* ==== >>live ")[0]
    sections = lower.rpartition("#if PLI_INTERPOSE\n")[0] + "/* ==== >>heap " + heap
    assert sections.count("#define PLI_INTERPOSE 0\n") == 1
    sections = sections.replace("#define PLI_INTERPOSE 0\n", "#define PLI_INTERPOSE 1\n")
    unfinished = "\n#endif\n#endif\n"
    source = tmp_path / "registry.c"
    source.write_text("#define PERFLAB_IMPL\n" + sections + unfinished +
                      (HERE / "registry.c").read_text())
    program = str(tmp_path / "registry")
    run(["clang", "-g", "-O1", "-fsanitize=thread", "-w", str(source), "-o", program])
    said = run(["setarch", "-R", program], TSAN_OPTIONS="halt_on_error=1 exitcode=66")
    assert said == "exact\n"
