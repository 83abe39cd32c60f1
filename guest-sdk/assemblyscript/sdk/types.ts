// Types of keys and values, and how cells of them are written and read (wit/ENCODING.md of the
// engine).

import { Buffer } from "./buffer";
import { Words } from "./words";

/** Text or bytes: a view of the batch in hand, good until the function returns. */
export class Bytes {
  constructor(public ptr: usize = 0, public len: i32 = 0, public owner: ArrayBuffer | null = null) {}

  at(i: i32): u8 {
    if (<u32>i >= <u32>this.len) throw new RangeError("byte " + i.toString() + " of " + this.len.toString());
    return load<u8>(this.ptr + <usize>i);
  }

  equals(other: string): bool {
    const bytes = String.UTF8.encode(other);
    return bytes.byteLength == this.len && memory.compare(this.ptr, changetype<usize>(bytes), <usize>this.len) == 0;
  }

  /** The first place of `needle` from byte `from`, or -1. */
  indexOf(needle: Bytes, from: i32 = 0): i32 {
    for (let i = from; i <= this.len - needle.len; i++) {
      if (memory.compare(this.ptr + <usize>i, needle.ptr, <usize>needle.len) == 0) return i;
    }
    return -1;
  }

  /** The text as a string, with U+FFFD in place of what is not UTF-8. */
  toString(): string {
    return String.UTF8.decodeUnsafe(this.ptr, <usize>this.len);
  }
}

/** Text: UTF-8 by intention, never checked. */
export class Text extends Bytes {
  static from(text: string): Text {
    const bytes = String.UTF8.encode(text);
    return new Text(changetype<usize>(bytes), bytes.byteLength, bytes);
  }

  /** Part of it, from byte `start` to before byte `end`. */
  slice(start: i32, end: i32 = i32.MAX_VALUE): Text {
    const from = min(max(start, 0), this.len);
    return new Text(this.ptr + <usize>from, max(min(end, this.len) - from, 0), this.owner);
  }

  /** What is between bytes `separator`. */
  split(separator: u8): Text[] {
    const parts: Text[] = [];
    let from = 0;
    for (let i = 0; i < this.len; i++) {
      if (load<u8>(this.ptr + <usize>i) != separator) continue;
      parts.push(this.slice(from, i));
      from = i + 1;
    }
    parts.push(this.slice(from));
    return parts;
  }

  /** A copy that stays. */
  copy(): Text {
    const bytes = new ArrayBuffer(this.len);
    memory.copy(changetype<usize>(bytes), this.ptr, <usize>this.len);
    return new Text(changetype<usize>(bytes), this.len, bytes);
  }

  /** What is between white space. */
  words(): Words {
    return new Words(this.ptr, this.len);
  }
}

/** No bytes at all; text output leaves it out. */
export class Unit {}

/** A tuple: it sorts by its first element, then by the second, and so on. */
export abstract class Tuple {
  abstract mrName(): string;
  abstract mrWidth(): i32;
  abstract mrPut(to: Buffer): void;
  abstract mrGet(from: Reader): void;
}

export class Tuple1<A> extends Tuple {
  constructor(public a: A) { super(); }
  mrName(): string { return "tuple<" + typeName<A>() + ">"; }
  mrWidth(): i32 { return typeWidth<A>(); }
  mrPut(to: Buffer): void { put<A>(to, this.a); }
  mrGet(from: Reader): void { this.a = get<A>(from); }
}

export class Tuple2<A, B> extends Tuple {
  constructor(public a: A, public b: B) { super(); }
  mrName(): string { return "tuple<" + typeName<A>() + "," + typeName<B>() + ">"; }
  mrWidth(): i32 { return sumOf(typeWidth<A>(), typeWidth<B>()); }
  mrPut(to: Buffer): void { put<A>(to, this.a); put<B>(to, this.b); }
  mrGet(from: Reader): void { this.a = get<A>(from); this.b = get<B>(from); }
}

export class Tuple3<A, B, C> extends Tuple {
  constructor(public a: A, public b: B, public c: C) { super(); }
  mrName(): string { return "tuple<" + typeName<A>() + "," + typeName<B>() + "," + typeName<C>() + ">"; }
  mrWidth(): i32 { return sumOf(sumOf(typeWidth<A>(), typeWidth<B>()), typeWidth<C>()); }
  mrPut(to: Buffer): void { put<A>(to, this.a); put<B>(to, this.b); put<C>(to, this.c); }
  mrGet(from: Reader): void { this.a = get<A>(from); this.b = get<B>(from); this.c = get<C>(from); }
}

