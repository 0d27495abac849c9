// Drawing: rows of lanes on a canvas.
//
// What is at least some pixels wide is drawn by itself. Everything else in one column of pixels is
// drawn at once, with a binary search to find where the column ends: a frame costs as many steps as
// the canvas has columns, however many events there are. These columns are written into an image
// (Strips) that is then stretched over the lanes: a call to the canvas for each takes far longer.
'use strict';

const LANE = 18,
  BAR = 16,
  MARKS = 15,
  GAP = 5,
  COUNTER = 46,
  SECTION = 24,
  WIDE = 6;
const TINTS = 8,
  ARROWS = 400; // more arrows than that at once are a tangle

class Palette {
  constructor() {
    const style = getComputedStyle(document.documentElement);
    this.get = name => style.getPropertyValue(`--${name}`).trim();
    for (const name of [
      'ground',
      'raised',
      'ink',
      'soft',
      'rule',
      'accent',
      'range',
      'outline',
      'hit',
      'area',
      'curve',
      'idle',
    ])
      this[name] = this.get(name);
    this.onState = this.get('on-state');
    this.onTint = this.get('on-tint');
    this.tints = Array.from({length: TINTS}, (_, i) => this.get(`tint-${i + 1}`));
    this.solid = ['running', 'processor', 'others', 'io', 'sleep', 'idle'].map(this.get);
    this.words = this.solid.map(colour => word(colour, 1));
    this.state = this.solid.map((colour, group) => patterned(group, colour, this.get('stripe')));
    this.tintOf = new Map();
  }
  tint(text) {
    let colour = this.tintOf.get(text);
    if (!colour) this.tintOf.set(text, (colour = this.tints[hash(text) % TINTS]));
    return colour;
  }
}

function hash(text) {
  let value = 2166136261;
  for (let i = 0; i < text.length; i++) value = Math.imul(value ^ text.charCodeAt(i), 16777619);
  return (value ^ (value >>> 15)) >>> 0;
}

// Stripes, lines and dots, so that states differ without their colours too.
function patterned(group, colour, ink) {
  if (group !== 1 && group !== 3 && group !== 4) return colour;
  const tile = document.createElement('canvas'),
    size = group === 4 ? 5 : group === 3 ? 4 : 8;
  tile.width = tile.height = size;
  const pen = tile.getContext('2d');
  pen.fillStyle = colour;
  pen.fillRect(0, 0, size, size);
  pen.fillStyle = pen.strokeStyle = ink;
  if (group === 1) {
    pen.beginPath();
    for (const x of [-8, 0, 8]) {
      pen.moveTo(x, 8);
      pen.lineTo(x + 8, 0);
    }
    pen.stroke();
  } else if (group === 3) pen.fillRect(0, 3, size, 1);
  else pen.fillRect(2, 2, 2, 2);
  return pen.createPattern(tile, 'repeat');
}

// "#rrggbb" as ImageData has it in a word, with an alpha from 0 to 1.
function word(colour, alpha) {
  let bytes = WORDS.get(colour);
  if (bytes === undefined) {
    const rgb = parseInt(colour.slice(1, 7), 16);
    WORDS.set(colour, (bytes = ((rgb & 255) << 16) | (rgb & 0xff00) | (rgb >> 16)));
  }
  return ((Math.round(alpha * 255) << 24) | bytes) >>> 0;
}
const WORDS = new Map();

// Rows of single pixels, one or more for each lane, that are drawn stretched to the lane's height.
class Strips {
  begin(width) {
    const columns = Math.ceil(width) + 1;
    if (!this.image || this.image.width !== columns) this.grow(columns, 64);
    Object.assign(this, {used: 0, todo: []});
  }
  grow(columns, rows) {
    const old = this.words;
    this.sheet = Object.assign(document.createElement('canvas'), {width: columns, height: rows});
    this.image = new ImageData(columns, rows);
    this.words = new Uint32Array(this.image.data.buffer);
    if (old && old.length < this.words.length) this.words.set(old);
  }
  // A strip of so many rows for the lane at y; what is returned is its first word.
  open(rows, y, high) {
    const {width} = this.image;
    while (this.used + rows > this.image.height) this.grow(width, this.image.height * 2);
    const first = this.used * width;
    this.words.fill(0, first, first + rows * width);
    this.todo.push({row: this.used, rows, y, high});
    this.used += rows;
    return first;
  }
  draw(pen) {
    if (!this.used) return;
    const {width} = this.image;
    this.sheet.getContext('2d').putImageData(this.image, 0, 0, 0, 0, width, this.used);
    pen.imageSmoothingEnabled = false;
    for (const {row, rows, y, high} of this.todo)
      pen.drawImage(this.sheet, 0, row, width, rows, 0, y, width, high);
  }
}

