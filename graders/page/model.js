// The trace as the page uses it: lanes that can be searched by time, sums over a range, a search.
//
// A lane holds intervals that do not overlap, in the order of time: `start`, `end`, `ref` (which
// entry of its table) and `cover`, the time covered by all before it, so that what lies below one
// pixel is known without looking at each interval.
'use strict';

const REGION = 0, WORK = 1, BLOCKED = 2, OTHER = 3, RUNNING = 4, RUNNABLE = 5, IDLE = 6;
const POINT_KINDS = ['log', 'instant', 'flow', 'CPU sample', 'note'];
const SLICE_KINDS = ['region', 'work for a task', 'blocked', 'other'];
const FLOW = 2, SAMPLE = 3;

// What the bar of a thread tells apart; colours and patterns are in paint.js.
const GROUPS = ['running', 'waiting for a processor', 'waiting for other threads',
                'waiting for input or output', 'sleeping', 'idle or not known'];
const CAUSES = {
  2: ['lock', 'rwlock (read)', 'rwlock (write)', 'condition', 'join', 'semaphore', 'barrier',
      'wait for a child'],
  3: ['read', 'write', 'poll', 'epoll', 'select', 'accept', 'connect', 'send', 'receive'],
  4: ['sleep'],
};
const GROUP_OF_CAUSE = new Map(Object.entries(CAUSES).flatMap(
  ([group, causes]) => causes.map(cause => [cause, Number(group)])));

function groupOf(kind, cause) {
  if (kind === RUNNING) return 0;
  if (kind === RUNNABLE) return 1;
  return kind === BLOCKED ? GROUP_OF_CAUSE.get(cause) ?? 2 : 5;
}

// The first place from `from` on with a value of at least (more than) `value`: steps that double,
// then halves, since it is mostly near.
function firstAtLeast(values, value, from = 0, to = values.length) {
  let step = 1, low = from;
  while (low < to && values[low] < value) {
    from = low + 1;
    low += step;
    step *= 2;
  }
  for (let high = Math.min(low, to); from < high;) {
    const middle = (from + high) >>> 1;
    if (values[middle] < value) from = middle + 1; else high = middle;
  }
  return from;
}

function firstAbove(values, value, from = 0, to = values.length) {
  let step = 1, low = from;
  while (low < to && values[low] <= value) {
    from = low + 1;
    low += step;
    step *= 2;
  }
  for (let high = Math.min(low, to); from < high;) {
    const middle = (from + high) >>> 1;
    if (values[middle] <= value) from = middle + 1; else high = middle;
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

class Trace {
  constructor({header, tables}) {
    Object.assign(this, header);
    Object.assign(this, {slices: tables.slices, states: tables.states, points: tables.points,
                         tasks: tables.tasks, flows: tables.flows, values: tables.values});
    this.readDetails();
    let slices = 0, states = 0, points = 0, values = 0;
    this.threads.forEach((thread, number) => {
      thread.number = number;
      thread.slices = [slices, slices += thread.slices];
      thread.states = [states, states += thread.states];
      thread.points = [points, points += thread.points];
      thread.lanes = this.lanesOf(thread);
      thread.bar = this.barOf(thread);
    });
    for (const counter of this.counters) {
      const from = values;
      values += counter.count;
      counter.time = this.values.time.subarray(from, values);
      counter.value = this.values.value.subarray(from, values);
      counter.tree = extremes(counter.value);
    }
    this.readTasks();
  }

  text(string) { return this.strings[string]; }

  // Of each annotation: the number of its stack, 0 for none.
  readDetails() {
    const key = this.strings.indexOf('stack');
    this.stackOf = new Uint32Array(this.details.length);
    this.details.forEach((detail, number) => {
      for (let i = 0; i < detail.length; i += 2)
        if (detail[i] === key && Array.isArray(detail[i + 1])) this.stackOf[number] = detail[i + 1][0];
    });
  }

  // [[key, value], ...]; a text is kept as [number of its string], a number as itself.
  detailOf(number) {
    const flat = this.details[number], pairs = [];
    for (let i = 0; i < flat.length; i += 2) {
      const value = flat[i + 1];
      pairs.push([this.text(flat[i]), Array.isArray(value) ? this.text(value[0]) : value]);
    }
    return pairs;
  }

  lanesOf({slices: [from, to]}) {
    const {start, duration, depth} = this.slices, counts = [];
    for (let i = from; i < to; i++) counts[depth[i]] = (counts[depth[i]] || 0) + 1;
    const lanes = Array.from(counts, count => new Lane(count || 0));
    for (let i = from; i < to; i++) lanes[depth[i]].add(start[i], start[i] + duration[i], i);
    return lanes;
  }

  // The bar also knows, for each group, the time spent in it before each interval.
  barOf({states: [from, to]}) {
    const {start, duration, kind, name} = this.states, lane = new Lane(to - from);
    lane.group = new Uint8Array(to - from);
    lane.spent = GROUPS.map(() => new Float64Array(to - from + 1));
    for (let i = from; i < to; i++) {
      const group = groupOf(kind[i], this.text(name[i])), at = lane.count;
      lane.add(start[i], start[i] + duration[i], i);
      lane.group[at] = group;
      for (let g = 0; g < GROUPS.length; g++)
        lane.spent[g][at + 1] = lane.spent[g][at] + (g === group ? duration[i] : 0);
    }
    return lane;
  }

  readTasks() {
    const {tasks, slices} = this, ids = new Map();
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
    for (const list of this.works) list.sort((a, b) => slices.start[a.slice] - slices.start[b.slice]);
    this.taskRows = packTasks(this);
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
      const lane = thread.lanes[depth], i = firstAbove(lane.end, time);
      if (i < lane.count && lane.start[i] <= time) return lane.ref[i];
    }
    return null;
  }

  // The task a thread worked for at a time: that of the innermost work around it.
  taskAt(thread, time) {
    for (let depth = thread.lanes.length - 1; depth >= 0; depth--) {
      const lane = thread.lanes[depth], i = firstAbove(lane.end, time);
      if (i < lane.count && lane.start[i] <= time && this.taskOfSlice.has(lane.ref[i]))
        return this.taskOfSlice.get(lane.ref[i]);
    }
    return null;
  }

  // The thread a slice belongs to: the last one whose entries begin before it.
  threadOf(table, ref) {
    let low = 0, high = this.threads.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.threads[middle][table][1] <= ref) low = middle + 1; else high = middle;
    }
    return this.threads[low];
  }
}

