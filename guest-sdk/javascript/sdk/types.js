// Types of keys and values: cells whose byte order is the order of the values (`ENCODING.md` of the interface).
// Whole columns are encoded and decoded at once; a type also knows single cells.

import { binaryOf, bytesOf, cellsOf, columnOf, decode, encode, endsOf, packEnds, textOf, utf8Of } from "./bytes.js";

const TUPLE_MAX = 64;
const DEPTH_MAX = 8;
const HIGH = 0x1_0000_0000;

/** A cell that is not one of its type, or a value that is not. */
export class WrongType extends Error {}

function malformed(type, cell) {
  const shown = Array.from(cell.subarray(0, 32), (byte) => byte.toString(16).padStart(2, "0")).join("");
  return new WrongType(`the bytes ${shown} are no cell of type ${type.name}`);
}

function wrong(type, value) {
  let shown = typeof value === "string" ? JSON.stringify(value) : String(value);
  if (shown.length > 100) shown = `${shown.slice(0, 100)}...`;
  return new WrongType(`${shown} is a ${kindOf(value)} and not a value of type ${type.name}`);
}

function kindOf(value) {
  if (value === null || value === undefined) return String(value);
  return typeof value === "object" ? (value.constructor?.name ?? "object") : typeof value;
}

/** A type of keys or values. `width` is the length of all its cells, or null where they differ. */
class Type {
  constructor(name, width) {
    this.name = name;
    this.width = width;
  }

  /** The cell of a value. */
  encode(value) {
    return this.encodeColumn([value]).data;
  }

  /** The value of a cell. */
  decode(cell) {
    return this.decodeColumn(1, { width: cell.length, ends: new Uint8Array(0), data: cell })[0];
  }

  decodeColumn(rows, column) {
    return cellsOf(rows, column).map((cell) => this.decode(cell));
  }

  /** The cells of values as elements of a tuple. */
  elements(values) {
    return cellsOf(values.length, this.encodeColumn(values));
  }

  /** The element of a tuple that begins at `at`: its value, and where it ends. */
  take(cell, at) {
    const end = at + this.width;
    if (end > cell.length) throw malformed(this, cell.subarray(at));
    return [this.decode(cell.subarray(at, end)), end];
  }

  /** Fails where a column has cells of another length. */
  check(rows, column) {
    if (column.ends.length === 0 && column.width === this.width) return;
    for (const cell of cellsOf(rows, column)) if (cell.length !== this.width) throw malformed(this, cell);
  }
}

class Text extends Type {
  constructor() {
    super("text", null);
  }

  encodeColumn(values) {
    const rows = values.length;
    const ends = new Uint32Array(rows);
    let whole;
    try {
      // Most text is ASCII: then its letters are its bytes.
      whole = values.join("");
      if (utf8Of(whole) !== whole) whole = null;
    } catch {
      whole = null;
    }
    let parts = values;
    if (whole === null) {
      parts = values.map((value) => (typeof value === "string" ? utf8Of(value) : value));
      if (parts.every((part) => typeof part === "string")) whole = parts.join("");
    }
    let size = 0;
    for (let row = 0; row < rows; row++) {
      const value = values[row];
      if (typeof value !== "string") return this.encodeMixed(values);
      ends[row] = size += parts[row].length;
    }
    return { width: 0, ends: packEnds(ends), data: bytesOf(whole) };
  }

  /** Bytes are taken as they are. */
  encodeMixed(values) {
    const cells = values.map((value) => {
      if (typeof value === "string") return encode(value);
      if (value instanceof Uint8Array) return value;
      throw wrong(this, value);
    });
    return columnOf(cells);
  }

  decodeColumn(rows, column) {
    const ends = endsOf(rows, column);
    const binary = binaryOf(column.data);
    const ascii = textOf(binary) === binary;
    const values = new Array(rows);
    for (let row = 0, start = 0; row < rows; row++) {
      const end = ends[row];
      const part = binary.slice(start, end);
      values[row] = ascii ? part : textOf(part);
      start = end;
    }
    return values;
  }

  decode(cell) {
    return decode(cell);
  }

