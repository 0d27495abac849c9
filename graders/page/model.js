// The trace as the page uses it: lanes that can be searched by time, bars of states, tasks.
//
// A lane holds intervals that do not overlap, in the order of time: `start`, `end`, `ref` (which
// entry of its table) and `cover`, the time covered by all before it, so that what lies below one
// pixel is known without looking at each interval.
'use strict';

const REGION = 0,
  WORK = 1,
  BLOCKED = 2,
  OTHER = 3;
const POINT_KINDS = ['log', 'instant', 'flow', 'CPU sample', 'note'];
const SLICE_KINDS = ['region', 'work for a task', 'blocked', 'other'];
const FLOW = 2,
  SAMPLE = 3;

// What the bar of a thread tells apart; colours and patterns are in paint.js.
const GROUPS = [
  'running',
  'waiting for a processor',
  'waiting for other threads',
  'waiting for input or output',
  'sleeping',
  'idle or not known',
];
const CAUSES = {
  2: [
    'lock',
    'rwlock (read)',
    'rwlock (write)',
    'condition',
    'join',
    'semaphore',
    'barrier',
    'wait for a child',
  ],
  3: ['read', 'write', 'poll', 'epoll', 'select', 'accept', 'connect', 'send', 'receive'],
  4: ['sleep'],
};
const GROUP_OF_CAUSE = new Map(
  Object.entries(CAUSES).flatMap(([group, causes]) => causes.map(cause => [cause, Number(group)])),
);

const RAN = 0,
  READY = 1,
  ASLEEP = 5; // groups

function groupOf(cause) {
  return GROUP_OF_CAUSE.get(cause) ?? 2;
}

// The first place from `from` on with a value of at least (more than) `value`: steps that double,
// then halves, since it is mostly near.
function firstAtLeast(values, value, from = 0, to = values.length) {
  let step = 1,
    low = from;
  while (low < to && values[low] < value) {
    from = low + 1;
    low += step;
    step *= 2;
  }
  for (let high = Math.min(low, to); from < high;) {
    const middle = (from + high) >>> 1;
    if (values[middle] < value) from = middle + 1;
    else high = middle;
  }
  return from;
}

function firstAbove(values, value, from = 0, to = values.length) {
  let step = 1,
    low = from;
  while (low < to && values[low] <= value) {
    from = low + 1;
    low += step;
    step *= 2;
  }
  for (let high = Math.min(low, to); from < high;) {
    const middle = (from + high) >>> 1;
    if (values[middle] <= value) from = middle + 1;
    else high = middle;
  }
  return from;
}

class Lane {
  constructor(count) {
    this.count = 0;
    this.start = new Float64Array(count);
    this.end = new Float64Array(count);
    this.ref = new Uint32Array(count);
    this.cover = new Float64Array(count + 1);
  }
  add(start, end, ref) {
    const i = this.count++;
    this.start[i] = start;
    this.end[i] = end;
    this.ref[i] = ref;
    this.cover[i + 1] = this.cover[i] + (end - start);
  }
  // The places that share time with a range; moments count when they lie in it, or at its ends.
  between(from, to) {
    let first = firstAtLeast(this.end, from);
    while (first < this.count && this.end[first] === from && this.start[first] < from) first++;
    let last = firstAbove(this.start, to, first);
    while (last > first && this.start[last - 1] === to && this.end[last - 1] > to) last--;
    return [first, last];
  }
  coveredBefore(time) {
    const i = firstAtLeast(this.end, time);
    return i < this.count ? this.cover[i] + Math.max(0, time - this.start[i]) : this.cover[i];
  }
}

