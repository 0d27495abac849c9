// The page as a whole: rows, what is in view, mouse and keys, the address.
'use strict';

const $ = id => document.getElementById(id);
const LEAST_SPAN = 1,
  PAN = 0.15,
  ZOOM = 1.5,
  TASK_LANES = 6;

class App {
  constructor(trace) {
    this.trace = trace;
    this.span = Math.max(1, trace.duration);
    this.view = {from: 0, to: this.span};
    this.range = this.selection = this.found = null;
    this.hit = -1;
    this.toggled = new Set(); // rows that are folded, or unfolded where folded is usual
    this.painter = new Painter(trace, $('canvas'));
    this.map = new MapPainter(trace, $('map'));
    this.panel = new Panel(this, $('panel'));
    for (const counter of trace.counters) counter.span = spanOf(counter);
    this.describe();
    this.layOut();
    this.readAddress();
    listen(this);
    this.repaint();
  }

  describe() {
    const {trace} = this,
      count = (number, word) => `${formatCount(number)} ${word}${number === 1 ? '' : 's'}`;
    $('title').textContent = trace.title;
    $('summary').textContent = [
      formatTime(trace.duration),
      count(trace.threads.length, 'thread'),
      trace.tasks.count ? count(trace.tasks.count, 'task') : '',
      count(trace.events, 'event'),
    ]
      .filter(Boolean)
      .join(' · ');
    $('legend').replaceChildren(...GROUPS.map((_, group) => groupChip(group)));
  }

  processName(number) {
    const {name, pid} = this.trace.processes[number] || {};
    return `${name || 'process'} (${pid})`;
  }

  // Said of what several processes may have.
  ofProcess(number) {
    return this.trace.processes.length > 1 ? ` · ${this.processName(number)}` : '';
  }

  // rows ------------------------------------------------------------------------------------------

  layOut() {
    const {trace} = this,
      rows = [];
    if (trace.counters.length && this.section(rows, 'counters', 'Counters'))
      for (const counter of trace.counters) rows.push(this.counterRow(counter));
    if (trace.taskRows.length && this.section(rows, 'tasks', 'Tasks'))
      for (const tasks of trace.taskRows) rows.push(this.taskRow(tasks));
    trace.processes.forEach((process, number) => {
      const threads = trace.threads.filter(thread => thread.process === number);
      if (
        threads.length &&
        this.section(rows, `process ${number}`, `Threads of ${this.processName(number)}`)
      )
        for (const thread of threads) rows.push(this.threadRow(thread));
    });
    let top = 0;
    for (const row of rows) {
      row.top = top;
      top += row.height;
    }
    Object.assign(this, {rows, tops: Float64Array.from(rows, row => row.top), height: top});
    $('stage').style.height = `${Math.max(top, $('scroller').clientHeight)}px`;
  }

  section(rows, key, title) {
    const folded = this.toggled.has(key);
    rows.push({type: 'section', key, title, folded, height: SECTION});
    return !folded;
  }

  counterRow(counter) {
    const [low, high] = counter.least <= counter.most ? [counter.least, counter.most] : [0, 0];
    const show = value => formatValue(value, counter.name);
    return {
      type: 'counter',
      key: `counter ${counter.process} ${counter.name}`,
      title: counter.name,
      counter,
      small:
        (show(low) === show(high) ? `about ${show(low)}` : `${show(low)} to ${show(high)}`) +
        this.ofProcess(counter.process),
      height: COUNTER,
      fixed: true,
    };
  }

  taskRow(tasks) {
    const key = keyOfTasks(tasks),
      total = tasks.lanes.length;
    const lanes = this.toggled.has(key) || total <= TASK_LANES ? total : TASK_LANES;
    return {
      type: 'tasks',
      key,
      title: this.trace.text(tasks.name),
      tasks,
      lanes,
      folded: lanes < total,
      fixed: total <= TASK_LANES,
      small:
        `${formatCount(tasks.members.length)} task${tasks.members.length > 1 ? 's' : ''}` +
        (lanes < total ? `, ${lanes} of ${total} lines` : '') +
        this.ofProcess(tasks.process),
      height: Math.max(36, 2 * GAP + lanes * LANE),
    };
  }

