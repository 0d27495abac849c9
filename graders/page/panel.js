// The panel below the timeline: what was clicked, or the sums of a range, as text and tables.
// Everything from the trace enters the page as text nodes, never as HTML.
'use strict';

const ROWS = 12; // of a table, until all are asked for

function element(tag, traits = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(traits)) {
    if (name.startsWith('on')) node.addEventListener(name.slice(2), value);
    else if (value !== undefined) node.setAttribute(name === 'kind' ? 'class' : name, value);
  }
  node.append(...children.filter(child => child !== null && child !== undefined));
  return node;
}

function link(words, action) {
  return element('button', {type: 'button', kind: 'link', onclick: action}, words);
}

function facts(pairs) {
  const list = element('dl', {kind: 'facts'});
  for (const [key, value] of pairs) {
    if (value !== null && value !== undefined && value !== '')
      list.append(element('dt', {}, key), element('dd', {}, value));
  }
  return list;
}

// rows: lists of cells; a cell is text or a node. The first cell of a row is a heading in words.
function table(title, headings, rows, more = {}) {
  const body = element('tbody'),
    box = element('div', {}, element('h3', {}, title));
  const fill = count =>
    body.replaceChildren(
      ...rows
        .slice(0, count)
        .map(cells =>
          element(
            'tr',
            {},
            ...cells.map((cell, i) =>
              i
                ? element('td', {}, cell)
                : element('td', {kind: 'words'}, element('div', {}, cell)),
            ),
          ),
        ),
    );
  fill(ROWS);
  box.append(
    element(
      'table',
      {id: more.id},
      element(
        'thead',
        {},
        element('tr', {}, ...headings.map(words => element('th', {scope: 'col'}, words))),
      ),
      body,
    ),
  );
  if (rows.length > ROWS) {
    const all = link(`all ${formatCount(rows.length)} rows`, () => {
      fill(rows.length);
      all.remove();
    });
    box.append(all);
  }
  return box;
}

// A time with four digits; the exact one when the mouse rests on it.
function timeCell(ns) {
  return element('span', {title: `${formatCount(Math.round(ns))} ns`}, formatTime(Math.round(ns)));
}

function stackList(text) {
  return element(
    'ol',
    {kind: 'stack'},
    ...text.split(' < ').map(frame => element('li', {}, frame)),
  );
}

function shareBar(spent) {
  const whole = spent.reduce((sum, part) => sum + part, 0),
    bar = element('span', {kind: 'share'});
  spent.forEach((part, group) => {
    if (part <= 0) return;
    const piece = element('i', {kind: `g${group}`, title: `${GROUPS[group]}: ${formatTime(part)}`});
    piece.style.width = `${(100 * part) / whole}%`;
    bar.append(piece);
  });
  return bar;
}

function groupChip(group) {
  return element('span', {}, element('span', {kind: `chip g${group}`}), GROUPS[group]);
}

class Panel {
  constructor(app, node) {
    Object.assign(this, {app, node, trace: app.trace});
  }

  show(...children) {
    this.node.replaceChildren(...children.filter(Boolean));
    this.node.scrollTop = 0;
  }

  selection({what, ref, thread, counter, time}) {
    if (what === 'slice') this.slice(thread, ref);
    else if (what === 'state') this.state(thread, ref - thread.states[0]);
    else if (what === 'point') this.point(thread, ref);
    else if (what === 'task') this.task(ref);
    else this.counter(counter, time);
  }

  // details ---------------------------------------------------------------------------------------

  slice(thread, ref) {
    const {slices} = this.trace,
      kind = slices.kind[ref],
      name = this.trace.text(slices.name[ref]);
    const start = slices.start[ref],
      duration = slices.duration[ref];
    const task = this.trace.taskOfSlice.get(ref);
    this.details(
      kind === BLOCKED ? `blocked: ${name}` : name,
      [
        ['what', SLICE_KINDS[kind]],
        ['thread', thread.label],
        ...this.times(start, duration),
        ['of its own', kind === REGION ? this.own(thread, ref) : ''],
        ...(task === undefined
          ? this.around(thread, start, slices.depth[ref])
          : [['task', this.taskLink(task)]]),
        ['inside it', this.spent(thread, start, start + duration)],
      ],
      slices.detail[ref],
      [start, start + duration],
    );
  }

  // A piece of a thread's bar.
  state(thread, place) {
    const {bar} = thread,
      start = bar.start[place],
      end = bar.end[place];
    if (bar.ref[place] >= 0) {
      this.slice(thread, bar.ref[place]);
      return;
    }
    this.details(
      stateName(this.trace, bar, place),
      [
        ['what', 'state, as the kernel counted it over this time'],
        ['thread', thread.label],
        ...this.times(start, end - start),
        ['shares', spentLine(GROUPS.map((_, group) => bar.share(group, place) * (end - start)))],
        ...this.around(thread, start),
      ],
      0,
      [start, end],
    );
  }

