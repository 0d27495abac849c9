"""What stands out in a trace, in words: each finding names the place and what to look at next.

A finding is made only where the numbers leave little else: no finding is better than a wrong one.
"""
from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Dict, Iterable, Iterator, List, Sequence

from .plain import short
from .timeline import SAMPLE, Thread, Timeline
from .trace_locks import LOCKS, Blame, Lock, locks
from .trace_stats import Waits, regions

LONG_ENOUGH = 20_000_000        # ns: shorter traces say nothing about a program
HELD_ASLEEP = 0.4               # of the contended time, for which the holder was seen asleep
CONTENDED = 0.25                # of the trace, for which somebody waited for the lock
WAITING = 0.25                  # of the time of those who waited for it
SERIAL = 1.5                    # threads that run on average, at most
CROWD = 4                       # ready threads for each processor: these are too many anywhere
CROWDED = 0.35                  # of the time that threads could have run
BUSY, STARVED = 0.85, 0.4       # a slow stage, and those who wait for it
TURNS = 10                      # waits of each of these at least
HAND_OVER = ("condition", "semaphore", "barrier", "read", "write", "send", "receive", "poll",
             "epoll", "select")
LIBRARY = re.compile(r"_*(pthread_|pli?_|sem_|mtx_|cnd_|std::|gthread|gthrw|thrd_|lll_|futex|libc_|"
                     r"(u|nano|clock_nano)?sleep\b|p?(read|write)v?(64)?\b|p?poll\b|p?select\b|"
                     r"epoll_|accept4?\b|connect\b|send(to|msg)?\b|recv(from|msg)?\b|"
                     r"wait(pid|4)?\b)")
FRAME = re.compile(r"(?P<function>.*?)(?: \((?P<place>[^()]*)\))?$")
WORDS = {"sleep": "sleeps", "read": "reads", "write": "writes", "poll": "polls", "epoll": "waits",
         "select": "waits", "accept": "waits for a connection", "connect": "connects",
         "send": "sends", "receive": "receives", "semaphore": "waits for a semaphore",
         "barrier": "waits at a barrier", "wait for a child": "waits for a child process"}


@dataclass(frozen=True)
class Place:
    """A frame of a stack."""
    function: str
    line: str                   # "f.c:42", "" when it is not known

    def __str__(self) -> str:
        return f"{self.function} ({self.line})" if self.line else self.function


NOWHERE = Place("a place that was not recorded", "")


@dataclass(frozen=True)
class Finding:
    """``kind`` is a stable word for machines."""
    kind: str
    text: str
    place: Place
    next: str
    share: float                # of the time that it concerns, for the order


def frames(stack: str) -> List[Place]:
    """The frames of a stack as it stands in a trace, the innermost first."""
    found = []
    for text in stack.split(" < ") if stack else ():
        match = FRAME.match(text)
        if match:
            found.append(Place(match["function"], match["place"] or ""))
    return found


def leaf(stack: str) -> Place:
    """The innermost frame that is the program's own: one with a line, if there is any."""
    every = [place for place in frames(stack) if place.function != "..."]
    own = [place for place in every if not LIBRARY.match(place.function)]
    return next((place for place in own if place.line), (own or every or [NOWHERE])[0])


def findings(timeline: Timeline, waits: Sequence[Waits]) -> List[Finding]:
    """All findings, the weightiest first."""
    if timeline.duration < LONG_ENOUGH:
        return []
    crowd = list(_crowd(timeline))
    found = list(_locks(timeline))
    if not found and not any(finding.kind == "too-many-threads" for finding in crowd):
        found = list(_stage(timeline, waits))
    found += crowd
    return sorted(found, key=lambda finding: (finding.kind == "busy-machine", -finding.share))


def running(threads: Sequence[Thread]) -> int:
    """Time on processors; where the kernel was not asked, what was not blocked."""
    return sum(thread.times.running + thread.times.unknown for thread in threads)


# locks --------------------------------------------------------------------------------------------


def _locks(timeline: Timeline) -> Iterator[Finding]:
    for lock in locks(timeline)[:3]:
        those = [timeline.threads[place] for place in lock.threads]
        life = sum(thread.times.life for thread in those)
        span = max(wait.end for wait in lock.waits) - min(wait.start for wait in lock.waits)
        if not life or lock.total < WAITING * life or lock.contended < CONTENDED * \
                timeline.duration or len(lock.waits) < 2:
            continue
        taken = leaf(max(lock.stacks, key=lambda stack: lock.stacks[stack]))
        blame = next((blame for blame in lock.blames if blame.believed), None)
        share = lock.contended / timeline.duration
        if blame and blame.time >= HELD_ASLEEP * (lock.known - lock.queued) and \
                2 * lock.known >= lock.contended and \
                (blame.count >= 3 or blame.time >= 0.8 * lock.contended):
            yield _asleep(timeline, lock, blame, taken, share)
        elif running(those) <= SERIAL * span and len(those) > 1:
            yield _serial(timeline, lock, those, span, taken, share)