// A canvas as large as its box, in CSS pixels whatever the screen has.
function prepare(canvas) {
  const {width, height} = canvas.getBoundingClientRect(),
    ratio = window.devicePixelRatio || 1;
  const [across, down] = [
    Math.max(1, Math.round(width * ratio)),
    Math.max(1, Math.round(height * ratio)),
  ];
  if (canvas.width !== across || canvas.height !== down)
    Object.assign(canvas, {width: across, height: down});
  const pen = canvas.getContext('2d');
  pen.setTransform(ratio, 0, 0, ratio, 0, 0);
  return {pen, width, height};
}

class Painter {
  constructor(trace, canvas) {
    this.trace = trace;
    this.canvas = canvas;
    this.widths = new Map(); // of texts, in pixels
    this.strips = new Strips();
    this.outlines = []; // of what is selected: drawn above all else
    this.palette = new Palette();
  }

  setTheme() {
    this.palette = new Palette();
  }

  // rows: those to draw, with their y; view: {from, to}; more: selection, range, found.
  paint(rows, scroll, view, more) {
    Object.assign(this, prepare(this.canvas), {view, more});
    const {pen, width, height, palette} = this;
    this.scale = width / (view.to - view.from);
    pen.fillStyle = palette.ground;
    pen.fillRect(0, 0, width, height);
    pen.font = '11px system-ui, "Noto Sans", "DejaVu Sans", sans-serif';
    pen.textBaseline = 'middle';
    pen.direction = 'ltr';
    this.grid();
    this.strips.begin(width);
    for (const row of rows) this.row(row, row.top - scroll);
    this.strips.draw(pen);
    for (const outline of this.outlines.splice(0)) outline();
    this.arrows(rows, scroll);
    if (more.range) this.rangeOverlay();
  }

  x(time) {
    return (time - this.view.from) * this.scale;
  }

  grid() {
    const {pen, palette, view, width, height} = this;
    pen.fillStyle = palette.rule;
    pen.globalAlpha = 0.5;
    for (const {time} of ticksOf(view.from, view.to, width).ticks)
      pen.fillRect(Math.round(this.x(time)), 0, 1, height);
    pen.globalAlpha = 1;
  }

  row(row, y) {
    const {pen, palette, width} = this;
    if (row.type === 'section') {
      pen.fillStyle = palette.raised;
      pen.fillRect(0, y, width, row.height);
    } else if (row.type === 'counter') this.counter(row.counter, y + 3, row.height - 7);
    else if (row.type === 'tasks') this.taskRow(row, y);
    else this.threadRow(row, y);
    pen.fillStyle = palette.rule;
    pen.fillRect(0, Math.round(y + row.height) - 1, width, 1);
  }

  taskRow(row, y) {
    row.tasks.lanes
      .slice(0, row.lanes)
      .forEach((lane, i) => this.lane(lane, y + GAP + i * LANE, this.taskLook));
  }

  threadRow(row, y) {
    const {thread} = row,
      {pen, palette} = this;
    pen.fillStyle = palette.soft;
    const [from, to] = [
      Math.max(0, this.x(thread.start)),
      Math.min(this.width, this.x(thread.end)),
    ];
    if (to > from) pen.fillRect(from, y + GAP + row.bar, to - from, 1); // the thread's life
    this.bar(thread.bar, y + GAP);
    let below = y + GAP + row.bar + 1;
    if (row.marks) {
      this.marks(thread, below);
      below += MARKS;
    }
    thread.lanes
      .slice(0, row.lanes)
      .forEach((lane, i) => this.lane(lane, below + i * LANE, this.sliceLook));
  }

