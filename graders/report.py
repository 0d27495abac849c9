"""One Result in any format: the text screen, JSON with everything, JUnit XML for CI systems.

JSON: ``perflab_result`` is the version of the schema. Keys may be added within a version; what a
key means changes only together with it.
"""
from __future__ import annotations

import json as _json
import math
import os
import shutil
import sys
from contextlib import suppress
from dataclasses import asdict
from fractions import Fraction
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, Mapping, Optional, Tuple
from xml.etree import ElementTree as xml

from .model import (ERROR, EXIT_CODES, FAIL, PASS, Answer, Finding, GraderError, Result,
                    TimeVerdict)
from .plain import in_colour, printable, show
from .screen import next_step, ratio_words, text

__all__ = ["FORMATS", "json", "junit", "next_step", "text", "write"]

JSON_VERSION = 1
FAILURES = ("wrong-output",)    # of the error kinds; any other is an <error> in JUnit
PARTS = ("time", "evidence", "diagnosis")

Case = Tuple[str, str, str, str]    # name, "" or failure or error or skipped, type, message


def json(result: Result) -> str:
    """Everything, raw samples included."""
    return _json.dumps(_plain(_document(result)), indent=2, allow_nan=False) + "\n"


def junit(result: Result) -> str:
    """JUnit XML: too slow is a failure, a crash an error, INCONCLUSIVE is skipped."""
    cases = list(_cases(result))
    kinds = [kind for _, kind, _, _ in cases]
    name = f"lab{result.lab.id}_{result.lab.topic}"
    counts = {"tests": str(len(cases)), "failures": str(kinds.count("failure")),
              "errors": str(kinds.count("error"))}
    seconds = f"{max(result.seconds, 0):.3f}"
    root = xml.Element("testsuites", {"name": "perflab", **counts, "time": seconds})
    suite = xml.SubElement(root, "testsuite", {
        "name": name, **counts, "skipped": str(kinds.count("skipped")), "time": seconds})
    properties = xml.SubElement(suite, "properties")
    for key, value in _properties(result).items():
        xml.SubElement(properties, "property", {"name": key, "value": printable(value)})
    for case in cases:
        _case(suite, name, case)
    xml.SubElement(suite, "system-out").text = printable(text(result))
    xml.indent(root)
    document: bytes = xml.tostring(root, encoding="us-ascii", xml_declaration=True)
    return document.decode("ascii") + "\n"


FORMATS: Mapping[str, Callable[[Result], str]] = {"text": text, "json": json, "junit": junit}


def write(result: Result, format: str = "text", path: Optional[Path] = None) -> None:
    """Writes the report to a file, whole or not at all, or to standard output."""
    if format not in FORMATS:
        raise GraderError(f"unknown format '{format}'; there are {', '.join(FORMATS)}")
    try:
        if path is None:
            show(_for_terminal(result) if format == "text" else FORMATS[format](result))
        else:
            _to_file(FORMATS[format](result), Path(os.path.realpath(path)))
    except OSError as error:
        where = "standard output" if path is None else str(path)
        raise GraderError(f"cannot write the report to {where}: {error.strerror}; "
                          "name another place with --output FILE") from None


def _document(result: Result) -> Dict[str, Any]:
    lab, error = result.lab, None
    if result.error_kind:
        error = {"kind": result.error_kind, "text": result.error_text,
                 "detail": result.error_detail}
    return {
        "perflab_result": JSON_VERSION,
        "state": result.state, "exit_code": EXIT_CODES[result.state],
        "lab": {"id": lab.id, "topic": lab.topic, "title": lab.title, "n": lab.n,
                "clock": lab.clock},
        "submission": result.submission, "seed": result.seed, "seconds": result.seconds,
        "points": _points(result), "error": error,
        "outputs": {"checked": result.outputs_checked, "problem": result.outputs_text},
        "time": _time(result.time) if result.time else None,
        "evidence": [_finding(finding) for finding in result.findings],
        "diagnosis": [_answer(answer) for answer in result.answers],
        "next_step": result.next_step or next_step(result),
        "machine": asdict(result.machine), "extra": result.extra,
    }


def _points(result: Result) -> Dict[str, Any]:
    parts = {part: {"got": got, "most": most}
             for part, got, most in zip(PARTS, result.points, result.lab.points)}
    return {**parts, "total": sum(filter(None, result.points)), "most": sum(result.lab.points),
            "pending": sum(most for got, most in zip(result.points, result.lab.points)
                           if got is None)}


