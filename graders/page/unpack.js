// From the text in the page to tables of numbers: base64, zlib, columns.
//
// The bytes are: u32 length of a header in JSON, the header, then the columns in the order in which
// the header names them. A column holds all first bytes, then all second bytes, and so on, since
// equal neighbours are what zlib packs best. Rising times stand as differences, but for the first
// of each track.
'use strict';

async function unpack(text, size) {
  const packed = fromBase64(text);
  if (typeof DecompressionStream === 'undefined') return inflate(packed, size);
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream('deflate'));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

function fromBase64(text) {
  const letters = atob(text),
    bytes = new Uint8Array(letters.length);
  for (let i = 0; i < letters.length; i++) bytes[i] = letters.charCodeAt(i);
  return bytes;
}

// {header, tables}: a table has `count` and its columns as typed arrays, by name.
function readTables(bytes) {
  const length = new DataView(bytes.buffer).getUint32(0, true);
  const header = JSON.parse(new TextDecoder().decode(bytes.subarray(4, 4 + length)));
  const tables = {};
  let at = 4 + length;
  for (const {name, count, columns} of header.tables) {
    const table = {count};
    for (const column of columns) {
      const data = bytes.subarray(at, (at += column.width * count));
      table[column.name] = column.real ? reals(data, count) : integers(data, count, column);
    }
    tables[name] = table;
  }
  return {header, tables};
}

function integers(data, count, {width, time, first}) {
  const out = time || width > 4 ? new Float64Array(count) : new Uint32Array(count);
  for (let plane = width - 1; plane >= 0; plane--) {
    const from = plane * count;
    for (let i = 0; i < count; i++) out[i] = out[i] * 256 + data[from + i];
  }
  if (first) {
    const fresh = new Set(first);
    for (let i = 1; i < count; i++) if (!fresh.has(i)) out[i] += out[i - 1];
  }
  return out;
}

function reals(data, count) {
  const bytes = new Uint8Array(count * 8),
    view = new DataView(bytes.buffer);
  for (let i = 0; i < count; i++)
    for (let plane = 0; plane < 8; plane++) bytes[i * 8 + plane] = data[plane * count + i];
  return Float64Array.from({length: count}, (_, i) => view.getFloat64(i * 8, true));
}

// deflate backwards (RFC 1950, 1951), for browsers without DecompressionStream ------------------

const LENGTHS = extraTable(
  3,
  [0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5],
).concat([[258, 0]]);
const DISTANCES = extraTable(
  1,
  [
    0, 0, 0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 8, 9, 9, 10, 10, 11, 11, 12, 12, 13,
    13,
  ],
);
const CODE_ORDER = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];

// [smallest value, extra bits] of each code: every one begins where the last one ends.
function extraTable(first, bits) {
  let next = first;
  return bits.map(extra => [(next += 1 << extra) - (1 << extra), extra]);
}

class BitReader {
  constructor(bytes, at) {
    Object.assign(this, {bytes, at, held: 0, count: 0});
  }
  take(count) {
    while (this.count < count) {
      if (this.at >= this.bytes.length) throw new Error('the data of this page ends too early');
      this.held |= this.bytes[this.at++] << this.count;
      this.count += 8;
    }
    const value = this.held & ((1 << count) - 1);
    this.held >>>= count;
    this.count -= count;
    return value;
  }
  skipToByte() {
    this.held = this.count = 0;
  }
}

// A canonical code by the lengths of its symbols: how many have each length, and their order.
function huffman(lengths) {
  const counts = new Uint16Array(16),
    offsets = new Uint16Array(17);
  for (const length of lengths) counts[length]++;
  counts[0] = 0;
  for (let i = 1; i <= 16; i++) offsets[i] = offsets[i - 1] + counts[i - 1];
  const symbols = new Uint16Array(lengths.length);
  lengths.forEach((length, symbol) => {
    if (length) symbols[offsets[length]++] = symbol;
  });
  return {counts, symbols};
}

function symbolOf({counts, symbols}, bits) {
  let code = 0,
    first = 0,
    index = 0;
  for (let length = 1; length < 16; length++) {
    code |= bits.take(1);
    if (code - first < counts[length]) return symbols[index + code - first];
    index += counts[length];
    first = (first + counts[length]) << 1;
    code <<= 1;
  }
  throw new Error('the data of this page is damaged');
}

function fixedCodes() {
  const lengths = Array.from({length: 288}, (_, i) =>
    i < 144 ? 8 : i < 256 ? 9 : i < 280 ? 7 : 8,
  );
  return [huffman(lengths), huffman(new Array(30).fill(5))];
}

function dynamicCodes(bits) {
  const literals = bits.take(5) + 257,
    distances = bits.take(5) + 1,
    codes = bits.take(4) + 4;
  const small = new Array(19).fill(0),
    lengths = [];
  for (let i = 0; i < codes; i++) small[CODE_ORDER[i]] = bits.take(3);
  const code = huffman(small);
  while (lengths.length < literals + distances) {
    const symbol = symbolOf(code, bits);
    if (symbol < 16) lengths.push(symbol);
    else if (symbol === 16) repeat(lengths, lengths[lengths.length - 1], 3 + bits.take(2));
    else repeat(lengths, 0, symbol === 17 ? 3 + bits.take(3) : 11 + bits.take(7));
  }
  return [huffman(lengths.slice(0, literals)), huffman(lengths.slice(literals))];
}

function repeat(list, value, times) {
  while (times--) list.push(value);
}

function inflate(source, size) {
  const out = new Uint8Array(size),
    bits = new BitReader(source, 2);
  let at = 0,
    last = false;
  while (!last) {
    last = bits.take(1) === 1;
    const type = bits.take(2);
    if (type === 0) {
      bits.skipToByte();
      const length = bits.take(16);
      bits.take(16);
      out.set(source.subarray(bits.at, (bits.at += length)), at);
      at += length;
    } else {
      at = inflateBlock(bits, type === 1 ? fixedCodes() : dynamicCodes(bits), out, at);
    }
  }
  return out;
}

function inflateBlock(bits, [literals, distances], out, at) {
  for (;;) {
    const symbol = symbolOf(literals, bits);
    if (symbol === 256) return at;
    if (symbol < 256) {
      out[at++] = symbol;
      continue;
    }
    const [least, extra] = LENGTHS[symbol - 257];
    const length = least + bits.take(extra);
    const [near, more] = DISTANCES[symbolOf(distances, bits)];
    const back = near + bits.take(more);
    for (let i = 0; i < length; i++, at++) out[at] = out[at - back];
  }
}