  threadRow(thread) {
    const key = `thread ${thread.number}`,
      folded = this.toggled.has(key);
    const lanes = folded ? 0 : thread.lanes.length;
    const marks = !folded && thread.points[1] > thread.points[0],
      bar = thread.bar.count ? BAR : 0;
    return {
      type: 'thread',
      key,
      title: thread.label,
      thread,
      folded,
      lanes,
      marks,
      fixed: !thread.lanes.length && thread.points[1] === thread.points[0],
      small: threadWords(thread),
      bar,
      height: Math.max(28, 2 * GAP + bar + 2 + (marks ? MARKS : 0) + lanes * LANE),
    };
  }

  toggle(key) {
    if (!this.toggled.delete(key)) this.toggled.add(key);
    this.layOut();
    this.repaint();
  }

  visibleRows() {
    const scroll = $('scroller').scrollTop,
      bottom = scroll + $('scroller').clientHeight;
    const first = Math.max(0, firstAbove(this.tops, scroll) - 1);
    const rows = this.rows.slice(first, firstAtLeast(this.tops, bottom, first));
    rows.firstThread = (
      rows.find(row => row.type === 'thread') || {thread: {number: Infinity}}
    ).thread.number;
    return {rows, scroll};
  }

  // painting --------------------------------------------------------------------------------------

  repaint() {
    if (this.waiting) return;
    this.waiting = true;
    requestAnimationFrame(() => {
      this.waiting = false;
      this.paint();
    });
  }

  paint() {
    const box = $('window');
    box.style.height = `${$('scroller').clientHeight}px`;
    const {rows, scroll} = this.visibleRows(),
      {palette} = this.painter;
    this.painter.paint(rows, scroll, this.view, this);
    paintRuler($('ruler'), palette, this.view, this.range);
    this.map.paint(palette, this.view, this.found, this.range);
    $('corner').textContent = `${started(this.trace.unix)}\n${this.map.words}`;
    this.paintNames(rows, scroll);
    $('status').textContent =
      `shows ${formatTime(this.view.to - this.view.from)} from ` +
      formatMoment(this.view.from) +
      (this.painter.tangled ? '; arrows are hidden: zoom in' : '');
    this.writeAddress();
  }

  paintNames(rows, scroll) {
    const shown = rows.map(row => row.key + row.folded + (row.top - scroll) + row.small).join();
    if (shown === this.shownNames) return;
    this.shownNames = shown;
    const focused = document.activeElement && document.activeElement.dataset.key;
    $('names').replaceChildren(...rows.map(row => this.nameOf(row, scroll)));
    const again = focused && [...$('names').children].find(node => node.dataset.key === focused);
    if (again) again.focus({preventScroll: true});
  }

  nameOf(row, scroll) {
    const small = row.small && row.height >= 34 ? element('small', {}, row.small) : null;
    const node = element(
      'button',
      {
        type: 'button',
        'data-key': row.key,
        title: row.small ? `${row.title}\n${row.small}` : row.title,
        kind: `name ${row.type}${row.folded ? ' folded' : ''}${row.fixed ? ' fixed' : ''}`,
        'aria-expanded': row.fixed ? undefined : String(!row.folded),
        onclick: () => {
          if (!row.fixed) this.toggle(row.key);
        },
      },
      element('b', {}, row.title),
      small,
    );
    node.style.top = `${row.top - scroll}px`;
    node.style.height = `${row.height}px`;
    return node;
  }

  setTheme(theme) {
    document.documentElement.dataset.theme = theme;
    this.painter.setTheme();
    this.repaint();
  }

  // the view --------------------------------------------------------------------------------------

  setView(from, to) {
    const span = Math.max(LEAST_SPAN, Math.min(this.span, to - from));
    const start = Math.max(0, Math.min(this.span - span, from));
    this.view = {from: start, to: start + span};
    this.repaint();
  }

  zoom(factor, at = 0.5) {
    const {from, to} = this.view,
      span = Math.max(LEAST_SPAN, Math.min(this.span, (to - from) / factor));
    const fixed = from + at * (to - from);
    this.setView(fixed - at * span, fixed + (1 - at) * span);
  }

  pan(share) {
    const {from, to} = this.view,
      step = share * (to - from);
    this.setView(from + step, to + step);
  }

  timeAt(x) {
    const {width} = $('canvas').getBoundingClientRect();
    return this.view.from + (x / width) * (this.view.to - this.view.from);
  }

  // Zooms to an interval, with some room beside it.
  fit(from, to) {
    const room = Math.max((to - from) * 0.1, 2);
    this.setView(from - room, to + room);
  }