/** Sorts the other way round, the greatest first: as an element of a tuple, all bits flipped. */
export class Desc<A> extends Tuple {
  constructor(public value: A) { super(); }
  mrName(): string { return "desc<" + typeName<A>() + ">"; }
  mrWidth(): i32 { return typeWidth<A>(); }
  mrPut(to: Buffer): void {
    const start = to.len;
    put<A>(to, this.value);
    flip(to.ptr + <usize>start, to.len - start);
  }
  mrGet(from: Reader): void {
    const inner = from.flipped();
    this.value = get<A>(inner);
    from.leave(inner);
  }
}

function flip(ptr: usize, len: i32): void {
  for (let i = 0; i < len; i++) store<u8>(ptr + <usize>i, ~load<u8>(ptr + <usize>i));
}

/** The width of types whose cells differ. */
export const VARIABLE: i32 = -1;

function sumOf(a: i32, b: i32): i32 {
  return a == VARIABLE || b == VARIABLE ? VARIABLE : a + b;
}

/** An empty value of a class, for what its type alone knows. */
function blank<T>(): T {
  return changetype<T>(__new(offsetof<T>(), idof<T>()));
}

/** Name of a type in attributes. */
export function typeName<T>(): string {
  if (isReference<T>()) {
    if (isString<T>()) return "text";
    if (idof<T>() == idof<Text>()) return "text";
    if (idof<T>() == idof<Bytes>()) return "bytes";
    if (idof<T>() == idof<Unit>()) return "unit";
    const value = blank<T>();
    if (value instanceof Tuple) return (value as Tuple).mrName();
    return ERROR("not a type of keys and values");
  } else {
    if (isBoolean<T>()) return "bool";
    if (isFloat<T>() && sizeof<T>() == 8) return "f64";
    if (isInteger<T>() && sizeof<T>() == 8) return isSigned<T>() ? "s64" : "u64";
    ERROR("not a type of keys and values: numbers are u64, i64 and f64");
  }
}

/** Bytes of every cell, or VARIABLE. */
export function typeWidth<T>(): i32 {
  if (isReference<T>()) {
    if (isString<T>()) return VARIABLE;
    if (idof<T>() == idof<Text>() || idof<T>() == idof<Bytes>()) return VARIABLE;
    if (idof<T>() == idof<Unit>()) return 0;
    const value = blank<T>();
    return (value as Tuple).mrWidth();
  } else {
    return isBoolean<T>() ? 1 : 8;
  }
}

const SIGN: u64 = 1 << 63;

/** Appends a value as a whole cell. */
// @ts-ignore: decorator
@inline
export function write<T>(to: Buffer, value: T): void {
  if (isReference<T>()) {
    if (isString<T>()) to.pushString(changetype<string>(value));
    else if (idof<T>() == idof<Text>() || idof<T>() == idof<Bytes>()) {
      const bytes = changetype<Bytes>(value);
      to.push(bytes.ptr, bytes.len);
    } else put<T>(to, value);
  } else put<T>(to, value);
}

/** Appends a value as an element of a tuple. */
export function put<T>(to: Buffer, value: T): void {
  if (isReference<T>()) {
    if (isString<T>()) {
      const bytes = String.UTF8.encode(changetype<string>(value));
      putBytes(to, changetype<usize>(bytes), bytes.byteLength);
    } else if (idof<T>() == idof<Text>() || idof<T>() == idof<Bytes>()) {
      const bytes = changetype<Bytes>(value);
      putBytes(to, bytes.ptr, bytes.len);
    } else if (idof<T>() != idof<Unit>()) changetype<Tuple>(value).mrPut(to);
  } else {
    if (isBoolean<T>()) to.pushByte(value ? 1 : 0);
    else if (isFloat<T>()) putFloat(to, <f64>value);
    else if (isSigned<T>()) to.pushBits(<u64>value ^ SIGN);
    else to.pushBits(<u64>value);
  }
}

function putFloat(to: Buffer, x: f64): void {
  // The sign and payload of a computed NaN differ between machines; output must not.
  const bits: u64 = x != x ? <u64>0x7ff8 << 48 : reinterpret<u64>(x);
  to.pushBits(bits & SIGN ? ~bits : bits | SIGN);
}