// What a thread was doing, side by side: waits as the program noted them, and between them what the
// kernel counted, by interval. The kernel does not say when in an interval a thread ran, so these
// pieces are shares: `spent` has, for each group, the time spent in it before each piece. `ref` is
// the slice of a wait; -1 in a piece of shares.
class Bar extends Lane {
  constructor(trace, thread) {
    const pieces = thread.tid ? piecesOf(trace, thread) : [];
    super(pieces.length);
    this.ref = new Int32Array(pieces.length);
    this.group = new Uint8Array(pieces.length); // that of the largest share
    this.spent = GROUPS.map(() => new Float64Array(pieces.length + 1));
    pieces.forEach(({start, end, ref, shares}, at) => {
      this.add(start, end, ref);
      this.group[at] = shares.indexOf(Math.max(...shares));
      shares.forEach((share, group) => {
        this.spent[group][at + 1] = this.spent[group][at] + share * (end - start);
      });
    });
  }
  share(group, at) {
    return (
      (this.spent[group][at + 1] - this.spent[group][at]) / (this.end[at] - this.start[at] || 1)
    );
  }
  // Where a wait is; one inside another wait is where that is.
  pieceOfWait({slices}, ref) {
    return Math.min(firstAbove(this.end, slices.start[ref]), this.count - 1);
  }
  spentBefore(group, time) {
    const i = firstAtLeast(this.end, time),
      before = this.spent[group][i];
    return i < this.count
      ? before + this.share(group, i) * Math.max(0, time - this.start[i])
      : before;
  }
}

const SHARES = GROUPS.map((_, group) => GROUPS.map((_, other) => Number(other === group)));

// Pieces of a thread's life: its waits, and the gaps between them as the kernel counted them. Gaps
// without a count are sleep, for the kernel was asked of all threads that ran; unless it never was.
function piecesOf(trace, thread) {
  const {sched} = trace,
    waits = waitsOf(trace, thread),
    pieces = [];
  const shares = sharesOf(sched, thread, waits);
  let next = thread.sched[0];
  const add = (start, end, ref, parts) => {
    const last = pieces[pieces.length - 1];
    if (last && ref < 0 && last.shares === parts && last.end === start) last.end = end;
    else if (end > start) pieces.push({start, end, ref, shares: parts});
  };
  const fill = (low, high) => {
    while (low < high) {
      while (next < thread.sched[1] && sched.start[next] + sched.duration[next] <= low) next++;
      const begin = next < thread.sched[1] ? Math.min(high, sched.start[next]) : high;
      if (begin > low && sched.count) add(low, begin, -1, SHARES[ASLEEP]);
      low = Math.max(low, begin);
      if (low >= high) return;
      const end = Math.min(high, sched.start[next] + sched.duration[next]);
      add(low, end, -1, shares[next - thread.sched[0]]);
      low = end;
    }
  };
  let time = thread.start;
  for (const {start, end, ref, group, ready} of waits) {
    const woken = Math.max(start, end - Math.round(ready));
    fill(time, start);
    add(start, woken, ref, SHARES[group]);
    add(woken, end, ref, SHARES[READY]);
    time = end;
  }
  fill(time, thread.end);
  return pieces;
}

// The waits of a thread that are in no other wait. `ready` is how long at its end the thread only
// lacked a processor.
function waitsOf(trace, {slices: [from, to]}) {
  const {start, duration, kind, name} = trace.slices,
    waits = [];
  let last = -1;
  for (let i = from; i < to; i++) {
    if (kind[i] !== BLOCKED || start[i] < last || !duration[i]) continue;
    last = start[i] + duration[i];
    const group = groupOf(trace.text(name[i]));
    waits.push({start: start[i], end: last, ref: i, group, ready: 0});
  }
  return waits;
}

// For each interval of the kernel's: of the time in it that was no wait, what share of it was spent
// running, waiting for a processor, and asleep. When waits take more of an interval than the thread
// can have slept, the rest of them was waiting for a processor.
function sharesOf(sched, {sched: [from, to]}, waits) {
  const all = [];
  let at = 0;
  for (let i = from; i < to; i++) {
    const start = sched.start[i],
      end = start + sched.duration[i],
      parts = [];
    for (; at < waits.length && waits[at].start < end; at++) {
      const part = Math.min(waits[at].end, end) - Math.max(waits[at].start, start);
      if (part > 0) parts.push([waits[at], part]);
      if (waits[at].end > end) break;
    }
    const noted = parts.reduce((sum, [, part]) => sum + part, 0);
    const over = noted + sched.run[i] + sched.wait[i] - (end - start);
    const late = Math.max(0, Math.min(over, sched.wait[i], noted));
    for (const [wait, part] of parts) wait.ready += (late * part) / noted;
    all.push(sharesIn(end - start - noted, sched.run[i], sched.wait[i] - late));
  }
  return all;
}

