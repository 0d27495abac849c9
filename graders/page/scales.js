// The time scale, and the map of the whole trace.
'use strict';

function paintRuler(canvas, palette, view, range) {
  const {pen, width, height} = prepare(canvas),
    x = time => ((time - view.from) / (view.to - view.from)) * width;
  pen.fillStyle = palette.raised;
  pen.fillRect(0, 0, width, height);
  pen.font = '11px system-ui, "Noto Sans", "DejaVu Sans", sans-serif';
  pen.textBaseline = 'middle';
  const {base, ticks} = ticksOf(view.from, view.to, width);
  const taken = base ? [[0, pen.measureText(formatMoment(base)).width + 12]] : [];
  if (range) taken.push(paintRangeLength(pen, palette, x(range.from), x(range.to), range, width));
  for (const {time, label} of ticks) {
    const at = Math.round(x(time)),
      end = at + pen.measureText(label).width + 6;
    pen.fillStyle = palette.rule;
    pen.fillRect(at, 12, 1, height - 12);
    pen.fillStyle = palette.soft;
    if (end < width && taken.every(([from, to]) => end < from || at > to))
      pen.fillText(label, at + 4, height / 2 + 1);
  }
  pen.fillStyle = palette.ink;
  if (base) pen.fillText(formatMoment(base), 4, height / 2 + 1);
}

// How long the range is, above its middle; returns the pixels that the words take.
function paintRangeLength(pen, palette, left, right, range, width) {
  const words = formatTime(range.to - range.from),
    wide = pen.measureText(words).width;
  pen.fillStyle = palette.accent;
  pen.fillRect(left, 21, right - left, 3);
  if (right < 0 || left > width) return [0, 0];
  const middle = (Math.max(0, left) + Math.min(width, right) - wide) / 2,
    at = Math.max(2, Math.min(width - wide - 4, middle));
  pen.fillText(words, at, 11);
  return [at, at + wide];
}

// The map: how many threads ran, waited for a processor, and were inside regions, over all time.
class MapPainter {
  constructor(trace, canvas) {
    Object.assign(this, {trace, canvas, width: 0});
  }

  measure(width) {
    const {trace} = this,
      columns = Math.max(1, Math.floor(width));
    this.running = new Float64Array(columns);
    this.waiting = new Float64Array(columns);
    const {slices, duration} = trace,
      scale = columns / Math.max(1, duration);
    this.known = trace.sched.count > 0;
    for (const {bar} of this.known ? trace.threads : [])
      for (let i = 0; i < bar.count; i++)
        for (const [target, group] of [
          [this.running, RAN],
          [this.waiting, READY],
        ])
          spread(
            target,
            bar.start[i] * scale,
            (bar.end[i] - bar.start[i]) * scale,
            bar.share(group, i),
          );
    for (let i = 0; !this.known && i < slices.count; i++)
      if (slices.depth[i] === 0 && slices.kind[i] !== BLOCKED)
        spread(this.running, slices.start[i] * scale, slices.duration[i] * scale, 1);
    this.most = 0;
    for (let i = 0; i < columns; i++)
      this.most = Math.max(this.most, this.running[i] + this.waiting[i]);
    this.width = width;
  }

  // The curves, which change only with the width and the colours.
  picture(palette, width, height) {
    if (this.drawn === palette && width === this.width && this.image) return this.image;
    if (width !== this.width) this.measure(width);
    const ratio = window.devicePixelRatio || 1,
      room = height - 9;
    this.image = Object.assign(document.createElement('canvas'), {
      width: Math.ceil(width),
      height: Math.ceil(height * ratio),
    });
    const pen = this.image.getContext('2d');
    pen.scale(1, ratio);
    for (let i = 0; i < this.running.length; i++) {
      const ran = (this.running[i] / (this.most || 1)) * room,
        waited = (this.waiting[i] / (this.most || 1)) * room;
      pen.fillStyle = this.known ? palette.solid[RAN] : palette.curve;
      pen.fillRect(i, height - ran, 1, ran);
      pen.fillStyle = palette.solid[READY];
      pen.fillRect(i, height - ran - waited, 1, waited);
    }
    this.drawn = palette;
    return this.image;
  }

  paint(palette, view, found, range) {
    const {pen, width, height} = prepare(this.canvas),
      {trace} = this;
    const x = time => (time / Math.max(1, trace.duration)) * width,
      image = this.picture(palette, width, height);
    pen.fillStyle = palette.ground;
    pen.fillRect(0, 0, width, height);
    pen.drawImage(image, 0, 0, image.width, height);
    pen.fillStyle = palette.hit;
    let last = -2;
    for (const {time} of found ? found.hits : []) {
      const at = Math.round(x(time));
      if (at > last + 1) pen.fillRect((last = at), 0, 2, 6);
    }
    if (range) {
      pen.fillStyle = palette.accent;
      pen.fillRect(x(range.from), height - 3, Math.max(2, x(range.to) - x(range.from)), 3);
    }
    this.frame(pen, palette, x(view.from), x(view.to), width, height);
  }

  get words() {
    return (
      `${this.known ? 'threads that run or wait for a processor' : 'threads inside regions'}: ` +
      `${trim(this.most, 3)} at most`
    );
  }

  frame(pen, palette, left, right, width, height) {
    pen.fillStyle = palette.ground;
    pen.globalAlpha = 0.6;
    pen.fillRect(0, 0, left, height);
    pen.fillRect(right, 0, width - right, height);
    pen.globalAlpha = 1;
    pen.strokeStyle = palette.accent;
    pen.lineWidth = 1.5;
    pen.strokeRect(
      Math.max(0.75, left),
      0.75,
      Math.max(3, Math.min(width - 0.75, right) - Math.max(0.75, left)),
      height - 1.5,
    );
  }
}

// Adds a share of an interval, in columns, to the columns it covers.
function spread(columns, start, length, share) {
  const end = share ? Math.min(columns.length, start + length) : 0;
  for (let i = Math.max(0, Math.floor(start)); i < end; i++)
    columns[i] += share * (Math.min(end, i + 1) - Math.max(start, i));
}