def _asleep(timeline: Timeline, lock: Lock, blame: Blame, taken: Place, share: float) -> Finding:
    where = leaf(blame.stack)
    doing = WORDS.get(blame.cause, f"waits ({blame.cause})")
    if blame.cause in LOCKS:
        doing = "waits for another lock"
    most = f"up to {lock.most} threads" if lock.most > 1 else "another thread"
    noun = {"sleep": "sleep", "read": "read", "write": "write"}.get(blame.cause, "wait")
    what = "the sleep" if noun == "sleep" else f"the {noun}"
    return Finding(
        "lock-held-asleep",
        f"lock held across a {noun}: {where} {doing} while {most} wait{'s' * (lock.most < 2)} for "
        f"the lock taken at {taken}: {_percent(blame.time, lock.contended)} of the time that the "
        "lock was waited for", where,
        f"look at {where}: can the lock be released before {what} and taken again after it?", share)


def _serial(timeline: Timeline, lock: Lock, those: Sequence[Thread], span: int, taken: Place,
            share: float) -> Finding:
    life = sum(thread.times.life for thread in those)
    region = _region(timeline, lock.threads)
    inside = f" The holders are mostly in region '{short(region)}'." if region else ""
    return Finding(
        "serialised",
        f"{len(those)} threads, {running(those) / max(span, 1):.1f} running on average: serialised "
        f"on the lock taken at {taken}; they spend {_percent(lock.total, life)} of their time "
        f"waiting for it.{inside}", taken,
        f"look at what is done between lock and unlock at {taken}: less work inside, a lock for "
        "each part of the data, or results of each thread's own, added up at the end", share)


def _region(timeline: Timeline, places: Iterable[int]) -> str:
    """The region in which these threads are most, without those inside; "" when there is none."""
    rows = regions(timeline, places)
    return max(rows, key=lambda row: row.self).name if rows else ""


# processors ---------------------------------------------------------------------------------------


def _crowd(timeline: Timeline) -> Iterator[Finding]:
    """More threads than processors; or enough processors, that others had."""
    those = [thread for thread in timeline.threads
             if thread.times.running + thread.times.runnable > 0.1 * max(thread.times.life, 1)]
    ran, waited = (sum(thread.times.running for thread in those),
                   sum(thread.times.runnable for thread in those))
    if waited < CROWDED * (ran + waited) or ran + waited < 0.5 * timeline.duration:
        return
    average, ready = ran / timeline.duration, (ran + waited) / timeline.duration
    count = _processors(timeline)
    share = waited / (ran + waited)
    enough = count or max(1.0, average)
    if len(those) > enough and (ready >= CROWD * enough or
                                average >= 0.7 * enough and ready >= 1.5 * enough):
        yield _too_many(timeline, those, share, average, count)
    else:
        yield Finding(
            "busy-machine",
            f"threads wait {_percent(share, 1)} of the time that they could run for a "
            f"processor, but only {average:.1f} of {len(those)} run on average: other programs, or "
            "a limit of the container, have the processors", Place("", ""),
            "see what else runs on the machine, and whether a processor quota is set (cpu.max); "
            "then take the trace again", share)


def _too_many(timeline: Timeline, those: Sequence[Thread], share: float, average: float,
              count: int) -> Finding:
    name, place = _common_name(those), _begin(timeline, those)
    those = [thread for thread in those if not name or stem(thread.name) == name]
    called = f" '{short(name)}'" if name else ""
    on = f"on {_plural(count, 'processor')}" if count else f"where {average:.1f} run on average"
    return Finding(
        "too-many-threads",
        f"threads wait {_percent(share, 1)} of the time that they could run for a "
        f"processor: {len(those)} threads{called} {on}"
        + (f", busy in {place}" if place.function else ""), place,
        "start as many threads as there are processors (sysconf(_SC_NPROCESSORS_ONLN)) and give "
        "each of them more of the work", share)


def _processors(timeline: Timeline) -> int:
    """How many there were; 0 when the trace does not say."""
    found = [process.facts.get("processors", 0) for process in timeline.processes]
    return max((value for value in found if isinstance(value, int)), default=0)


def _common_name(those: Sequence[Thread]) -> str:
    """What most of these threads are called, without numbers at the end."""
    names: Dict[str, int] = {}
    for thread in those:
        name = stem(thread.name)
        names[name] = names.get(name, 0) + 1
    best = max(names, key=lambda name: names[name])
    return best if 2 * names[best] > len(those) else ""