/** 00 becomes 00 FF, 00 00 ends it. */
function putBytes(to: Buffer, ptr: usize, len: i32): void {
  to.reserve(len + 2);
  for (let i = 0; i < len; i++) {
    const byte = load<u8>(ptr + <usize>i);
    to.pushByte(byte);
    if (byte == 0) to.pushByte(0xff);
  }
  to.pushByte(0);
  to.pushByte(0);
}

/** A cell that is read from its front; `bad` once it is not of the type that is read. */
export class Reader {
  bad: bool = false;
  /** `owner` holds the bytes where the batch does not. */
  constructor(public ptr: usize, public len: i32, public owner: ArrayBuffer | null = null) {}

  take(bytes: i32): usize {
    if (this.bad || this.len < bytes) {
      this.bad = true;
      return 0;
    }
    const at = this.ptr;
    this.ptr += <usize>bytes;
    this.len -= bytes;
    return at;
  }

  /** What is left, turned round. */
  flipped(): Reader {
    const bytes = new ArrayBuffer(this.len);
    memory.copy(changetype<usize>(bytes), this.ptr, <usize>this.len);
    flip(changetype<usize>(bytes), this.len);
    return new Reader(changetype<usize>(bytes), this.len, bytes);
  }

  /** Passes what was taken of `inner`, which is what is left, turned round. */
  leave(inner: Reader): void {
    this.take(this.len - inner.len);
    this.bad = this.bad || inner.bad;
  }
}

// @ts-ignore: decorator
@lazy const reader = new Reader(0, 0);
/** Whether the last cell that was read is not of its type. */
export let malformed: bool = false;

/** Reads a whole cell. `malformed` tells whether it is one. */
// @ts-ignore: decorator
@inline
export function read<T>(ptr: usize, len: i32): T {
  malformed = false;
  if (isReference<T>()) {
    if (isString<T>()) return changetype<T>(String.UTF8.decodeUnsafe(ptr, <usize>len));
    if (idof<T>() == idof<Text>() || idof<T>() == idof<Bytes>()) return changetype<T>(new Text(ptr, len));
    return readElement<T>(ptr, len);
  } else {
    return readElement<T>(ptr, len);
  }
}

function readElement<T>(ptr: usize, len: i32): T {
  reader.ptr = ptr;
  reader.len = len;
  reader.bad = false;
  const value = get<T>(reader);
  malformed = reader.bad || reader.len != 0;
  return value;
}

/** Reads an element off the front of a cell. */
export function get<T>(from: Reader): T {
  if (isReference<T>()) {
    if (isString<T>()) return changetype<T>(getText(from).toString());
    if (idof<T>() == idof<Text>() || idof<T>() == idof<Bytes>()) return changetype<T>(getText(from));
    const value = blank<T>();
    if (idof<T>() != idof<Unit>()) changetype<Tuple>(value).mrGet(from);
    return value;
  } else {
    if (isBoolean<T>()) {
      const at = from.take(1);
      const byte = at ? load<u8>(at) : 0;
      if (byte > 1) from.bad = true;
      return <T>(byte == 1);
    }
    const at = from.take(8);
    const bits = at ? bswap<u64>(load<u64>(at)) : 0;
    if (isFloat<T>()) return <T>reinterpret<f64>(bits & SIGN ? bits ^ SIGN : ~bits);
    if (isSigned<T>()) return <T>(bits ^ SIGN);
    return <T>bits;
  }
}

function getText(from: Reader): Text {
  let zeros = 0;
  for (let i = 0; i + 1 < from.len; i++) {
    if (load<u8>(from.ptr + <usize>i) != 0) continue;
    const mark = load<u8>(from.ptr + <usize>(i + 1));
    if (mark == 0) {
      const text = new Text(from.ptr, i, from.owner);
      from.take(i + 2);
      return zeros == 0 ? text : unescaped(text, zeros);
    }
    if (mark != 0xff) break;
    zeros++;
    i++;
  }
  from.bad = true;
  return new Text(0, 0);
}

function unescaped(text: Text, zeros: i32): Text {
  const bytes = new ArrayBuffer(text.len - zeros);
  let to = changetype<usize>(bytes);
  for (let i = 0; i < text.len; i++) {
    const byte = load<u8>(text.ptr + <usize>i);
    store<u8>(to++, byte);
    if (byte == 0) i++;
  }
  return new Text(changetype<usize>(bytes), bytes.byteLength, bytes);
}