def _time(time: TimeVerdict) -> Dict[str, Any]:
    return {**asdict(time), "bar_exact": str(time.bar), "alpha_exact": str(time.alpha)}


def _finding(finding: Finding) -> Dict[str, Any]:
    spec = finding.spec
    return {"name": spec.name, "kind": spec.kind, "title": spec.title, "sizes": spec.sizes,
            "max": spec.maximum, "min": spec.minimum, "because": spec.because,
            "value": finding.value, "slow_value": finding.slow_value,
            "passed": finding.passed, "undecided": finding.undecided, "text": finding.text}


def _answer(answer: Answer) -> Dict[str, Any]:
    return {"name": answer.question.name, "ask": answer.question.ask, "given": answer.given,
            "measured": answer.measured, "passed": answer.passed, "text": answer.text}


def _plain(value: Any) -> Any:
    """The value in JSON's own types; what is not a finite number becomes null."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, Fraction):
        return int(value) if value.denominator == 1 else float(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, (int, type(None))):
        return value
    return str(value).encode("utf-8", "backslashreplace").decode("utf-8")


def _properties(result: Result) -> Dict[str, str]:
    machine = result.machine
    found = {"state": result.state, "submission": str(result.submission),
             "points": f"{_points(result)['total']}/{sum(result.lab.points)}",
             "processor": machine.processor, "cores": str(machine.cores),
             "system": machine.system, "compiler": machine.compiler, "flags": machine.flags,
             "sandbox": ", ".join(machine.sandbox), "seed": str(result.seed)}
    if result.time:
        time = result.time
        found.update(ratio=f"{time.ratio:.6g}", bar=str(time.bar), pairs=str(time.counted),
                     interval=f"{time.low:.6g} {time.high:.6g}", noise=f"{time.noise:.6g}")
    return found


def _cases(result: Result) -> Iterator[Case]:
    """A test case for each thing that can be right or wrong on its own."""
    if result.error_kind:
        kind = "failure" if result.error_kind in FAILURES else "error"
        yield ("grading" if result.state == ERROR else "output", kind, result.error_kind,
               "\n".join(filter(None, (result.error_text, result.error_detail))))
    else:
        yield ("output", "failure" if result.outputs_text else "", "wrong-output",
               result.outputs_text)
    if result.lab.clock != "none":
        yield _time_case(result)
    for finding in result.findings:
        kind = "skipped" if finding.undecided else "" if finding.passed else "failure"
        yield (f"evidence.{finding.spec.name}", kind, "evidence",
               f"{finding.text}\n{finding.spec.because}")
    for answer in result.answers:
        yield (f"diagnosis.{answer.question.name}", "" if answer.passed else "failure",
               "diagnosis", answer.text)


def _time_case(result: Result) -> Case:
    if result.time is None:
        return "time", "skipped", "not-reached", "grading ended before the time was measured"
    kind = {PASS: "", FAIL: "failure"}.get(result.time.state, "skipped")
    word = "too-slow" if kind == "failure" else "inconclusive"
    message = f"{ratio_words(result.time)}; the bar is {float(result.time.bar):.4g}x"
    return "time", kind, word, "\n".join(filter(None, (message, result.time.note)))


def _case(suite: xml.Element, classname: str, case: Case) -> None:
    name, kind, word, message = case
    element = xml.SubElement(suite, "testcase", {"name": name, "classname": classname})
    if kind:
        safe = printable(message)
        note = {"message": safe.split("\n")[0]}
        if kind != "skipped":
            note["type"] = word
        xml.SubElement(element, kind, note).text = safe


def _for_terminal(result: Result) -> str:
    """The screen as it fits standard output: coloured and as wide as a terminal, or plain."""
    terminal = sys.stdout.isatty()
    width = min(shutil.get_terminal_size((80, 24)).columns, 100) if terminal else 80
    return text(result, in_colour(), width, under_make="MAKELEVEL" in os.environ)


def _to_file(content: str, path: Path) -> None:
    """Writes a new file beside ``path`` and renames it; a device or a pipe is written as it is."""
    if path.exists() and not path.is_file() and not path.is_dir():
        with open(path, "w", encoding="utf-8") as stream:
            stream.write(content)
        return
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with open(draft, "x", encoding="utf-8") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(draft, path)
    except BaseException:
        with suppress(OSError):
            draft.unlink()
        raise