  // selection and range ---------------------------------------------------------------------------

  select(selection) {
    this.selection = selection;
    if (selection) this.panel.selection(selection);
    else this.showRange();
    this.repaint();
  }

  setRange(from, to) {
    this.range = {from: Math.max(0, Math.round(from)), to: Math.min(this.span, Math.round(to))};
    this.showRange();
    this.repaint();
  }

  // The sums of the range, or of the whole trace with what is known about it.
  showRange() {
    const {trace, range} = this;
    if (range) {
      this.panel.sums(
        sumUp(trace, range.from, range.to),
        `${formatTime(range.to - range.from)} from ${formatMoment(range.from)}`,
      );
      return;
    }
    if (!this.everything) this.everything = sumUp(trace, 0, trace.duration);
    const notice = (...words) => element('p', {kind: 'notice'}, ...words);
    const notices = trace.findings.map(([words, next]) =>
      notice(element('b', {}, words), ` Next: ${next.replace(/[^.?!]$/, '$&.')}`),
    );
    notices.push(...trace.notes.map(words => notice(words)));
    if (!trace.events)
      notices.push(
        notice(
          'This trace has no events. Was pl_trace_start called ' +
            'before the work began, and pl_trace_stop after it?',
        ),
      );
    this.panel.sums(
      this.everything,
      `The whole trace: ${formatTime(trace.duration)}`,
      notices,
      trace.processes.map(processFacts),
    );
  }

  // Finds a slice, point, task or thread; shows it in the middle and selects it.
  goTo(what, ref) {
    const place = this.locate(what, ref);
    this.unfold(place.row);
    const {from, to} = this.view,
      {start, end} = place,
      length = end - start;
    if (what !== 'thread') {
      const span = Math.max(length * 1.25, Math.min(to - from, Math.max(length * 60, 2000)));
      const middle = (start + end) / 2;
      if (start < from || end > to || span < to - from)
        this.setView(middle - span / 2, middle + span / 2);
    }
    this.scrollTo(place.row, place.depth);
    if (what === 'thread') this.repaint();
    else this.select(place);
  }

  locate(what, ref) {
    const {trace} = this;
    if (what === 'thread') return {what, row: `thread ${ref}`, depth: -1, start: 0, end: 0};
    if (what === 'task') {
      const row = trace.rowOfTask(ref),
        depth = trace.laneOfTask[ref],
        lane = row.lanes[depth];
      return this.placed({what, ref, lane, row: keyOfTasks(row), depth});
    }
    if (what === 'point') {
      const thread = trace.threadOf('points', ref),
        time = trace.points.time[ref];
      return {what, ref, thread, row: `thread ${thread.number}`, depth: 0, start: time, end: time};
    }
    const thread = trace.threadOf(what === 'state' ? 'states' : 'slices', ref);
    const row = `thread ${thread.number}`,
      {bar} = thread;
    if (what === 'state')
      return this.placed({what, ref, thread, lane: bar, row, depth: -1}, ref - thread.states[0]);
    if (trace.slices.kind[ref] === BLOCKED && thread.tid)
      return this.placed(
        {what, ref, thread, lane: bar, row, depth: -1},
        bar.pieceOfWait(trace, ref),
      );
    const depth = trace.slices.depth[ref];
    return this.placed({what, ref, thread, lane: thread.lanes[depth], row, depth});
  }

  placed(found, place = firstAtLeast(found.lane.ref, found.ref)) {
    return {...found, place, start: found.lane.start[place], end: found.lane.end[place]};
  }

  // Opens what hides a row.
  unfold(key) {
    const [type, number] = key.split(' ');
    const section = type === 'tasks' ? 'tasks' : `process ${this.trace.threads[number]?.process}`;
    let changed = this.toggled.delete(section);
    if (type === 'thread') changed = this.toggled.delete(key) || changed;
    else if (!this.toggled.has(key)) changed = Boolean(this.toggled.add(key));
    if (changed) this.layOut();
  }

  scrollTo(key, depth) {
    const row = this.rows.find(item => item.key === key),
      scroller = $('scroller');
    const inset = row.type === 'tasks' ? GAP : GAP + row.bar + (row.marks ? MARKS : 0);
    const top = row.top + (depth > 0 ? inset + depth * LANE : 0),
      height = scroller.clientHeight;
    if (top < scroller.scrollTop || (row.top < scroller.scrollTop && row.height < height))
      scroller.scrollTop = Math.min(top, row.top + row.height - LANE);
    else if (top + 3 * LANE > scroller.scrollTop + height) scroller.scrollTop = top - height / 2;
  }