  elements(values) {
    const { data, ends } = this.encodeColumn(values);
    return escaped(cellsOf(values.length, { width: 0, ends, data }));
  }

  take(cell, at) {
    const [bytes, end] = unescaped(this, cell, at);
    return [decode(bytes), end];
  }
}

class Bytes extends Type {
  constructor() {
    super("bytes", null);
  }

  encodeColumn(values) {
    for (const value of values) if (!(value instanceof Uint8Array)) throw wrong(this, value);
    return columnOf(values);
  }

  decodeColumn(rows, column) {
    return cellsOf(rows, column).map((cell) => cell.slice());
  }

  elements(values) {
    return escaped(cellsOf(values.length, this.encodeColumn(values)));
  }

  take(cell, at) {
    return unescaped(this, cell, at);
  }
}

/** As elements of tuples, texts and bytes have to end somewhere. */
function escaped(cells) {
  return cells.map((cell) => {
    let zeros = 0;
    for (let at = cell.indexOf(0); at >= 0; at = cell.indexOf(0, at + 1)) zeros++;
    const out = new Uint8Array(cell.length + zeros + 2);
    let to = 0;
    let from = 0;
    for (let at = cell.indexOf(0); at >= 0; at = cell.indexOf(0, from)) {
      out.set(cell.subarray(from, at + 1), to);
      to += at + 1 - from;
      out[to++] = 0xff;
      from = at + 1;
    }
    out.set(cell.subarray(from), to);
    return out;
  });
}

function unescaped(type, cell, start) {
  const parts = [];
  let from = start;
  for (;;) {
    const zero = cell.indexOf(0, from);
    const after = zero < 0 ? -1 : cell[zero + 1];
    if (after === 0) {
      parts.push(cell.subarray(from, zero));
      const bytes = new Uint8Array(parts.reduce((size, part) => size + part.length, 0));
      let to = 0;
      for (const part of parts) {
        bytes.set(part, to);
        to += part.length;
      }
      return [bytes, zero + 2];
    }
    if (after !== 0xff) throw malformed(type, cell.subarray(start));
    parts.push(cell.subarray(from, zero + 1));
    from = zero + 2;
  }
}

/** Whole numbers, as `number`: exact up to 2^53, beyond which reading and writing fail. */
class Whole extends Type {
  constructor(name, signed) {
    super(name, 8);
    this.signed = signed;
  }

  encodeColumn(values) {
    const data = new Uint8Array(8 * values.length);
    const flip = this.signed ? 0x80 : 0;
    for (let row = 0, at = 0; row < values.length; row++, at += 8) {
      const value = values[row];
      // Most numbers are small, and a step of the interpreter is dear.
      if (value >= 0 && value < 256 && Number.isInteger(value)) {
        data[at + 7] = value;
        if (flip) data[at] = flip;
        continue;
      }
      if (!Number.isSafeInteger(value) || (value < 0 && !this.signed)) throw wrong(this, value);
      const high = Math.floor(value / HIGH);
      put(data, at, high);
      put(data, at + 4, value - high * HIGH);
      data[at] ^= flip;
    }
    return { width: 8, ends: new Uint8Array(0), data };
  }

  decodeColumn(rows, column) {
    this.check(rows, column);
    const view = new DataView(column.data.buffer, column.data.byteOffset, column.data.byteLength);
    const values = new Array(rows);
    for (let row = 0, at = 0; row < rows; row++, at += 8) {
      const top = this.signed ? (view.getUint32(at) ^ 0x8000_0000) | 0 : view.getUint32(at);
      const value = top * HIGH + view.getUint32(at + 4);
      if (!Number.isSafeInteger(value)) {
        throw new WrongType(`a ${this.name} beyond 2^53 does not fit in a number; use ${this.name}Big`);
      }
      values[row] = value;
    }
    return values;
  }
}

function put(data, at, word) {
  data[at] = word >>> 24;
  data[at + 1] = word >>> 16;
  data[at + 2] = word >>> 8;
  data[at + 3] = word;
}

/** Whole numbers, as `bigint`. */
class Big extends Type {
  constructor(name, signed) {
    super(name, 8);
    this.signed = signed;
  }