  // How a slice looks: its colour, the colour of its letters, its label, whether a search dims it.
  sliceLook = ref => {
    const {slices} = this.trace,
      name = this.trace.text(slices.name[ref]);
    const work = slices.kind[ref] === WORK;
    return {
      solid: this.palette.tint(name),
      name,
      ink: this.palette.onTint,
      work,
      label: work ? `◆ ${name}` : name,
      dim: this.isDim(slices.name[ref], slices.detail[ref]),
    };
  };

  taskLook = ref => {
    const {tasks} = this.trace,
      name = this.trace.text(tasks.name[ref]);
    return {
      solid: this.palette.tint(name),
      name,
      ink: this.palette.onTint,
      task: ref,
      label: `${name} ${this.trace.taskIds[ref]}`,
      dim: this.isDim(tasks.name[ref], tasks.detail[ref]),
    };
  };

  isDim(name, detail) {
    const {found} = this.more;
    return Boolean(found) && !found.strings[name] && !found.details[detail];
  }

  lane(lane, y, lookOf) {
    if (y + LANE < 0 || y > this.height) return;
    const {view, scale} = this,
      {start, end, count} = lane,
      high = LANE - 3;
    const strip = this.strips.open(1, y, high);
    let i = firstAbove(end, view.from);
    while (i > 0 && end[i - 1] === start[i - 1] && end[i - 1] >= view.from) i--;
    const last = firstAbove(start, view.to, i);
    while (i < last) {
      const x = this.x(start[i]),
        wide = (end[i] - start[i]) * scale;
      if (wide >= WIDE) {
        this.box(x, wide, y, high, lookOf(lane.ref[i]));
        i++;
        continue;
      }
      const column = Math.floor(x),
        until = view.from + (column + 1) / scale;
      let next = Math.max(i + 1, firstAtLeast(start, until, i + 1, last));
      if (next - 1 > i && (end[next - 1] - start[next - 1]) * scale >= 2) next--;
      const covered = next > i + 1 || wide < 2 ? (lane.cover[next] - lane.cover[i]) * scale : 1;
      this.narrow(strip, column, wide, lookOf(lane.ref[i]), covered);
      i = next;
    }
    if (count && this.more.selection) this.outline(lane, y, high, lookOf);
  }

  box(x, wide, y, high, look) {
    const {pen, palette, width} = this;
    const left = Math.max(-2, x),
      right = Math.min(width + 2, x + wide);
    const gap = right - left > 4 ? 1 : 0;
    pen.globalAlpha = look.dim ? 0.3 : 1;
    pen.fillStyle = look.solid;
    pen.fillRect(left, y, right - left - gap, high);
    if (look.work) {
      pen.fillStyle = palette.accent;
      pen.fillRect(left, y, right - left - gap, 2);
    }
    if (look.task !== undefined && right - left > 6) this.working(look.task, y + high - 3);
    this.label(look.label, left + 3, right - gap - 3, y + high / 2 + 1, look.ink);
    pen.globalAlpha = 1;
  }

  // Few pixels, of one or of many: as dense as what they cover.
  narrow(strip, column, wide, look, covered) {
    const colour = word(look.solid, (look.dim ? 0.3 : 1) * (0.35 + 0.65 * Math.min(1, covered)));
    const end = Math.min(this.width, column + Math.max(1, Math.round(wide) - 1));
    for (let x = Math.max(0, column); x < end; x++) this.strips.words[strip + x] = colour;
  }

  // Below a task: when threads worked for it.
  working(task, y) {
    const {pen, palette, trace} = this;
    pen.fillStyle = palette.accent;
    for (const {slice} of trace.works[task].slice(0, 1000)) {
      const x = Math.max(0, this.x(trace.slices.start[slice]));
      const end = Math.min(
        this.width,
        this.x(trace.slices.start[slice] + trace.slices.duration[slice]),
      );
      if (end > 0 && x < this.width) pen.fillRect(x, y, Math.max(1, end - x), 3);
    }
  }

  outline(lane, y, high, lookOf) {
    const {selection} = this.more;
    if (selection.lane !== lane) return;
    this.outlines.push(() => {
      const {pen, palette} = this,
        i = selection.place,
        x = this.x(lane.start[i]);
      const wide = Math.max(3, (lane.end[i] - lane.start[i]) * this.scale);
      if (x > this.width || x + wide < 0) return;
      if (wide < WIDE && lookOf) this.box(x, wide, y, high, lookOf(lane.ref[i]));
      pen.strokeStyle = palette.outline;
      pen.lineWidth = 2;
      const left = Math.max(-4, x);
      pen.strokeRect(left, y, Math.min(this.width + 4, x + wide) - left, high);
    });
  }

