// Sums over a range of time, and the search.
'use strict';

// Regions, tasks and waits count when they share time with the range. Totals are the time inside
// the range; percentiles and the longest are of whole durations. A region inside another one of its
// name adds to the count, but not to the total.
function sumUp(trace, from, to) {
  const regions = new Tally(),
    tasks = new Tally(),
    waits = new Tally(),
    samples = new Tally();
  const {slices, points} = trace;
  for (const thread of trace.threads) {
    for (const lane of thread.lanes) {
      const [first, last] = lane.between(from, to);
      for (let i = first; i < last; i++) {
        const ref = lane.ref[i],
          [inside, whole] = within(lane, i, from, to);
        if (slices.kind[ref] !== WORK && slices.kind[ref] !== BLOCKED)
          regions.add(slices.name[ref], trace.nested[ref] ? 0 : inside, whole, ref);
      }
    }
    sumUpWaits(trace, thread, from, to, waits);
    const end = firstAbove(points.time, to, thread.points[0], thread.points[1]);
    for (let i = firstAtLeast(points.time, from, thread.points[0], thread.points[1]); i < end; i++)
      if (points.kind[i] === SAMPLE)
        samples.add(points.name[i], weightOf(trace, points.detail[i]), 0, i);
  }
  for (let i = 0; i < trace.tasks.count; i++) {
    const start = trace.tasks.start[i],
      end = start + trace.tasks.duration[i];
    if (start <= to && end >= from)
      tasks.add(trace.tasks.name[i], Math.min(end, to) - Math.max(start, from), end - start, i);
  }
  const named = row => ({...row, name: trace.text(row.key)});
  return {
    from,
    to,
    regions: regions.rows().map(named),
    tasks: tasks.rows().map(named),
    samples: samples.rows().map(named),
    waits: waits.rows().map(row => {
      const [cause, stack] = row.key.split(' ').map(Number);
      return {...row, name: trace.text(cause), stack: trace.text(stack)};
    }),
    threads: trace.threads
      .filter(thread => thread.start < to && thread.end > from)
      .map(thread => ({thread, spent: spentBetween(thread, from, to)})),
  };
}

// A wait may be two pieces of the bar.
function sumUpWaits({slices, stackOf}, {bar}, from, to, waits) {
  const [first, last] = bar.between(from, to);
  let before = -1;
  for (let i = first; i < last; i++) {
    const ref = bar.ref[i];
    if (ref < 0 || ref === before) continue;
    before = ref;
    const start = slices.start[ref],
      end = start + slices.duration[ref];
    const inside = Math.min(end, to) - Math.max(start, from);
    waits.add(`${slices.name[ref]} ${stackOf[slices.detail[ref]]}`, inside, end - start, ref);
  }
}

function weightOf(trace, detail) {
  if (trace.weightKey === undefined) trace.weightKey = trace.strings.indexOf('weight_ns');
  return Number(trace.annotation(detail, trace.weightKey) || 0);
}

// The part of a lane's interval inside a range, and the whole of it.
function within(lane, i, from, to) {
  return [Math.min(lane.end[i], to) - Math.max(lane.start[i], from), lane.end[i] - lane.start[i]];
}

// Where a thread's time in a range went, by group, in ns. For its whole life these are the sums
// that `graders trace` prints, which know better than pieces can what a wait has of waiting to run.
function spentBetween(thread, from, to) {
  if (from <= thread.start && to >= thread.end) return thread.spent;
  const low = Math.max(from, thread.start),
    high = Math.max(low, Math.min(to, thread.end));
  const spent = GROUPS.map(
    (_, group) => thread.bar.spentBefore(group, high) - thread.bar.spentBefore(group, low),
  );
  spent[ASLEEP] += Math.max(0, high - low - spent.reduce((sum, part) => sum + part, 0));
  return spent;
}

function spentInLife({running, runnable, blocked, idle}) {
  const spent = [running, runnable, 0, 0, 0, idle];
  for (const [cause, time] of Object.entries(blocked)) spent[groupOf(cause)] += time;
  return spent;
}

class Tally {
  constructor() {
    this.found = new Map();
  }
  add(key, inside, whole, ref) {
    let row = this.found.get(key);
    if (!row) this.found.set(key, (row = {key, total: 0, durations: [], most: -1, longest: ref}));
    row.total += inside;
    row.durations.push(whole);
    if (whole > row.most) Object.assign(row, {most: whole, longest: ref});
  }
  rows() {
    return [...this.found.values()]
      .map(({key, total, durations, longest}) => {
        const sorted = Float64Array.from(durations).sort(),
          count = sorted.length;
        const rank = share => sorted[Math.max(0, Math.ceil(share * count) - 1)];
        return {
          key,
          count,
          total,
          p50: rank(0.5),
          p99: rank(0.99),
          max: sorted[count - 1],
          longest,
        };
      })
      .sort((a, b) => b.total - a.total || b.count - a.count);
  }
}

// search ------------------------------------------------------------------------------------------

const MOST_HITS = 100000;

// Everything whose name or annotation (a function of its stack, a text) has the words in it, in
// the order of time. A hit is {what: 'slice' | 'point' | 'task' | 'thread', ref, time}.
function search(trace, words) {
  const wanted = words.toLowerCase(),
    hits = [];
  const strings = Uint8Array.from(trace.strings, text => text.toLowerCase().includes(wanted));
  const details = Uint8Array.from(trace.details, flat =>
    flat.some((value, i) => i % 2 === 1 && Array.isArray(value) && strings[value[0]]),
  );
  const collect = (what, {count, start, time, name, detail}) => {
    for (let i = 0; i < count && hits.length < MOST_HITS; i++)
      if (strings[name[i]] || details[detail[i]])
        hits.push({what, ref: i, time: (start || time)[i]});
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