  neighbour(step) {
    const {selection} = this;
    if (!selection) return;
    if (selection.what === 'point') {
      const [from, to] = selection.thread.points,
        ref = selection.ref + step;
      if (ref >= from && ref < to) this.goTo('point', ref);
    } else if (selection.lane) {
      const place = selection.place + step;
      if (place < 0 || place >= selection.lane.count) return;
      if (selection.lane === selection.thread?.bar)
        this.goTo('state', selection.thread.states[0] + place);
      else this.goTo(selection.what, selection.lane.ref[place]);
    }
  }

  extent() {
    if (this.selection && this.selection.end !== undefined)
      return [this.selection.start, this.selection.end];
    return this.range ? [this.range.from, this.range.to] : null;
  }

  // What is drawn at a point of the canvas; null: nothing.
  thingAt(x, y) {
    const {rows, scroll} = this.visibleRows(),
      time = this.timeAt(x),
      slack = this.timeAt(x + 3) - time;
    const row = rows.find(item => y + scroll >= item.top && y + scroll < item.top + item.height);
    if (!row || row.type === 'section') return null;
    if (row.type === 'counter')
      return {what: 'counter', counter: row.counter, time: Math.max(0, Math.round(time))};
    let inside = y + scroll - row.top - GAP;
    if (row.type === 'tasks')
      return this.inLane('task', row.tasks.lanes[Math.floor(inside / LANE)], time, slack);
    const {thread} = row;
    if (inside < row.bar) return this.inLane('state', thread.bar, time, slack, thread.states[0]);
    inside -= row.bar + 1;
    if (row.marks) {
      if (inside < MARKS) return this.pointNear(thread, time, 2 * slack);
      inside -= MARKS;
    }
    const depth = Math.floor(inside / LANE);
    return depth < row.lanes ? this.inLane('slice', thread.lanes[depth], time, slack) : null;
  }

  // In a bar, things go by their place, since only waits are in a table.
  inLane(what, lane, time, slack, first) {
    if (!lane || !lane.count) return null;
    const after = Math.min(lane.count - 1, firstAtLeast(lane.end, time));
    const distance = i => Math.max(lane.start[i] - time, time - lane.end[i], 0);
    const place = after > 0 && distance(after - 1) < distance(after) ? after - 1 : after;
    if (distance(place) > slack) return null;
    return this.locate(what, first === undefined ? lane.ref[place] : first + place);
  }

  pointNear(thread, time, slack) {
    const {time: times} = this.trace.points,
      [from, to] = thread.points;
    const after = firstAtLeast(times, time, from, to);
    const near = [after - 1, after]
      .filter(i => i >= from && i < to)
      .sort((a, b) => Math.abs(times[a] - time) - Math.abs(times[b] - time))[0];
    return near !== undefined && Math.abs(times[near] - time) <= slack
      ? this.locate('point', near)
      : null;
  }

  tipFor(thing) {
    const {trace} = this;
    if (thing.what === 'counter') {
      const place = firstAbove(thing.counter.time, thing.time) - 1;
      return place < 0
        ? ''
        : `${thing.counter.name}: ${formatValue(thing.counter.value[place], thing.counter.name)}`;
    }
    if (thing.what === 'point')
      return `${trace.text(trace.points.name[thing.ref])}\n${this.textOf(thing)}`;
    const name =
      thing.what === 'state'
        ? stateName(trace, thing.lane, thing.place)
        : thing.what === 'task'
          ? `${trace.text(trace.tasks.name[thing.ref])} ${trace.taskIds[thing.ref]}`
          : trace.text(trace.slices.name[thing.ref]);
    return `${name}\n${formatTime(thing.end - thing.start)}`;
  }

  textOf({ref}) {
    const {points} = this.trace,
      found = this.trace.detailOf(points.detail[ref]).find(([key]) => key === 'text');
    return found ? String(found[1]).slice(0, 300) : POINT_KINDS[points.kind[ref]];
  }

  // search ----------------------------------------------------------------------------------------

  setSearch(words) {
    this.found = words.trim() ? search(this.trace, words.trim()) : null;
    this.hit = -1;
    this.showHits();
    this.repaint();
  }