  // Text from x to end, shortened if it must be; isolated, so that its direction is its own affair.
  label(text, x, end, y, ink) {
    const space = end - Math.max(3, x);
    if (space < 14 || !text) return;
    const shown = this.fitting(text, space);
    if (!shown) return;
    this.pen.fillStyle = ink;
    this.pen.fillText(`\u2068${shown}\u2069`, Math.max(3, x), y);
  }

  fitting(text, space) {
    if (this.measure(text) <= space) return text;
    let low = 0,
      high = Math.min(text.length, Math.ceil(space / 2));
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.measure(`${text.slice(0, middle)}…`) <= space) low = middle;
      else high = middle - 1;
    }
    return low ? `${text.slice(0, low)}…` : '';
  }

  measure(text) {
    let width = this.widths.get(text);
    if (width === undefined) {
      if (this.widths.size > 20000) this.widths.clear();
      this.widths.set(text, (width = this.pen.measureText(text.slice(0, 2000)).width));
    }
    return width;
  }

  // The states of a thread. In a narrow column every state has its share of the height.
  bar(bar, y) {
    if (y + BAR < 0 || y > this.height || !bar.count) return;
    const {view, scale} = this,
      {start, end} = bar,
      strip = this.strips.open(BAR, y, BAR);
    let i = firstAbove(end, view.from);
    const last = firstAtLeast(start, view.to, i);
    while (i < last) {
      const x = this.x(start[i]),
        wide = (end[i] - start[i]) * scale;
      if (wide >= WIDE) {
        this.state(bar, i, x, wide, y);
        i++;
        continue;
      }
      const column = Math.floor(x),
        until = view.from + (column + 1) / scale;
      let next = Math.max(i + 1, firstAtLeast(start, until, i + 1, last));
      if (next - 1 > i && (end[next - 1] - start[next - 1]) * scale >= 2) next--;
      const covered = bar.cover[next] - bar.cover[i]; // a full column has no gap at its top
      const whole = (next === i + 1 && wide >= 2) || covered * scale > 0.9 ? covered : 1 / scale;
      this.shares(bar, i, next, whole, strip, column, Math.max(1, Math.round(wide)));
      i = next;
    }
    if (this.more.selection) this.outline(bar, y, BAR, null);
  }

  // Pieces i to next, on so many columns: their groups one above the other.
  shares(bar, i, next, whole, strip, column, count) {
    const {words, image} = this.strips,
      left = Math.max(0, column),
      right = Math.min(this.width, column + count);
    let filled = 0;
    for (let group = 0; group < GROUPS.length; group++) {
      filled += (bar.spent[group][next] - bar.spent[group][i]) / whole;
      const colour = this.palette.words[group],
        top = Math.max(0, Math.round(BAR * (1 - filled)));
      const bottom = group ? this.lastTop : BAR;
      this.lastTop = top;
      for (let row = top; row < bottom; row++)
        for (let x = left; x < right; x++) words[strip + row * image.width + x] = colour;
    }
  }

  // One piece: a wait or a plain state with its name; or shares, one above the other.
  state(bar, i, x, wide, y) {
    const {pen, palette, trace, width} = this,
      group = bar.group[i];
    const left = Math.max(-2, x),
      right = Math.min(width + 2, x + wide),
      plain = bar.share(group, i) > 0.98;
    pen.globalAlpha = bar.ref[i] >= 0 && this.isDim(...nameAndDetail(trace, bar.ref[i])) ? 0.3 : 1;
    let low = y + BAR;
    for (let each = 0; each < GROUPS.length; each++) {
      const high = plain ? BAR * Number(each === group) : BAR * bar.share(each, i);
      if (high <= 0) continue;
      pen.fillStyle = palette.state[each];
      pen.fillRect(left, (low -= high), right - left, high);
    }
    this.stateLabel(stateName(trace, bar, i), left, right, y, plain ? group : -1);
    pen.globalAlpha = 1;
  }

  stateLabel(name, left, right, y, group) {
    const {pen, palette} = this;
    if (right - left < 30) return;
    const shown = this.fitting(name, right - Math.max(3, left) - 8);
    if (!shown) return;
    if (group < 0 || palette.state[group] !== palette.solid[group]) {
      // letters need a plain ground
      const alpha = pen.globalAlpha;
      pen.globalAlpha = group < 0 ? 0.65 : alpha;
      pen.fillStyle = group < 0 ? palette.ground : palette.solid[group];
      pen.fillRect(Math.max(1, left + 2), y + 1, this.measure(shown) + 6, BAR - 2);
      pen.globalAlpha = alpha;
    }
    pen.fillStyle = group < 0 ? palette.ink : group === ASLEEP ? palette.soft : palette.onState;
    this.label(shown, left + 5, right, y + BAR / 2 + 0.5, pen.fillStyle);
  }

  // Logs and other moments; a name beside it where there is room.
  marks(thread, y) {
    if (y + MARKS < 0 || y > this.height) return;
    const {points} = this.trace,
      {view, scale, palette, pen} = this,
      [from, to] = thread.points;
    const paths = new Map(); // by colour and alpha
    let i = firstAtLeast(points.time, view.from, from, to);
    const last = firstAbove(points.time, view.to, i, to);
    while (i < last) {
      const x = this.x(points.time[i]),
        until = view.from + (Math.floor(x) + 1) / scale;
      const next = Math.max(i + 1, firstAtLeast(points.time, until, i + 1, last));
      const kind = points.kind[i],
        dim = this.isDim(points.name[i], points.detail[i]);
      const key = `${kind === SAMPLE ? palette.soft : palette.accent} ${dim ? 0.35 : 1}`;
      if (!paths.has(key)) paths.set(key, new Path2D());
      mark(paths.get(key), kind, x, y);
      this.pointLabel(points, i, next < to ? this.x(points.time[next]) : this.width, x, y);
      i = next;
    }
    for (const [key, path] of paths) {
      [pen.fillStyle, pen.globalAlpha] = key.split(' ');
      pen.fill(path);
    }
    pen.globalAlpha = 1;
    const {selection} = this.more;
    if (!selection || selection.what !== 'point' || selection.thread !== thread) return;
    pen.strokeStyle = palette.outline;
    pen.lineWidth = 1.5;
    pen.strokeRect(this.x(points.time[selection.ref]) - 6, y + 1, 12, MARKS - 3);
  }

  pointLabel(points, i, end, x, y) {
    const {kind, name} = points;
    if (kind[i] !== SAMPLE && kind[i] !== FLOW && end - x > 40)
      this.label(
        this.trace.text(name[i]),
        x + 7,
        Math.min(end - 6, x + 200),
        y + 7,
        this.palette.ink,
      );
  }

  // Steps from value to value; in a column with many, from the least to the greatest.
  counter(counter, y, high) {
    const {pen, palette, view, width} = this,
      {time, value} = counter;
    const first = Math.max(0, firstAbove(time, view.from) - 1),
      last = firstAbove(time, view.to);
    if (first >= last) return;
    const [low, top] = counter.span,
      line = new Path2D();
    const place = number => y + high * (1 - (number - low) / (top - low || 1));
    const zero = place(Math.max(low, Math.min(top, 0))),
      begin = Math.max(0, this.x(time[first])),
      end = Math.min(width, this.x(counter.end));
    for (let i = first; i < last;) {
      const x = Math.max(0, this.x(time[i])),
        until = view.from + (Math.floor(x) + 1) / this.scale;
      const next = Math.max(i + 1, firstAtLeast(time, until, i + 1, last));
      if (i === first) line.moveTo(x, place(value[i]));
      if (next > i + 1)
        for (const number of extremesBetween(counter, i, next)) line.lineTo(x, place(number));
      line.lineTo(x, place(value[next - 1]));
      line.lineTo(next < last ? this.x(time[next]) : end, place(value[next - 1]));
      i = next;
    }
    const area = new Path2D(line);
    area.lineTo(end, zero);
    area.lineTo(begin, zero);
    pen.fillStyle = palette.area;
    pen.fill(area);
    pen.strokeStyle = palette.curve;
    pen.lineWidth = 1.3;
    pen.stroke(line);
  }

  // Arrows of flows, and those of the selected task: from its own line to the threads that worked
  // for it.
  arrows(rows, scroll) {
    const {trace, view, pen} = this,
      {flows} = trace,
      places = new Map();
    for (const row of rows)
      if (row.type === 'thread') places.set(row.thread.number, row.top - scroll);
    const shown = [];
    for (let i = 0; i < flows.count && flows.start[i] <= view.to && shown.length <= ARROWS; i++) {
      if (flows.end[i] >= view.from && (places.has(flows.from[i]) || places.has(flows.to[i])))
        shown.push(i);
    }
    this.tangled = shown.length > ARROWS;
    pen.globalAlpha = shown.length > 40 ? 0.3 : 0.7;
    for (const i of this.tangled ? [] : shown) {
      const ends = [flows.from[i], flows.to[i]].map(
        thread =>
          (places.get(thread) ?? (thread < rows.firstThread ? -20 : this.height + 20)) + GAP + BAR,
      );
      this.arrow(this.x(flows.start[i]), ends[0], this.x(flows.end[i]), ends[1]);
    }
    pen.globalAlpha = 1;
    if (this.more.selection) this.workArrows(rows, scroll, places);
  }

  workArrows(rows, scroll, places) {
    const {
      trace,
      more: {
        selection: {what, ref},
      },
    } = this;
    const task = what === 'task' ? ref : what === 'slice' ? trace.taskOfSlice.get(ref) : undefined;
    const row = rows.find(({type, tasks}) => type === 'tasks' && tasks === trace.rowOfTask(task));
    if (!row) return;
    const y = row.top - scroll + GAP + trace.laneOfTask[task] * LANE + LANE - 3;
    for (const {thread, slice} of trace.works[task].slice(0, ARROWS)) {
      const x = this.x(trace.slices.start[slice]);
      if (places.has(thread.number) && x >= 0 && x <= this.width)
        this.arrow(x - 12, y, x, places.get(thread.number) + GAP + BAR);
    }
  }

  arrow(x, y, toX, toY) {
    const {pen, palette} = this,
      limit = value => Math.max(-4000, Math.min(this.width + 4000, value));
    [x, toX] = [limit(x), limit(toX)];
    const bend = Math.min(60, Math.max(12, Math.abs(toX - x) / 2));
    pen.strokeStyle = pen.fillStyle = palette.accent;
    pen.lineWidth = 1.2;
    pen.beginPath();
    pen.moveTo(x, y);
    pen.bezierCurveTo(x + bend, y, toX - bend, toY, toX, toY);
    pen.stroke();
    pen.beginPath();
    pen.moveTo(toX, toY);
    pen.lineTo(toX - 7, toY - 3.5);
    pen.lineTo(toX - 7, toY + 3.5);
    pen.fill();
  }

  rangeOverlay() {
    const {
      pen,
      palette,
      more: {range},
      height,
    } = this;
    const left = this.x(range.from),
      right = this.x(range.to);
    pen.fillStyle = palette.range;
    pen.fillRect(left, 0, right - left, height);
    pen.fillStyle = palette.accent;
    pen.fillRect(Math.round(left), 0, 1, height);
    pen.fillRect(Math.round(right) - 1, 0, 1, height);
  }
}

function mark(path, kind, x, y) {
  if (kind === SAMPLE) path.rect(Math.round(x), y + 3, 1, 8);
  else if (kind === FLOW) path.rect(x - 2, y + 5, 4, 4);
  else if (kind === 0) polygon(path, [x - 4, y + 3, x + 4, y + 3, x, y + 11]);
  else polygon(path, [x, y + 2, x + 4, y + 7, x, y + 12, x - 4, y + 7]);
}

function polygon(path, [x, y, ...rest]) {
  path.moveTo(x, y);
  for (let i = 0; i < rest.length; i += 2) path.lineTo(rest[i], rest[i + 1]);
  path.closePath();
}

// "lock", "running", or the largest share of a piece: "running 60 %".
function stateName(trace, bar, i) {
  if (bar.ref[i] >= 0 && bar.group[i] !== READY) return trace.text(trace.slices.name[bar.ref[i]]);
  const group = bar.group[i],
    share = bar.share(group, i),
    name = group === ASLEEP ? 'idle' : GROUPS[group];
  return share > 0.98 ? name : `${name} ${formatShare(share, 1)}`;
}

function nameAndDetail({slices}, ref) {
  return [slices.name[ref], slices.detail[ref]];
}
