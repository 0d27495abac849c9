"""Profiles: what pprof files hold, and what is done with them before anything is shown.

A Profile is plain and immutable. Its tables of mappings, locations and functions are indexed by
id - 1: the reader (pprof.py) numbers them so. The leaf of a stack comes first; a location with
several lines is a call that the compiler has inlined, the innermost function first.
"""
from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Dict, List, Optional, Pattern, Sequence, Set, Tuple

from .model import GraderError
from .plain import short

LOST = re.compile(r"(.*[./])?lostProfileEvent")    # the function of samples that were not kept
PAGE = 0x1000
ENDLESS = re.compile(r"\)[*+{]|.{1000}")    # a repeated group, or a very long pattern
# A demangled name ends at its argument list, but not at these brackets.
NOT_ARGUMENTS = re.compile(r"(\(anonymous namespace\)|operator\(\)|[^(])*")


@dataclass(frozen=True)
class ValueType:
    """What one column of values counts: cpu in nanoseconds, for example."""
    type: str
    unit: str


@dataclass(frozen=True)
class Mapping:
    """A part of a file that was mapped into the process as code."""
    id: int
    start: int = 0
    limit: int = 0
    offset: int = 0
    file: str = ""
    build_id: str = ""
    has_functions: bool = False
    has_filenames: bool = False
    has_line_numbers: bool = False
    has_inline_frames: bool = False


@dataclass(frozen=True)
class Function:
    id: int
    name: str
    system_name: str = ""
    file: str = ""
    start_line: int = 0


@dataclass(frozen=True)
class Line:
    """A place in a function; line 0 when it is not known."""
    function: int
    line: int = 0
    column: int = 0


@dataclass(frozen=True)
class Location:
    """An address. Several lines: inlined calls, the innermost first."""
    id: int
    mapping: int = 0
    address: int = 0
    lines: Tuple[Line, ...] = ()
    folded: bool = False


@dataclass(frozen=True)
class Label:
    """A text or a number that the program tied to a sample."""
    key: str
    text: str = ""
    number: int = 0
    unit: str = ""


@dataclass(frozen=True)
class Sample:
    """A stack, leaf first, with a value for each sample type."""
    locations: Tuple[int, ...]
    values: Tuple[int, ...]
    labels: Tuple[Label, ...] = ()


@dataclass(frozen=True)
class Profile:
    sample_types: Tuple[ValueType, ...]
    samples: Tuple[Sample, ...] = ()
    mappings: Tuple[Mapping, ...] = ()
    locations: Tuple[Location, ...] = ()
    functions: Tuple[Function, ...] = ()
    period_type: Optional[ValueType] = None
    period: int = 0
    time_nanos: int = 0
    duration_nanos: int = 0
    default_sample_type: str = ""
    comments: Tuple[str, ...] = ()
    drop_frames: str = ""
    keep_frames: str = ""
    doc_url: str = ""

    def index(self, name: str = "") -> int:
        """The column called ``name``; without a name the default one, or else the last."""
        types = [item.type for item in self.sample_types]
        wanted = name or self.default_sample_type
        if wanted in types:
            return types.index(wanted)
        if not name and types:
            return len(types) - 1
        raise GraderError(f"--sample '{short(name)}': this profile has "
                          f"{', '.join(types) or 'no samples'}")

    def names(self, location: int) -> List[str]:
        """The functions of a location, the innermost first."""
        return [self.functions[line.function - 1].name
                for line in self.locations[location - 1].lines]


def merged(profiles: Sequence[Profile]) -> Profile:
    """The sum of profiles of one kind: equal stacks with equal labels become one sample.

    Only the sample types that all have are kept. The same code counts as the same wherever it
    was mapped.
    """
    if len(profiles) == 1:
        return profiles[0]
    common = [item.type for item in profiles[0].sample_types
              if all(item.type in map(_type, other.sample_types) for other in profiles)]
    parts = [_with_types(profile, common) for profile in profiles]
    _comparable(parts)
    merger = _Merger()
    for part in parts:
        merger.add(part)
    return merger.result(parts)


def difference(profile: Profile, base: Profile) -> Profile:
    """``profile`` without what ``base`` has: values may become negative."""
    negative = tuple(replace(sample, values=tuple(-value for value in sample.values))
                     for sample in base.samples)
    return merged([profile, replace(base, samples=negative)])