  encodeColumn(values) {
    const data = new Uint8Array(8 * values.length);
    const view = new DataView(data.buffer);
    values.forEach((value, row) => {
      if (typeof value !== "bigint") throw wrong(this, value);
      const back = this.signed ? BigInt.asIntN(64, value) : BigInt.asUintN(64, value);
      if (back !== value) throw wrong(this, value);
      view.setBigUint64(8 * row, BigInt.asUintN(64, this.signed ? value ^ (1n << 63n) : value));
    });
    return { width: 8, ends: new Uint8Array(0), data };
  }

  decodeColumn(rows, column) {
    this.check(rows, column);
    const view = new DataView(column.data.buffer, column.data.byteOffset, column.data.byteLength);
    return Array.from({ length: rows }, (_, row) => {
      const bits = view.getBigUint64(8 * row);
      return this.signed ? BigInt.asIntN(64, bits ^ (1n << 63n)) : bits;
    });
  }
}

class Float extends Type {
  constructor() {
    super("f64", 8);
  }

  encodeColumn(values) {
    const data = new Uint8Array(8 * values.length);
    const view = new DataView(data.buffer);
    values.forEach((value, row) => {
      if (typeof value !== "number") throw wrong(this, value);
      const at = 8 * row;
      // NaN is always the same one: positive, quiet, no payload.
      if (value !== value) view.setUint32(at, 0x7ff8_0000);
      else view.setFloat64(at, value);
      flip(view, at, view.getUint32(at) >>> 31);
    });
    return { width: 8, ends: new Uint8Array(0), data };
  }

  decodeColumn(rows, column) {
    this.check(rows, column);
    const view = new DataView(column.data.slice().buffer);
    return Array.from({ length: rows }, (_, row) => {
      flip(view, 8 * row, 1 - (view.getUint32(8 * row) >>> 31));
      return view.getFloat64(8 * row);
    });
  }
}

/** Flips all bits of a number, or its sign alone. */
function flip(view, at, all) {
  view.setUint32(at, view.getUint32(at) ^ (all ? 0xffff_ffff : 0x8000_0000));
  if (all) view.setUint32(at + 4, ~view.getUint32(at + 4));
}

class Bool extends Type {
  constructor() {
    super("bool", 1);
  }

  encodeColumn(values) {
    const data = Uint8Array.from(values, (value) => {
      if (typeof value !== "boolean") throw wrong(this, value);
      return value ? 1 : 0;
    });
    return { width: 1, ends: new Uint8Array(0), data };
  }

  decodeColumn(rows, column) {
    this.check(rows, column);
    return Array.from({ length: rows }, (_, row) => {
      const byte = column.data[row];
      if (byte > 1) throw malformed(this, column.data.subarray(row, row + 1));
      return byte === 1;
    });
  }
}

/** Nothing: its value is null. */
class Unit extends Type {
  constructor() {
    super("unit", 0);
  }

  encodeColumn(values) {
    for (const value of values) if (value !== null && value !== undefined) throw wrong(this, value);
    return { width: 0, ends: new Uint8Array(0), data: new Uint8Array(0) };
  }

  decodeColumn(rows, column) {
    if (column.data.length > 0) throw malformed(this, column.data);
    return new Array(rows).fill(null);
  }
}

/** Several values; in JavaScript an array of as many. */
class Tuple extends Type {
  constructor(parts) {
    if (parts.length < 1 || parts.length > TUPLE_MAX) {
      throw new TypeError(`a tuple has 1 to ${TUPLE_MAX} elements, and not ${parts.length}`);
    }
    parts.forEach((part) => checkType(part, "an element of a tuple"));
    if (depth(parts) > DEPTH_MAX) throw new TypeError(`tuples nest up to ${DEPTH_MAX} deep`);
    const widths = parts.map((part) => part.width);
    const width = widths.includes(null) ? null : widths.reduce((sum, width) => sum + width, 0);
    super(`tuple<${parts.map((part) => part.name).join(",")}>`, width);
    this.parts = parts;
  }