def stem(name: str) -> str:
    """The name that threads of one kind have in common: worker of worker-12."""
    return re.sub(r"[-_ #:/]*\d+$", "", name)


def _begin(timeline: Timeline, those: Sequence[Thread]) -> Place:
    """What these threads do: the function in which samples find them, or their region."""
    places = {id(thread): place for place, thread in enumerate(timeline.threads)}
    where = _sampled(timeline, those)
    region = "" if where.function else _region(timeline, [places[id(item)] for item in those])
    return Place(f"region '{short(region)}'", "") if region else where


def _sampled(timeline: Timeline, those: Sequence[Thread]) -> Place:
    """The function of the program in which CPU samples find these threads most."""
    weights: Dict[Place, int] = {}
    for thread in those:
        for kind, detail in zip(thread.points.kind, thread.points.detail):
            stack = timeline.details[detail].get("stack", "") if kind == SAMPLE else ""
            if isinstance(stack, str) and stack:
                place = leaf(stack)
                weights[place] = weights.get(place, 0) + 1
    return max(weights, key=lambda place: weights[place]) if weights else Place("", "")


# stages -------------------------------------------------------------------------------------------


def _stage(timeline: Timeline, waits: Sequence[Waits]) -> Iterator[Finding]:
    """One thread is busy all the time, and the others wait for it again and again."""
    turns: Dict[int, int] = {}
    handed: Dict[int, int] = {}
    for row in waits:
        if row.cause in HAND_OVER:
            for place, total in row.threads.items():
                handed[place] = handed.get(place, 0) + total
                turns[place] = turns.get(place, 0) + row.turns.get(place, 0)
    candidates = [(place, thread) for place, thread in enumerate(timeline.threads)
                  if thread.tid and thread.times.life > 0.5 * timeline.duration
                  and thread.times.blocked.get("join", 0) < 0.5 * thread.times.life]
    busy = [(place, thread) for place, thread in candidates
            if _away(thread, HAND_OVER + LOCKS) <= (1 - BUSY) * thread.times.life]
    starved = [(place, thread) for place, thread in candidates
               if turns.get(place, 0) >= TURNS
               and handed.get(place, 0) >= STARVED * thread.times.life]
    if len(busy) != 1 or not starved or len(starved) + 1 < len(candidates):
        return
    place, thread = busy[0]
    if running([other for _, other in candidates]) > 2 * timeline.duration:
        return
    yield _slow(timeline, place, thread, [other for _, other in starved], waits)


def _away(thread: Thread, causes: Sequence[str]) -> int:
    """How long the thread waited for these causes."""
    return sum(thread.times.blocked.get(cause, 0) for cause in causes) + thread.times.idle


def _slow(timeline: Timeline, place: int, thread: Thread, others: Sequence[Thread],
          waits: Sequence[Waits]) -> Finding:
    life = thread.times.life
    region = _region(timeline, [place])
    stage = short(region or thread.label)
    where = _whereabouts(timeline, place, waits)
    waited = sum(_away(other, HAND_OVER) for other in others)
    most = max(thread.times.blocked.items(), key=lambda item: item[1], default=("", 0))
    asleep = f"; {_percent(most[1], life)} of that it waits ({most[0]})" * (most[1] > 0.3 * life)
    at = f" in {where}" if where.function else ""
    return Finding(
        "slow-stage",
        f"one slow stage: '{stage}' (thread {short(thread.label)}) is busy "
        f"{_percent(life - _away(thread, HAND_OVER + LOCKS), life)} of the time{at}{asleep}, while "
        f"{len(others)} other{'s' * (len(others) > 1)} wait for it "
        f"{_percent(waited, sum(other.times.life for other in others))} of theirs", where,
        "make this stage faster (profile it alone), or let several threads do it; the others "
        "cannot be quicker than it is", (life - _away(thread, HAND_OVER)) / life)


def _whereabouts(timeline: Timeline, place: int, waits: Sequence[Waits]) -> Place:
    """The function of the program in which this thread is found most: by samples, else waits."""
    sampled = _sampled(timeline, [timeline.threads[place]])
    weights: Dict[Place, int] = {}
    for row in waits:
        if place in row.threads and row.stack:
            weights[leaf(row.stack)] = weights.get(leaf(row.stack), 0) + row.threads[place]
    if sampled.function or not weights:
        return sampled
    return max(weights, key=lambda item: weights[item])


def _plural(count: int, word: str) -> str:
    return f"{count} {word}{'s' * (count != 1)}"


def _percent(part: float, whole: float) -> str:
    return f"{100 * part / whole:.0f} %" if whole else "0 %"