def pruned(profile: Profile) -> Profile:
    """Without the frames that the profile itself calls uninteresting, and all that they call.

    The patterns come from the file: one that is wrong, or could take for ever, is not applied.
    """
    patterns = (profile.drop_frames, profile.keep_frames)
    if not profile.drop_frames or any(ENDLESS.search(pattern) for pattern in patterns):
        return profile
    try:
        drop, keep = (re.compile(f"({pattern})$") for pattern in patterns)
    except (re.error, RecursionError, OverflowError):
        return profile
    dropped = {item.id for item in profile.functions
               if _dropped(_without_arguments(item.name), drop, keep)}
    return _cut(profile, dropped) if dropped else profile


def focused(profile: Profile, pattern: str) -> Profile:
    """The samples with a frame whose function, file or module has the pattern in it."""
    wanted = compiled(pattern)
    functions, mappings = _matching(profile, wanted)
    locations = {item.id for item in profile.locations if item.mapping in mappings
                 or any(line.function in functions for line in item.lines)}
    return replace(profile, samples=tuple(
        sample for sample in profile.samples if not locations.isdisjoint(sample.locations)))


def below(profile: Profile, pattern: str) -> Profile:
    """Stacks as they look from the first function, file or module with the pattern in it: what
    called that is left out, and so are samples that were never there."""
    functions, mappings = _matching(profile, compiled(pattern))
    first: Dict[int, Location] = {}     # the locations where a stack may begin
    for item in profile.locations:
        found = [number for number, line in enumerate(item.lines, 1)
                 if line.function in functions]
        if item.mapping in mappings:
            first[item.id] = item
        elif found:
            first[item.id] = replace(item, lines=item.lines[:found[-1]])
    samples = []
    for sample in profile.samples:
        places = [place for place, number in enumerate(sample.locations, 1) if number in first]
        if places:
            samples.append(replace(sample, locations=sample.locations[:places[-1]]))
    return replace(profile, samples=tuple(samples), locations=tuple(
        first.get(item.id, item) for item in profile.locations))


def compiled(pattern: str) -> Pattern[str]:
    """The regular expression that a user gave."""
    try:
        return re.compile(pattern)
    except (re.error, RecursionError, OverflowError) as error:
        raise GraderError(f"'{short(pattern)}' is no regular expression: {error}; "
                          "write \\( for a bracket") from None


def lost(profile: Profile, index: int) -> int:
    """The value of the samples for which the program found no room."""
    gone = {location.id for location in profile.locations
            if any(LOST.fullmatch(name) for name in profile.names(location.id))}
    return sum(sample.values[index] for sample in profile.samples
               if not gone.isdisjoint(sample.locations[:1]))


def total(profile: Profile, index: int) -> int:
    """The sum of all values, whatever their sign: what a percentage is a part of."""
    return sum(abs(sample.values[index]) for sample in profile.samples)


class _Merger:
    """Collects what several profiles hold, each thing once."""

    def __init__(self) -> None:
        self._samples: Dict[Tuple[object, ...], List[int]] = {}
        self._mappings: Dict[Tuple[object, ...], Mapping] = {}
        self._functions: Dict[Tuple[object, ...], Function] = {}
        self._locations: Dict[Tuple[object, ...], Location] = {}

    def add(self, profile: Profile) -> None:
        mappings = [self._mapping(mapping) for mapping in profile.mappings]
        functions = [self._function(function) for function in profile.functions]
        moved: Dict[int, int] = {}
        for location in profile.locations:
            moved[location.id] = self._location(location, profile.mappings, mappings, functions)
        for sample in profile.samples:
            key = (tuple(moved[number] for number in sample.locations),
                   tuple(sorted(sample.labels, key=repr)))
            values = self._samples.setdefault(key, [0] * len(sample.values))
            for column, value in enumerate(sample.values):
                values[column] += value

    def result(self, parts: Sequence[Profile]) -> Profile:
        first = parts[0]
        times = [part.time_nanos for part in parts if part.time_nanos]
        samples = (Sample(key[0], tuple(values), key[1])    # type: ignore[arg-type]
                   for key, values in self._samples.items() if any(values))
        return replace(
            first, samples=tuple(samples), mappings=tuple(self._mappings.values()),
            locations=tuple(self._locations.values()), functions=tuple(self._functions.values()),
            period=max(part.period for part in parts), time_nanos=min(times, default=0),
            duration_nanos=sum(part.duration_nanos for part in parts),
            comments=tuple(dict.fromkeys(words for part in parts for words in part.comments)))

    def _mapping(self, mapping: Mapping) -> Mapping:
        pages = (mapping.limit - mapping.start + PAGE - 1) // PAGE
        key = (pages, mapping.offset, mapping.build_id or mapping.file)
        return self._mappings.setdefault(key, replace(mapping, id=len(self._mappings) + 1))

    def _function(self, function: Function) -> int:
        key = (function.name, function.system_name, function.file, function.start_line)
        return self._functions.setdefault(
            key, replace(function, id=len(self._functions) + 1)).id

    def _location(self, location: Location, old: Sequence[Mapping], new: Sequence[Mapping],
                  functions: Sequence[int]) -> int:
        address, mapping = location.address, 0
        if location.mapping:
            here = new[location.mapping - 1]
            address += here.start - old[location.mapping - 1].start
            mapping = here.id
        lines = tuple(replace(line, function=functions[line.function - 1])
                      for line in location.lines)
        key = (address, mapping, lines, location.folded)
        return self._locations.setdefault(key, Location(
            len(self._locations) + 1, mapping, address, lines, location.folded)).id