function sharesIn(free, run, wait) {
  const ran = free > 0 ? Math.min(1, run / free) : 0;
  const ready = free > 0 ? Math.min(1 - ran, wait / free) : 0;
  if (ran > 0.98) return SHARES[RAN];
  if (ready > 0.98) return SHARES[READY];
  return [ran, ready, 0, 0, 0, Math.max(0, 1 - ran - ready)];
}

class Trace {
  constructor({header, tables}) {
    Object.assign(this, header);
    Object.assign(this, {
      slices: tables.slices,
      sched: tables.sched,
      points: tables.points,
      tasks: tables.tasks,
      flows: tables.flows,
      values: tables.values,
    });
    this.nested = new Uint8Array(this.slices.count);
    this.readDetails();
    let slices = 0,
      sched = 0,
      points = 0,
      states = 0,
      values = 0;
    this.threads.forEach((thread, number) => {
      thread.number = number;
      thread.slices = [slices, (slices += thread.slices)];
      thread.sched = [sched, (sched += thread.sched)];
      thread.points = [points, (points += thread.points)];
      thread.lanes = this.lanesOf(thread);
      this.markNested(thread);
      thread.bar = new Bar(this, thread);
      thread.spent = spentInLife(thread.times);
      thread.states = [states, (states += thread.bar.count)];
    });
    this.pieces = states;
    for (const counter of this.counters) {
      const from = values;
      values += counter.count;
      counter.time = this.values.time.subarray(from, values);
      counter.value = this.values.value.subarray(from, values);
      counter.tree = extremes(counter.value);
      const owners = this.threads.filter(({process}) => process === counter.process);
      const ends = owners.map(({end}) => end);
      counter.end = ends.reduce((a, b) => Math.max(a, b), counter.time[counter.time.length - 1]);
    }
    this.readTasks();
  }

  text(string) {
    return this.strings[string];
  }

  // Of each annotation: the number of its stack, 0 for none.
  readDetails() {
    const key = this.strings.indexOf('stack');
    this.stackOf = new Uint32Array(this.details.length);
    this.details.forEach((detail, number) => {
      for (let i = 0; i < detail.length; i += 2)
        if (detail[i] === key && Array.isArray(detail[i + 1]))
          this.stackOf[number] = detail[i + 1][0];
    });
  }

  // [[key, value], ...]; a text is kept as [number of its string], a number as itself.
  detailOf(number) {
    const flat = this.details[number],
      pairs = [];
    for (let i = 0; i < flat.length; i += 2) {
      const value = flat[i + 1];
      pairs.push([this.text(flat[i]), Array.isArray(value) ? this.text(value[0]) : value]);
    }
    return pairs;
  }

  // Marks slices that lie inside one of their name: their time is in a total already.
  markNested({slices: [from, to]}) {
    const {name, depth} = this.slices,
      path = [],
      open = new Map();
    for (let i = from; i < to; i++) {
      while (path.length > depth[i]) {
        const ended = path.pop();
        open.set(ended, open.get(ended) - 1);
      }
      const above = open.get(name[i]) || 0;
      this.nested[i] = above ? 1 : 0;
      open.set(name[i], above + 1);
      path.push(name[i]);
    }
  }

  // A lane for each depth. Waits of threads are left out: they stand in the bar.
  lanesOf({slices: [from, to], tid}) {
    const {start, duration, depth, kind} = this.slices,
      counts = [];
    for (let i = from; i < to; i++)
      if (kind[i] !== BLOCKED || !tid) counts[depth[i]] = (counts[depth[i]] || 0) + 1;
    const lanes = Array.from(counts, count => new Lane(count || 0));
    for (let i = from; i < to; i++)
      if (kind[i] !== BLOCKED || !tid) lanes[depth[i]].add(start[i], start[i] + duration[i], i);
    return lanes;
  }

  readTasks() {
    const {tasks, slices} = this,
      ids = new Map();
    for (let i = 0; i < tasks.count; i++) ids.set(`${tasks.process[i]}:${this.taskIds[i]}`, i);
    const key = this.strings.indexOf('task');
    this.taskOfSlice = new Map();
    this.works = Array.from({length: tasks.count}, () => []);
    for (const thread of this.threads) {
      for (let i = thread.slices[0]; i < thread.slices[1]; i++) {
        if (slices.kind[i] !== WORK) continue;
        const task = ids.get(`${thread.process}:${this.annotation(slices.detail[i], key)}`);
        if (task === undefined) continue;
        this.taskOfSlice.set(i, task);
        this.works[task].push({thread, slice: i});
      }
    }
    for (const list of this.works)
      list.sort((a, b) => slices.start[a.slice] - slices.start[b.slice]);
    this.taskRows = packTasks(this);
  }