  encodeColumn(values) {
    for (const value of values) {
      if (!Array.isArray(value) || value.length !== this.parts.length) throw wrong(this, value);
    }
    const columns = this.parts.map((part, at) => part.elements(values.map((value) => value[at])));
    const cells = values.map((_, row) => {
      const cell = new Uint8Array(columns.reduce((size, column) => size + column[row].length, 0));
      let at = 0;
      for (const column of columns) {
        cell.set(column[row], at);
        at += column[row].length;
      }
      return cell;
    });
    const column = columnOf(cells);
    return this.width === null ? column : { width: this.width, ends: new Uint8Array(0), data: column.data };
  }

  decode(cell) {
    const [value, end] = this.take(cell, 0);
    if (end !== cell.length) throw malformed(this, cell);
    return value;
  }

  take(cell, at) {
    const value = [];
    for (const part of this.parts) {
      const [element, end] = part.take(cell, at);
      value.push(element);
      at = end;
    }
    return [value, at];
  }
}

/** Sorts the other way round: the cell as an element of a tuple, all bits flipped. Its values are those of `inner`. */
class Desc extends Type {
  constructor(inner) {
    checkType(inner, "what desc turns round");
    if (depth([inner]) > DEPTH_MAX) throw new TypeError(`types nest up to ${DEPTH_MAX} deep`);
    super(`desc<${inner.name}>`, inner.width);
    this.inner = inner;
  }

  encodeColumn(values) {
    const column = columnOf(this.inner.elements(values).map(flipped));
    return this.width === null ? column : { width: this.width, ends: new Uint8Array(0), data: column.data };
  }

  decode(cell) {
    const [value, end] = this.take(cell, 0);
    if (end !== cell.length) throw malformed(this, cell);
    return value;
  }

  take(cell, at) {
    const end = this.width === null ? cell.length : at + this.width;
    const [value, taken] = this.inner.take(flipped(cell.subarray(at, end)), 0);
    return [value, at + taken];
  }
}

function flipped(cell) {
  return cell.map((byte) => byte ^ 0xff);
}

function depth(parts) {
  const inner = parts.map((part) => (part instanceof Desc ? [part.inner] : part instanceof Tuple ? part.parts : null));
  return 1 + Math.max(0, ...inner.filter((part) => part !== null).map(depth));
}

export const text = new Text();
export const bytes = new Bytes();
export const u64 = new Whole("u64", false);
export const s64 = new Whole("s64", true);
export const u64Big = new Big("u64", false);
export const s64Big = new Big("s64", true);
export const f64 = new Float();
export const bool = new Bool();
export const unit = new Unit();

/** The type of arrays with these elements: `tuple(text, u64)`. */
export function tuple(...parts) {
  return new Tuple(parts);
}

/** The type that sorts the other way round, the greatest first: `desc(u64)`. */
export function desc(inner) {
  return new Desc(inner);
}

/** Fails unless it is a type. */
export function checkType(given, what) {
  if (!(given instanceof Type)) throw new TypeError(`${what} is ${given}, and not a type such as text or u64`);
  return given;
}

/** A value as the engine writes it to text; null for a unit, which is left out. */
export function render(type, value) {
  if (type instanceof Tuple) return value.map((part, at) => render(type.parts[at], part) ?? "").join("\t");
  if (type instanceof Desc) return render(type.inner, value);
  if (type instanceof Unit) return null;
  if (type instanceof Bytes) return decode(value);
  return type instanceof Float ? renderFloat(value) : String(value);
}

/** Shortest digits that read back as the same number, without an exponent. */
function renderFloat(value) {
  if (value !== value) return "NaN";
  if (!Number.isFinite(value)) return value > 0 ? "inf" : "-inf";
  const sign = value < 0 || Object.is(value, -0) ? "-" : "";
  const [digits, exponent] = String(Math.abs(value)).split("e");
  const [whole, fraction = ""] = digits.split(".");
  const shift = Number(exponent ?? 0);
  if (shift === 0) return sign + digits;
  if (shift > 0) return sign + whole + fraction.padEnd(shift, "0");
  return `${sign}0.${"0".repeat(-shift - 1)}${whole}${fraction}`;
}