def _type(item: ValueType) -> str:
    return item.type


def _with_types(profile: Profile, types: Sequence[str]) -> Profile:
    """Only the columns called ``types``, in that order."""
    if not types:
        raise GraderError("the profiles have no sample type in common: they are not of one kind; "
                          "compare a cpu profile with a cpu profile")
    old = [item.type for item in profile.sample_types]
    columns = [old.index(name) for name in types]
    if columns == list(range(len(old))):
        return profile
    kept = profile.default_sample_type if profile.default_sample_type in types else types[0]
    return replace(
        profile, sample_types=tuple(profile.sample_types[column] for column in columns),
        default_sample_type=kept,
        samples=tuple(replace(sample, values=tuple(sample.values[column] for column in columns))
                      for sample in profile.samples))


def _comparable(parts: Sequence[Profile]) -> None:
    """Refuses to add nanoseconds to bytes."""
    first = parts[0]
    for other in parts[1:]:
        pairs = list(zip(first.sample_types, other.sample_types))
        if first.period_type and other.period_type:
            pairs.append((first.period_type, other.period_type))
        for one, two in pairs:
            if one != two:
                raise GraderError(f"the profiles count different things: {one.type} in "
                                  f"'{short(one.unit)}', and {short(two.type)} in "
                                  f"'{short(two.unit)}'; compare profiles of one kind")


def _matching(profile: Profile, wanted: Pattern[str]) -> Tuple[Set[int], Set[int]]:
    """The functions (by name and file) and the mappings that the pattern means."""
    return ({item.id for item in profile.functions
             if wanted.search(item.name) or wanted.search(item.file)},
            {item.id for item in profile.mappings if wanted.search(item.file)})


def _dropped(name: str, drop: Pattern[str], keep: Pattern[str]) -> bool:
    return bool(name and drop.match(name) and not keep.match(name))


def _without_arguments(name: str) -> str:
    match = NOT_ARGUMENTS.match(name[1:] if name.startswith(".") else name)
    return match[0] if match else name


def _cut(profile: Profile, dropped: Set[int]) -> Profile:
    """Cuts each stack at the dropped frame that is nearest to its root.

    Frames at the root itself stay: a stack must not vanish as a whole.
    """
    whole: Set[int] = set()         # locations that go
    partly: Dict[int, Location] = {}    # locations whose outer lines stay
    for location in profile.locations:
        found = [number for number, line in enumerate(location.lines)
                 if line.function in dropped]
        if found and found[-1] == len(location.lines) - 1:
            whole.add(location.id)
        elif found:
            partly[location.id] = replace(location, lines=location.lines[found[-1] + 1:])
    return replace(
        profile, locations=tuple(partly.get(item.id, item) for item in profile.locations),
        samples=tuple(replace(sample, locations=_above(sample.locations, whole, set(partly)))
                      for sample in profile.samples))


def _above(stack: Tuple[int, ...], whole: Set[int], partly: Set[int]) -> Tuple[int, ...]:
    kept_one = False
    for number in range(len(stack) - 1, -1, -1):
        if stack[number] not in whole and stack[number] not in partly:
            kept_one = True
        elif kept_one:
            return stack[number + (stack[number] in whole):]
    return stack
