// What the plugin is working on, so that an error, a reject and a panic name their record; and the
// three kinds of errors. It imports nothing, so that it is there before anything can panic.

export const enum Doing { Nothing, Line, Chunk, Record, Combining, Reducing, Partitioning }
export const enum Kind { InvalidInput, Transient, Fatal }

export let doing: Doing = Doing.Nothing;
export let row: u32 = 0;
export let offset: u64 = 0;
let key: usize = 0;
let keyLen: i32 = 0;
let value: usize = 0;
let valueLen: i32 = 0;

export let failed: bool = false;
export let kind: Kind = Kind.InvalidInput;
let message: string = "";

/** The bytes that may be loaded beyond the end of a word: those of the batch in hand. */
export let batchBegin: usize = 0;
export let batchEnd: usize = 0;

export function setBatch(begin: usize, len: i32): void {
  batchBegin = begin;
  batchEnd = begin + <usize>len;
}

// @ts-ignore: decorator
@inline
export function setRow(what: Doing, at: u32, k: usize, kLen: i32, v: usize = 0, vLen: i32 = 0): void {
  doing = what;
  row = at;
  key = k;
  keyLen = kLen;
  value = v;
  valueLen = vLen;
}

// @ts-ignore: decorator
@inline
export function setText(what: Doing, at: u64, text: usize, len: i32): void {
  doing = what;
  offset = at;
  key = text;
  keyLen = len;
}

export function setIdle(): void {
  doing = Doing.Nothing;
  failed = false;
}

function fail(why: Kind, text: string): void {
  if (failed) return;
  failed = true;
  kind = why;
  message = text;
}

/** The input cannot be processed: no other attempt would do better. Return after it. */
export function invalid(text: string): void { fail(Kind.InvalidInput, text); }
/** Worth another attempt, perhaps on another machine. Return after it. */
export function transient(text: string): void { fail(Kind.Transient, text); }
/** Fails the job at once: a parameter makes no sense, for example. Return after it. */
export function fatal(text: string): void { fail(Kind.Fatal, text); }

/** What is being done: `; while mapping the line at byte 17: "..."`. */
export function describe(): string {
  switch (doing) {
    case Doing.Line: return "; while mapping the line at byte " + offset.toString() + ": " + sample(key, keyLen);
    case Doing.Chunk: return "; while mapping the " + keyLen.toString() + " bytes at byte " + offset.toString();
    case Doing.Record:
      return "; while mapping the record with key " + sample(key, keyLen) + " and value " + sample(value, valueLen);
    case Doing.Combining: return "; while combining the key " + sample(key, keyLen);
    case Doing.Reducing: return "; while reducing the key " + sample(key, keyLen);
    case Doing.Partitioning: return "; while choosing the partition of the key " + sample(key, keyLen);
    default: return "";
  }
}

export function failure(): string {
  return message + describe();
}

const SAMPLE_BYTES_MAX: i32 = 256;

function sample(ptr: usize, len: i32): string {
  const HEX = "0123456789abcdef";
  let text = "\"";
  for (let i = 0; i < min(len, SAMPLE_BYTES_MAX); i++) {
    const byte = load<u8>(ptr + <usize>i);
    if (byte == 34 || byte == 92) text += "\\";
    if (byte >= 32 && byte < 127) text += String.fromCharCode(byte);
    else text += "\\x" + HEX.charAt(byte >> 4) + HEX.charAt(byte & 15);
  }
  text += "\"";
  return len > SAMPLE_BYTES_MAX ? text + " and " + (len - SAMPLE_BYTES_MAX).toString() + " bytes more" : text;
}

let panicking: bool = false;

/** Whether this panic is the first: another one may come of telling about it. */
export function beginPanic(): bool {
  const first = !panicking;
  panicking = true;
  return first;
}
