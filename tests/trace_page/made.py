"""Timelines made by hand, for the page to draw."""
from __future__ import annotations

import random
from array import array
from typing import Dict, Optional, Sequence

from graders import states
from graders.timeline import (BLOCKED, LOG, NO_TASK, REGION, SAMPLE, STATE_NAMES, WORK, Counter,
                              FlowPoint, Points, Process, Slices, Task, Thread, Timeline)

MS = 1_000_000
TICK = 10 * MS      # how often the kernel is asked
STACK = "pthread_mutex_lock+0x1c < take (store.c:42) < serve (store.c:90) < main (main.c:12)"


class Maker:
    """Builds a Timeline piece by piece."""

    def __init__(self, duration: int, name: str = "server") -> None:
        self.timeline = Timeline(start=1, unix=1_790_000_000 * 10 ** 9, duration=duration)
        self.process(name)
        self._strings: Dict[str, int] = {"": 0}

    def process(self, name: str, pid: int = 4711) -> None:
        self.timeline.processes.append(Process(
            pid, name, f"./{name} --port 80", f"/usr/bin/{name}",
            {"records": 12, "lost": 0, "clock": "tsc"}))

    def text(self, text: str) -> int:
        if text not in self._strings:
            self._strings[text] = len(self.timeline.strings)
            self.timeline.strings.append(text)
        return self._strings[text]

    def detail(self, **items: "int | float | str") -> int:
        self.timeline.details.append(dict(items))
        return len(self.timeline.details) - 1

    def thread(self, name: str, start: int = 0, end: Optional[int] = None,
               pid: int = 4711) -> Thread:
        thread = Thread(uuid=len(self.timeline.threads) + 9, pid=pid,
                        tid=5000 + len(self.timeline.threads), name=name, start=start,
                        end=self.timeline.duration if end is None else end)
        self.timeline.threads.append(thread)
        return thread

    def slice(self, track: Slices, start: int, duration: int, name: str, kind: int = REGION,
              depth: int = 0, detail: int = 0) -> None:
        for column, value in ((track.start, start), (track.duration, duration),
                              (track.name, self.text(name)), (track.kind, kind),
                              (track.depth, depth), (track.detail, detail)):
            column.append(value)
        self.timeline.events += 2

    def point(self, points: Points, time: int, name: str, kind: int = LOG, detail: int = 0) -> None:
        for column, value in ((points.time, time), (points.name, self.text(name)),
                              (points.kind, kind), (points.detail, detail)):
            column.append(value)
        self.timeline.events += 1

    def task(self, name: str, start: int, end: int, parent: int = NO_TASK, pid: int = 4711) -> int:
        number = len(self.timeline.tasks) + 1
        self.timeline.tasks.append(Task(number, number, parent, pid, name, start, end))
        return number

    def ran(self, thread: Thread, start: int, end: int, waited: bool = False) -> None:
        """The kernel's count: the thread ran, or waited for a processor, from start to end."""
        track = thread.sched
        while start < end:
            interval = start // TICK * TICK
            stop = min(end, interval + TICK)
            if not len(track) or track.start[-1] != interval:
                for column, value in ((track.start, interval), (track.duration, TICK),
                                      (track.run, 0), (track.wait, 0)):
                    column.append(value)
            (track.wait if waited else track.run)[-1] += stop - start
            start = stop

    def settled(self) -> Timeline:
        """The finished timeline, with the threads' times."""
        for text in STATE_NAMES.values():
            self.text(text)
        counted = any(len(thread.sched) for thread in self.timeline.threads)
        for thread in self.timeline.threads:
            states.settle(thread, self.timeline, counted)
        return self.timeline

    def counter(self, name: str, times: Sequence[int], values: Sequence[float]) -> None:
        self.timeline.counters.append(Counter(1, 4711, name, array("q", times), array("d", values)))


def server(workers: int = 4, requests: int = 60, seed: int = 1) -> Timeline:
    """A server whose workers take a lock around a slow write; requests are tasks."""
    maker, draw = Maker(400 * MS), random.Random(seed)
    acceptor = maker.thread("accept")
    threads = [maker.thread(f"worker-{i}") for i in range(workers)]
    free = [0] * workers
    lock = 0
    sock = maker.detail(stack="read+0x12 < wait_request (net.c:33) < main (main.c:9)", object=7)
    for number in range(requests):
        arrival = number * 6 * MS + draw.randrange(2 * MS)
        worker = min(range(workers), key=free.__getitem__)
        begin = max(arrival, free[worker])
        if begin > maker.timeline.duration - 40 * MS:
            break
        lock = _request(maker, threads[worker], begin, arrival, lock, draw)
        free[worker] = lock + 2 * MS
        _accept(maker, acceptor, arrival, sock)
    times = list(range(0, maker.timeline.duration, MS))
    maker.counter("heap live bytes", times, [2e6 + 4e5 * draw.random() + t / 200 for t in times])
    maker.counter("queue", times[::5], [float(draw.randrange(9)) for _ in times[::5]])
    maker.timeline.notes = ("2 regions had no end; they are drawn to the end of the trace",)
    return maker.settled()