  showHits() {
    const count = this.found ? this.found.hits.length : 0;
    $('hits').textContent = !this.found
      ? ''
      : !count
        ? 'no hits'
        : `${this.hit < 0 ? '' : `${formatCount(this.hit + 1)} of `}${formatCount(count)}` +
          `${this.found.more ? '+' : ''}${this.hit < 0 ? ` hit${count > 1 ? 's' : ''}` : ''}`;
    $('previous').disabled = $('next').disabled = !count;
  }

  nextHit(step) {
    if (!this.found || !this.found.hits.length) return;
    const {hits} = this.found,
      first = this.hit < 0 && step < 0 ? 0 : this.hit;
    this.hit = (first + step + hits.length) % hits.length;
    this.goTo(hits[this.hit].what, hits[this.hit].ref);
    this.showHits();
  }

  // the address -----------------------------------------------------------------------------------

  writeAddress() {
    clearTimeout(this.addressTimer);
    this.addressTimer = setTimeout(() => {
      const {view, range, selection, found} = this,
        parts = new URLSearchParams();
      parts.set('view', `${Math.round(view.from)}-${Math.round(view.to)}`);
      if ($('scroller').scrollTop) parts.set('y', Math.round($('scroller').scrollTop));
      if (range) parts.set('range', `${range.from}-${range.to}`);
      if (selection && selection.ref !== undefined)
        parts.set('select', `${selection.what}-${selection.ref}`);
      if (found) parts.set('search', found.words);
      this.address = `#${parts}`;
      try {
        history.replaceState(null, '', this.address);
      } catch {
        /* too often for some browsers */
      }
    }, 150);
  }

  readAddress() {
    const parts = new URLSearchParams(location.hash.slice(1));
    const pair = name =>
      ((parts.get(name) || '').match(/^(\d+)-(\d+)$/) || []).slice(1).map(Number);
    const [from, to] = pair('view'),
      [low, high] = pair('range');
    if (to > from) this.setView(from, to);
    if (high > low) this.range = {from: low, to: Math.min(high, this.span)};
    if (parts.get('search')) {
      $('words').value = parts.get('search');
      this.setSearch(parts.get('search'));
    }
    const [, what, ref] =
      (parts.get('select') || '').match(/^(slice|state|point|task)-(\d+)$/) || [];
    const counts = {
      slice: this.trace.slices.count,
      state: this.trace.pieces,
      point: this.trace.points.count,
      task: this.trace.tasks.count,
    };
    if (what && Number(ref) < counts[what]) this.selection = this.locate(what, Number(ref));
    this.afterFirstPaint(Number(parts.get('y')) || 0);
  }

  afterFirstPaint(scroll) {
    requestAnimationFrame(() =>
      setTimeout(() => {
        if (scroll) $('scroller').scrollTop = scroll;
        this.select(this.selection);
      }),
    );
  }
}

function keyOfTasks({process, name}) {
  return `tasks ${process} ${name}`;
}

function spanOf(counter) {
  [counter.least, counter.most] = extremesBetween(counter, 0, counter.value.length);
  if (!(counter.least <= counter.most)) return [0, 1];
  return [Math.min(0, counter.least), Math.max(0, counter.most, counter.least + 1e-300)];
}

function threadWords(thread) {
  const spent = spentBetween(thread, thread.start, thread.end),
    whole = thread.end - thread.start;
  if (!thread.bar.count || !whole)
    return thread.overwritten ? 'its first part was overwritten' : '';
  const blocked = spent[2] + spent[3] + spent[4] + spent[5];
  return (
    `ran ${formatShare(spent[0], whole)}` +
    (spent[1] ? `, waited for a processor ${formatShare(spent[1], whole)}` : '') +
    (blocked ? `, blocked ${formatShare(blocked, whole)}` : '')
  );
}

function processFacts(process) {
  return element(
    'div',
    {},
    element('h3', {}, 'Process'),
    facts([
      ['name', `${process.name || 'process'} (${process.pid})`],
      ['command', process.command],
      ['program', process.program],
      ...process.facts.map(([key, value]) => [key.replaceAll('_', ' '), String(value)]),
    ]),
  );
}

function started(unix) {
  const date = new Date(Number(unix) / 1e6);
  return unix === '0' || Number.isNaN(date.getTime())
    ? ''
    : `began ${date.toISOString().replace('T', ' ').slice(0, 19)} UTC`;
}
