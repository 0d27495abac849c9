// Times and numbers as people read them.
'use strict';

const UNITS = [
  ['h', 3.6e12],
  ['min', 6e10],
  ['s', 1e9],
  ['ms', 1e6],
  ['µs', 1e3],
  ['ns', 1],
];

// Four digits: 1.234 ms. From a minute on in two parts: 2 min 5.3 s.
function formatTime(ns) {
  if (ns >= 3.6e12) return twoParts(Math.round(ns / 6e9), 600, 'h', 'min');
  if (ns >= 6e10) return twoParts(Math.round(ns / 1e8), 600, 'min', 's');
  const [unit, factor] = UNITS.find(([, least]) => ns >= least) || ['ns', 1];
  return `${trim(ns / factor, 4)} ${unit}`;
}

// An amount in tenths of the small unit, of which `large` make one of the large unit.
function twoParts(tenths, large, unit, small) {
  const rest = tenths % large;
  return `${Math.floor(tenths / large)} ${unit}${rest ? ` ${rest / 10} ${small}` : ''}`;
}

// A moment, to the nanosecond, in seconds since the trace began: 1.234 567 890 s.
function formatMoment(ns) {
  const whole = Math.floor(ns / 1e9),
    rest = String(Math.round(ns - whole * 1e9)).padStart(9, '0');
  return `${whole}.${rest.replace(/(\d{3})(?=\d)/g, '$1\u2009')} s`;
}

function trim(value, digits) {
  return String(Number(value.toPrecision(digits)));
}

function formatCount(count) {
  return String(count).replace(/\B(?=(\d{3})+$)/g, ',');
}

function formatShare(part, whole) {
  if (!whole) return '';
  const share = (100 * part) / whole;
  return share >= 99.95 ? '100 %' : share === 0 ? '0 %' : `${share.toFixed(share < 10 ? 1 : 0)} %`;
}

// A counter's value: bytes in units of 1,024 when the name says that they are bytes.
function formatValue(value, name) {
  if (!Number.isFinite(value)) return String(value);
  if (/bytes/i.test(name)) {
    const power = Math.min(4, Math.floor(Math.log2(Math.max(1, Math.abs(value))) / 10));
    return `${trim(value / 1024 ** power, 4)} ${['B', 'KiB', 'MiB', 'GiB', 'TiB'][power]}`;
  }
  const size = Math.abs(value);
  return size >= 1e9 || (size && size < 1e-4) ? value.toPrecision(4) : trim(value, 6);
}

// Ticks of an axis, about `space` pixels apart: 1, 2 or 5 times a power of ten, in the unit that
// suits the step. Where times of that unit would be long, they count from `base`.
function ticksOf(from, to, width, space = 110) {
  const least = Math.max(1, ((to - from) * space) / width);
  const power = 10 ** Math.floor(Math.log10(least));
  const step = power * [1, 2, 5, 10].find(factor => factor * power >= least * 0.999);
  const [unit, factor] = UNITS.slice(2).find(([, size]) => step >= size * 0.999);
  const base = to / factor >= 10000 ? Math.floor(from / (factor * 1000)) * factor * 1000 : 0;
  const ticks = [];
  for (let i = Math.ceil((from - base) / step); base + i * step <= to && ticks.length < 1000; i++)
    ticks.push({
      time: base + i * step,
      label: `${base ? '+' : ''}${Number(((i * step) / factor).toFixed(6))} ${unit}`,
    });
  return {base, ticks};
}