def _accept(maker: Maker, thread: Thread, time: int, detail: int) -> None:
    last = thread.slices
    before = last.start[-1] + last.duration[-1] + 200_000 if len(last) else 0
    maker.slice(last, before, max(1000, time - before), "accept", BLOCKED, 0, detail)
    maker.ran(thread, max(before, time), max(before, time) + 200_000)
    maker.point(thread.points, max(before, time) + 10_000, "accepted")


def _request(maker: Maker, thread: Thread, begin: int, arrival: int, lock: int,
             draw: random.Random) -> int:
    """One request on a worker; returns when it let go of the lock."""
    parse, write = draw.randrange(MS, 3 * MS), draw.randrange(2 * MS, 7 * MS)
    ready = begin + parse
    taken = max(ready + 1000, lock)
    done = taken + write
    end = done + 2 * MS
    task = maker.task("request", arrival, end)
    slices = thread.slices
    wait = maker.detail(stack=STACK, object=0x55AA00)
    maker.slice(slices, begin, end - begin, "request", WORK, 0, maker.detail(task=task))
    maker.slice(slices, begin, parse, "parse", REGION, 1)
    maker.slice(slices, ready, done - ready, "store", REGION, 1)
    maker.slice(slices, ready, taken - ready, "lock", BLOCKED, 2, wait)
    maker.slice(slices, taken + write // 4, write // 2, "write", BLOCKED, 2,
                maker.detail(stack="write+0x10 < flush (store.c:61) < serve (store.c:90)"))
    maker.slice(slices, done, 2 * MS, "reply", REGION, 1)
    maker.ran(thread, begin, ready)
    maker.ran(thread, taken, taken + write // 4, draw.random() < 0.5)
    maker.ran(thread, taken + write // 4 + write // 2, end)
    maker.point(thread.points, begin + parse // 2, "user", LOG,
                maker.detail(text="id 17, from Rome"))
    maker.point(thread.points, done + MS, "memcpy", SAMPLE,
                maker.detail(stack="memcpy+0x9 < reply (net.c:70)", weight_ns=10 * MS))
    numbers = maker.timeline.threads.index(thread)
    maker.timeline.flows += [FlowPoint(task, arrival, 0, -1), FlowPoint(task, begin, numbers, -1)]
    return done


def many(events: int, threads: int = 8, seed: int = 3) -> Timeline:
    """A trace of about so many events: begins and ends of nested regions and of waits."""
    maker, draw = Maker(10 * 10 ** 9), random.Random(seed)
    for number in range(threads):
        thread = maker.thread(f"worker-{number}")
        _fill(maker, thread, events // 2 // threads, draw)
        maker.timeline.events += 2 * len(thread.slices)
    return maker.settled()


def _fill(maker: Maker, thread: Thread, count: int, draw: random.Random) -> None:
    """Three nested regions again and again, and now and then a wait after them."""
    names = [maker.text(f"step {i}") for i in range(40)]
    lock, detail = maker.text("lock"), maker.detail(stack=STACK)
    step = maker.timeline.duration // (count // 4)
    slices = thread.slices
    for begin in range(0, maker.timeline.duration - step, step):
        longest = int(step * draw.uniform(0.4, 0.7))
        for depth, length in enumerate((longest, longest // 2, longest // 4)):
            _append(slices, begin + 9 * depth, length, names[draw.randrange(40)], REGION, depth, 0)
        _append(slices, begin + longest, step - longest - 5, lock, BLOCKED, 0, detail)
        maker.ran(thread, begin, begin + longest, draw.random() < 0.3)


def _append(slices: Slices, start: int, length: int, name: int, kind: int, depth: int,
            detail: int) -> None:
    slices.start.append(start)
    slices.duration.append(length)
    slices.name.append(name)
    slices.kind.append(kind)
    slices.depth.append(depth)
    slices.detail.append(detail)