  // The region and the task in which something on a thread happened.
  around(thread, time, depth) {
    const inner = this.trace.innermost(thread, time, depth),
      task = this.trace.taskAt(thread, time);
    return [
      [
        'in',
        inner === null
          ? null
          : link(this.trace.text(this.trace.slices.name[inner]), () =>
              this.app.goTo('slice', inner),
            ),
      ],
      ['task', task === null ? null : this.taskLink(task)],
    ];
  }

  point(thread, ref) {
    const {points} = this.trace,
      time = points.time[ref];
    this.details(
      this.trace.text(points.name[ref]),
      [
        ['what', POINT_KINDS[points.kind[ref]]],
        ['thread', thread.label],
        ['at', formatMoment(time)],
        ...this.around(thread, time),
      ],
      points.detail[ref],
      null,
    );
  }

  task(ref) {
    const {tasks, works, slices} = this.trace,
      start = tasks.start[ref];
    const parent = tasks.parent[ref],
      own = works[ref];
    const children = this.childrenOf(ref);
    this.details(
      `${this.trace.text(tasks.name[ref])} ${this.trace.taskIds[ref]}`,
      [
        ['what', 'task'],
        ...this.times(start, tasks.duration[ref]),
        ['part of', parent ? this.taskLink(parent - 1) : null],
        [
          'worked for it',
          own.length
            ? formatTime(own.reduce((sum, {slice}) => sum + slices.duration[slice], 0))
            : 'no thread, by the trace',
        ],
        ['threads then', own.length ? this.spentOnWorks(own) : null],
      ],
      tasks.detail[ref],
      [start, start + tasks.duration[ref]],
      element(
        'div',
        {kind: 'columns'},
        own.length
          ? table(
              'Work',
              ['on', 'from', 'for'],
              own.map(({thread, slice}) => [
                link(thread.label, () => this.app.goTo('slice', slice)),
                formatMoment(slices.start[slice]),
                formatTime(slices.duration[slice]),
              ]),
            )
          : null,
        children.length
          ? table(
              'Tasks below it',
              ['task', 'took'],
              children.map(child => [this.taskLink(child), formatTime(tasks.duration[child])]),
            )
          : null,
      ),
    );
  }

  counter(counter, time) {
    const place = firstAbove(counter.time, time) - 1;
    this.details(
      counter.name,
      [
        ['what', 'counter'],
        ['process', this.app.processName(counter.process)],
        ['value', place < 0 ? 'none yet' : formatValue(counter.value[place], counter.name)],
        ['at', formatMoment(time)],
        ['set', place < 0 ? '' : formatMoment(counter.time[place])],
      ],
      0,
      null,
    );
  }

  details(title, pairs, detail, extent, more = null) {
    const annotations = this.trace.detailOf(detail),
      stack = annotations.find(([key]) => key === 'stack');
    const rest = annotations.filter(([key]) => key !== 'stack' && key !== 'task');
    const repaired = annotations.find(([key]) => key === 'repaired');
    this.show(
      element('h2', {}, title),
      repaired
        ? element(
            'p',
            {kind: 'notice'},
            repaired[1] === 'unclosed'
              ? 'Its end is not in the trace: it is drawn to where the trace ends.'
              : 'Its end came out of order: it is drawn to where the outer one ended.',
          )
        : null,
      element(
        'div',
        {kind: 'columns'},
        element(
          'div',
          {},
          facts([...pairs, ...rest.map(([key, value]) => [key, String(value)])]),
          extent ? link('sum up this time (M)', () => this.app.setRange(...extent)) : null,
        ),
        stack
          ? element(
              'div',
              {},
              element('h3', {}, 'Stack, innermost first'),
              stackList(String(stack[1])),
            )
          : null,
      ),
      more,
    );
  }

  times(start, duration) {
    return [
      [
        'lasted',
        `${formatTime(duration)}${duration >= 1000 ? ` (${formatCount(duration)} ns)` : ''}`,
      ],
      ['from', formatMoment(start)],
    ];
  }

  // A region without the slices right inside it.
  own(thread, ref) {
    const {slices} = this.trace,
      start = slices.start[ref],
      duration = slices.duration[ref];
    const below = thread.lanes[slices.depth[ref] + 1];
    if (!below) return formatTime(duration);
    return formatTime(
      duration - (below.coveredBefore(start + duration) - below.coveredBefore(start)),
    );
  }

  spent(thread, from, to) {
    return to > from && thread.bar.count ? spentLine(spentBetween(thread, from, to)) : null;
  }