// Tasks of one name lie below each other where they overlap: each on the first lane that is free.
function packTasks(trace) {
  const {tasks} = trace, rows = new Map();
  for (let i = 0; i < tasks.count; i++) {
    const key = `${tasks.process[i]}:${tasks.name[i]}`;
    if (!rows.has(key)) rows.set(key, {name: tasks.name[i], process: tasks.process[i], members: []});
    rows.get(key).members.push(i);
  }
  trace.laneOfTask = new Uint32Array(tasks.count);
  for (const row of rows.values()) {
    const ends = [], lists = [];
    for (const task of row.members) {
      const start = tasks.start[task], end = start + tasks.duration[task];
      let lane = ends.findIndex(other => other <= start);
      if (lane < 0) lane = ends.length < 64 ? ends.length : soonest(ends);
      (lists[lane] = lists[lane] || []).push(task);
      ends[lane] = Math.max(end, ends[lane] || 0);
      trace.laneOfTask[task] = lane;
    }
    row.lanes = lists.map(list => {
      const lane = new Lane(list.length);
      for (const task of list) lane.add(tasks.start[task], tasks.start[task] + tasks.duration[task], task);
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
  let low = values, high = values;
  while (low.length > 32) {
    const count = Math.ceil(low.length / 32);
    const least = new Float64Array(count).fill(Infinity);
    const most = new Float64Array(count).fill(-Infinity);
    for (let i = 0; i < low.length; i++) {
      const block = i >> 5;
      if (low[i] < least[block]) least[block] = low[i];
      if (high[i] > most[block]) most[block] = high[i];
    }
    levels.push([low = least, high = most]);
  }
  return levels;
}

// [least, greatest] of values[from..to).
function extremesBetween(counter, from, to) {
  let least = Infinity, most = -Infinity, low = counter.value, high = counter.value;
  const take = i => { least = Math.min(least, low[i]); most = Math.max(most, high[i]); };
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

// sums over a range --------------------------------------------------------------------------------

// Regions, tasks and waits count when they share time with the range. Totals are the time inside
// the range; percentiles and the longest are of whole durations.
function sumUp(trace, from, to) {
  const regions = new Tally(), tasks = new Tally(), waits = new Tally(), samples = new Tally();
  const {slices, points} = trace;
  for (const thread of trace.threads) {
    for (const lane of thread.lanes) {
      const [first, last] = lane.between(from, to);
      for (let i = first; i < last; i++) {
        const ref = lane.ref[i], kind = slices.kind[ref], name = slices.name[ref];
        const inside = Math.min(lane.end[i], to) - Math.max(lane.start[i], from);
        if (kind === REGION) regions.add(name, inside, lane.end[i] - lane.start[i], ref);
        else if (kind === BLOCKED)
          waits.add(`${name} ${trace.stackOf[slices.detail[ref]]}`, inside,
                    lane.end[i] - lane.start[i], ref);
      }
    }
    const end = firstAbove(points.time, to, thread.points[0], thread.points[1]);
    for (let i = firstAtLeast(points.time, from, thread.points[0], thread.points[1]); i < end; i++)
      if (points.kind[i] === SAMPLE) samples.add(points.name[i], weightOf(trace, points.detail[i]), 0, i);
  }
  for (let i = 0; i < trace.tasks.count; i++) {
    const start = trace.tasks.start[i], end = start + trace.tasks.duration[i];
    if (start <= to && end >= from)
      tasks.add(trace.tasks.name[i], Math.min(end, to) - Math.max(start, from), end - start, i);
  }
  const named = row => ({...row, name: trace.text(row.key)});
  return {
    from, to, regions: regions.rows().map(named), tasks: tasks.rows().map(named),
    samples: samples.rows().map(named),
    waits: waits.rows().map(row => {
      const [cause, stack] = row.key.split(' ').map(Number);
      return {...row, name: trace.text(cause), stack: trace.text(stack)};
    }),
    threads: trace.threads.filter(thread => thread.start < to && thread.end > from).map(
      thread => ({thread, spent: spentBetween(thread, from, to)})),
  };
}

function weightOf(trace, detail) {
  if (trace.weightKey === undefined) trace.weightKey = trace.strings.indexOf('weight_ns');
  return Number(trace.annotation(detail, trace.weightKey) || 0);
}

// Where a thread's time in a range went, by group, in ns.
function spentBetween(thread, from, to) {
  const low = Math.max(from, thread.start), high = Math.min(to, thread.end);
  const spent = GROUPS.map((_, group) => spentBefore(thread.bar, group, high)
                                        - spentBefore(thread.bar, group, low));
  const known = spent.reduce((sum, part) => sum + part, 0);
  spent[5] += Math.max(0, high - low - known);
  return spent;
}

function spentBefore(bar, group, time) {
  const i = firstAtLeast(bar.end, time), before = bar.spent[group][i];
  return i < bar.count && bar.group[i] === group ? before + Math.max(0, time - bar.start[i]) : before;
}

class Tally {
  constructor() { this.found = new Map(); }
  add(key, inside, whole, ref) {
    let row = this.found.get(key);
    if (!row) this.found.set(key, row = {key, total: 0, durations: [], most: -1, longest: ref});
    row.total += inside;
    row.durations.push(whole);
    if (whole > row.most) Object.assign(row, {most: whole, longest: ref});
  }
  rows() {
    return [...this.found.values()].map(({key, total, durations, longest}) => {
      const sorted = Float64Array.from(durations).sort(), count = sorted.length;
      const rank = share => sorted[Math.max(0, Math.ceil(share * count) - 1)];
      return {key, count, total, p50: rank(0.5), p99: rank(0.99), max: sorted[count - 1], longest};
    }).sort((a, b) => b.total - a.total || b.count - a.count);
  }
}

// search -------------------------------------------------------------------------------------------

const MOST_HITS = 100000;

// Everything whose name or annotation (a function of its stack, a text) has the words in it, in
// the order of time. A hit is {what: 'slice' | 'point' | 'task' | 'thread', ref, time}.
function search(trace, words) {
  const wanted = words.toLowerCase(), hits = [];
  const strings = Uint8Array.from(trace.strings, text => text.toLowerCase().includes(wanted));
  const details = Uint8Array.from(trace.details, flat => flat.some(
    (value, i) => i % 2 === 1 && Array.isArray(value) && strings[value[0]]));
  const collect = (what, {count, start, time, name, detail}) => {
    for (let i = 0; i < count && hits.length < MOST_HITS; i++)
      if (strings[name[i]] || details[detail[i]]) hits.push({what, ref: i, time: (start || time)[i]});
  };
  trace.threads.forEach((thread, ref) => {
    if (thread.label.toLowerCase().includes(wanted)) hits.push({what: 'thread', ref, time: -1});
  });
  collect('task', trace.tasks);
  collect('slice', trace.slices);
  collect('point', trace.points);
  hits.sort((a, b) => a.time - b.time);
  return {words, strings, details, hits, more: hits.length >= MOST_HITS};
}
