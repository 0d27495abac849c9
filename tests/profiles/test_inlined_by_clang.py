"""Inlined calls in programs that clang has built, which addr2line alone does not see."""
from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from test_symbolize import ALL, build, frames, taken

from graders import symbolize


@pytest.mark.parametrize("compiler", ["gcc", "clang"])
@pytest.mark.parametrize("version", ["-gdwarf-4", "-gdwarf-5"])
def test_llvm_symbolizer_sees_the_inlined_calls_of_both(tmp_path: Path, compiler: str,
                                                        version: str) -> None:
    program = build(tmp_path, version, compiler=compiler)
    assert frames(taken(program), "llvm-symbolizer") == ALL
    assert frames(taken(program), str(symbolize.find_tool())) == ALL


def test_addr2line_alone_is_not_trusted_with_clangs_programs(tmp_path: Path) -> None:
    tool = shutil.which("addr2line")
    result = symbolize.symbolize(taken(build(tmp_path, compiler="clang")), tool)
    assert len(result.notes) == 1 and "was built by clang: install llvm" in result.notes[0]
    assert symbolize.symbolize(taken(build(tmp_path)), tool).notes == ()