  spentOnWorks(works) {
    const {slices} = this.trace,
      sums = GROUPS.map(() => 0);
    for (const {thread, slice} of works) {
      const start = slices.start[slice];
      spentBetween(thread, start, start + slices.duration[slice]).forEach((part, i) => {
        sums[i] += part;
      });
    }
    return spentLine(sums);
  }

  childrenOf(ref) {
    const {tasks} = this.trace,
      found = [];
    for (let i = 0; i < tasks.count; i++) if (tasks.parent[i] === ref + 1) found.push(i);
    return found.sort((a, b) => tasks.duration[b] - tasks.duration[a]);
  }

  taskLink(ref) {
    const {tasks, taskIds} = this.trace;
    return link(`${this.trace.text(tasks.name[ref])} ${taskIds[ref]}`, () =>
      this.app.goTo('task', ref),
    );
  }

  // sums ------------------------------------------------------------------------------------------

  sums(found, title, before = [], more = []) {
    const {from, to} = found,
      whole = to - from;
    this.show(
      element('h2', {}, title),
      ...before,
      element(
        'div',
        {kind: 'columns'},
        this.threadTable(found, whole),
        found.regions.length ? this.spanTable('Regions', 'regions', found.regions, 'slice') : null,
        found.tasks.length ? this.spanTable('Tasks', 'tasks', found.tasks, 'task') : null,
        this.waitTable(found.waits),
        this.sampleTable(found.samples),
        this.counterTable(from, to),
        ...more,
      ),
    );
  }

  threadTable(found, whole) {
    const rows = [...found.threads].sort((a, b) => b.spent[0] - a.spent[0]);
    if (!rows.length) return element('p', {}, 'No thread was there at this time.');
    const all = GROUPS.map((_, group) => rows.reduce((sum, {spent}) => sum + spent[group], 0));
    const line = (name, spent) => [
      name,
      shareBar(spent),
      ...[spent[0], spent[1], spent[2] + spent[3] + spent[4], spent[5]].map(timeCell),
    ];
    return table(
      `Threads: ${formatCount(rows.length)}, ${trim(all[0] / (whole || 1), 3)} running on average`,
      ['thread', '', 'running', 'waiting for a processor', 'blocked', 'idle'],
      [
        line('all', all),
        ...rows.map(({thread, spent}) =>
          line(
            link(thread.label, () => this.app.goTo('thread', thread.number)),
            spent,
          ),
        ),
      ],
      {id: 'threads'},
    );
  }

  spanTable(title, id, rows, what) {
    return table(
      title,
      ['name', 'count', 'total', 'median', '99 %', 'longest'],
      rows.map(row => [
        row.name,
        formatCount(row.count),
        ...[row.total, row.p50, row.p99].map(timeCell),
        link(timeCell(row.max), () => this.app.goTo(what, row.longest)),
      ]),
      {id},
    );
  }

  waitTable(waits) {
    const cells = row => [
      this.waitCell(row),
      formatCount(row.count),
      timeCell(row.total),
      timeCell(row.max),
    ];
    const headings = ['cause', 'count', 'total', 'longest'];
    return waits.length ? table('Blocked on', headings, waits.map(cells), {id: 'waits'}) : null;
  }

  sampleTable(samples) {
    const rows = samples.map(row => [row.name, formatCount(row.count), timeCell(row.total)]);
    const headings = ['function', 'count', 'time'];
    return rows.length ? table('CPU samples', headings, rows, {id: 'samples'}) : null;
  }

  waitCell(row) {
    const cause = link(row.name, () => this.app.goTo('slice', row.longest));
    return element(
      'span',
      {},
      cause,
      row.stack
        ? element('small', {title: row.stack}, row.stack.split(' < ').slice(0, 3).join(' < '))
        : null,
    );
  }

  counterTable(from, to) {
    const rows = [];
    for (const counter of this.trace.counters) {
      const first = Math.max(0, firstAbove(counter.time, from) - 1),
        last = firstAbove(counter.time, to);
      if (first >= last) continue;
      const show = value => formatValue(value, counter.name);
      rows.push([
        counter.name,
        ...extremesBetween(counter, first, last).map(show),
        show(counter.value[last - 1]),
      ]);
    }
    return rows.length
      ? table('Counters', ['name', 'least', 'greatest', 'at the end'], rows, {id: 'counters'})
      : null;
  }
}

function spentLine(spent) {
  const whole = spent.reduce((sum, part) => sum + part, 0),
    line = element('span', {}, shareBar(spent), ' ');
  const parts = spent.map((part, group) => [part, group]).filter(([part]) => part > 0);
  line.append(
    parts
      .sort((a, b) => b[0] - a[0])
      .map(([part, group]) => `${GROUPS[group]} ${formatTime(part)} (${formatShare(part, whole)})`)
      .join(', '),
  );
  return line;
}