  rowOfTask(task) {
    const {name, process} = this.tasks;
    return this.taskRows.find(row => row.name === name[task] && row.process === process[task]);
  }

  annotation(detail, key) {
    const flat = this.details[detail];
    for (let i = 0; i < flat.length; i += 2) {
      if (flat[i] === key)
        return Array.isArray(flat[i + 1]) ? this.text(flat[i + 1][0]) : flat[i + 1];
    }
    return undefined;
  }

  // The slice of a thread that was innermost at a time, or null.
  innermost(thread, time, above = thread.lanes.length) {
    for (let depth = Math.min(above, thread.lanes.length) - 1; depth >= 0; depth--) {
      const lane = thread.lanes[depth],
        i = firstAbove(lane.end, time);
      if (i < lane.count && lane.start[i] <= time) return lane.ref[i];
    }
    return null;
  }

  // The task a thread worked for at a time: that of the innermost work around it.
  taskAt(thread, time) {
    for (let depth = thread.lanes.length - 1; depth >= 0; depth--) {
      const lane = thread.lanes[depth],
        i = firstAbove(lane.end, time);
      if (i < lane.count && lane.start[i] <= time && this.taskOfSlice.has(lane.ref[i]))
        return this.taskOfSlice.get(lane.ref[i]);
    }
    return null;
  }

  // The thread that an entry of a table belongs to.
  threadOf(table, ref) {
    let low = 0,
      high = this.threads.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.threads[middle][table][1] <= ref) low = middle + 1;
      else high = middle;
    }
    return this.threads[low];
  }
}

// Tasks of one name lie below each other where they overlap: each on the first lane that is free.
function packTasks(trace) {
  const {tasks} = trace,
    rows = new Map();
  for (let i = 0; i < tasks.count; i++) {
    const key = `${tasks.process[i]}:${tasks.name[i]}`;
    if (!rows.has(key))
      rows.set(key, {name: tasks.name[i], process: tasks.process[i], members: []});
    rows.get(key).members.push(i);
  }
  trace.laneOfTask = new Uint32Array(tasks.count);
  for (const row of rows.values()) {
    const ends = [],
      lists = [];
    for (const task of row.members) {
      const start = tasks.start[task],
        end = start + tasks.duration[task];
      let lane = ends.findIndex(other => other <= start);
      if (lane < 0) lane = ends.length < 64 ? ends.length : soonest(ends);
      (lists[lane] = lists[lane] || []).push(task);
      ends[lane] = Math.max(end, ends[lane] || 0);
      trace.laneOfTask[task] = lane;
    }
    row.lanes = lists.map(list => {
      const lane = new Lane(list.length);
      for (const task of list)
        lane.add(tasks.start[task], tasks.start[task] + tasks.duration[task], task);
      return lane;
    });
  }
  return [...rows.values()];
}

function soonest(ends) {
  return ends.indexOf(Math.min(...ends));
}

// The least and greatest of each 32 values, of each 1,024, and so on.
function extremes(values) {
  const levels = [];
  let low = values,
    high = values;
  while (low.length > 32) {
    const count = Math.ceil(low.length / 32);
    const least = new Float64Array(count).fill(Infinity);
    const most = new Float64Array(count).fill(-Infinity);
    for (let i = 0; i < low.length; i++) {
      const block = i >> 5;
      if (low[i] < least[block]) least[block] = low[i];
      if (high[i] > most[block]) most[block] = high[i];
    }
    levels.push([(low = least), (high = most)]);
  }
  return levels;
}

// [least, greatest] of values[from..to).
function extremesBetween(counter, from, to) {
  let least = Infinity,
    most = -Infinity,
    low = counter.value,
    high = counter.value;
  const take = i => {
    least = Math.min(least, low[i]);
    most = Math.max(most, high[i]);
  };
  for (let level = 0; from < to; level++) {
    while (from < to && (from & 31 || to - from < 32)) take(from++);
    while (from < to && to & 31) take(--to);
    if (from >= to) break;
    [low, high] = counter.tree[level];
    from >>= 5;
    to >>= 5;
  }
  return [least, most];
}
