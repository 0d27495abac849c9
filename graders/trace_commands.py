"""The command that looks at traces: trace."""
from __future__ import annotations

import argparse
import json
import os
import re
from pathlib import Path
from typing import Callable, List, Optional, Tuple

from . import assemble, chrome, perfetto, perfetto_write, recover, trace_page, trace_views
from .clip import clip
from .files import relative
from .model import GraderError
from .plain import in_colour, show
from .timeline import Timeline
from .tracks import Trace

RING = ".ring"
MOMENT = re.compile(r"(\d+(?:\.\d+)?)(ns|us|ms|s|)")
FACTORS = {"ns": 1, "us": 10 ** 3, "ms": 10 ** 6, "s": 10 ** 9, "": 10 ** 9}


def trace(options: argparse.Namespace) -> int:
    """Reads the files, and writes or shows what was asked for."""
    found = _read(options)
    files = [str(file) for file in options.files]
    written: List[Path] = []
    target = _target(options)
    if target:
        _keep(target, lambda stream: stream.write(perfetto_write.dump(found)))
        written.append(target)
    if target and not (options.html or options.chrome or options.json):
        show(_done(found, written))
        return 0
    timeline = _part(assemble.timeline(found), options.from_, options.to_)
    if options.chrome:
        _keep(options.chrome, lambda stream: stream.writelines(
            line.encode("utf-8", "backslashreplace")
            for line in chrome.lines(timeline)))
        written.append(options.chrome)
    if options.html or options.json or not written:
        report = trace_views.report(timeline, files, options.longest)
        if options.html:
            trace_page.write(timeline, options.html, ", ".join(files), report.findings)
            written.append(options.html)
        if options.json:
            show(json.dumps(trace_views.as_json(report), indent=1) + "\n")
            return 0
        if not written:
            tables = [name for name in trace_views.TABLES if getattr(options, name)]
            show(trace_views.text(report, tables, options.top, in_colour()))
            return 0
    show(_done(found, written))
    return 0


def moment(text: str) -> int:
    """A time since the start of the trace, as 1.5s or 200ms; a bare number is in seconds."""
    match = MOMENT.fullmatch(text)
    if not match or len(text) > 20:
        raise argparse.ArgumentTypeError(f"'{text}' is no time; write it as 1.5s or 200ms")
    return round(float(match[1]) * FACTORS[match[2]])


def _read(options: argparse.Namespace) -> Trace:
    if not options.recover:
        return perfetto.read(options.files)
    if len(options.files) > 1:
        raise GraderError("--recover takes one ring file at a time; recover each, then name all "
                          "traces that came of it to see them on one timeline")
    return recover.recover(options.files[0])


def _target(options: argparse.Namespace) -> Optional[Path]:
    """The trace file to write, if any: that of -o, or of the program that was killed."""
    target: Optional[Path] = options.output
    if target is None and options.recover:
        ring: Path = options.files[0]
        target = ring.with_suffix("") if ring.suffix == RING else \
            ring.with_name(ring.name + ".pftrace")
        if target.exists() and target.stat().st_size:
            raise GraderError(f"{target}: is there already; name another file with -o")
    if target is not None and any(target.exists() and target.samefile(file)
                                  for file in options.files if file.exists()):
        raise GraderError(f"{target}: is read and cannot be written too; name another with -o")
    return target


def _part(timeline: Timeline, low: Optional[int], high: Optional[int]) -> Timeline:
    if low is None and high is None:
        return timeline
    low, high = low or 0, timeline.duration if high is None else high
    if low >= min(high, timeline.duration):
        raise GraderError(f"nothing is left from {low / 1e9:g}s to {high / 1e9:g}s: the trace has "
                          f"{timeline.duration / 1e9:g}s; choose other times with --from and --to")
    return clip(timeline, low, high)


def _keep(path: Path, write: "Callable[..., object]") -> None:
    """Writes a file whole or not at all."""
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with partial.open("wb") as stream:
            write(stream)
        os.replace(partial, path)
    except OSError as error:
        if path.parent.is_dir():
            partial.unlink(missing_ok=True)
        raise GraderError(f"{path}: cannot be written: {error.strerror}; name a file in a folder "
                          "that is there and writable, and see that the disk is not full") from None


def _done(found: Trace, written: List[Path]) -> str:
    """What was written, and what to do with it."""
    lines = [f"Note: {note}" for note in found.notes]
    hints: Tuple[Tuple[str, str], ...] = (
        (".html", "open it in a browser"), (".json", "open it in ui.perfetto.dev or "
                                                     "chrome://tracing"))
    for path in written:
        hint = next((words for suffix, words in hints if path.suffix == suffix),
                    f"python3 -m graders trace {relative(path)} shows it; so does ui.perfetto.dev")
        lines.append(f"{relative(path)}: {found.events:,} events; {hint}")
    return "\n".join(lines) + "\n"
