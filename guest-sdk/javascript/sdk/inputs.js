// What a mapper reads. Text crosses the boundary in chunks of whole lines and is split here, because a line by itself
// costs more than its bytes.

import { binaryOf, cellsOf, decode, textOf } from "./bytes.js";
import { sample } from "./errors.js";
import { checkType, text, tuple, u64 } from "./types.js";

const PLACE = tuple(text, u64);
const SPACES = ["\t", "\n", "\v", "\f", "\r"];

/** A chunk of whole lines, with their newlines; or one line by itself. */
export class Chunk {
  constructor(bytes, offset) {
    this.bytes = bytes;
    this.offset = offset;
  }

  get text() {
    return decode(this.bytes);
  }

  get lines() {
    return splitLines(this.text);
  }

  /** What is between white space: space, tab, newline, vertical tab, form feed, carriage return. */
  get words() {
    return words(this.text);
  }
}

/** What is between white space of ASCII. */
export function words(line) {
  let spaced = line;
  for (const space of SPACES) spaced = spaced.replaceAll(space, " ");
  // Runs are halved until they are gone: each pass is a loop in native code, and a letter here is not.
  while (spaced.includes("  ")) spaced = spaced.replaceAll("  ", " ");
  const found = spaced.split(" ");
  if (found[0] === "") found.shift();
  if (found.length > 0 && found[found.length - 1] === "") found.pop();
  return found;
}

function splitLines(whole) {
  const lines = whole.split("\n");
  if (lines.length > 1 && lines[lines.length - 1] === "") lines.pop();
  return lines;
}

/** A kind of input: attributes for the engine, the records of a row, and what is said of one of them. */
class Input {
  constructor(attributes, records, doing) {
    this.attributes = attributes;
    this.records = records;
    this.doing = doing;
  }
}

function offsetOf(key) {
  return u64.decode(key.subarray(key.length - 8));
}

function doingLine(key, value, at) {
  let offset = offsetOf(key);
  const lines = splitLines(binaryOf(value));
  for (let line = 0; line < at; line++) offset += lines[line].length + 1;
  const bytes = Uint8Array.from(lines[at] ?? "", (letter) => letter.charCodeAt(0));
  return `while mapping the line at byte ${offset}: ${sample(bytes)}`;
}

const CHUNKS = { "map.batch": "chunks" };

/** Lines of text: `map(line, out)`, a string without its newline. */
export const lines = new Input(CHUNKS, (_, value) => splitLines(decode(value)), doingLine);

/** Chunks of whole lines: `map(chunk, out)`; the fastest way, for what needs no lines. */
export const chunks = new Input(
  CHUNKS,
  (key, value) => [new Chunk(value, offsetOf(key))],
  (key, value) => `while mapping the ${value.length} bytes at byte ${offsetOf(key)}`,
);

/** Lines that know their file: `map({ path, offset, line }, out)`. */
export const fileLines = new Input(
  { "map.batch": "chunks", "map.input-key": "path-offset" },
  (key, value) => {
    let [path, offset] = PLACE.decode(key);
    return splitLines(binaryOf(value)).map((binary) => {
      const record = { path, offset, line: textOf(binary) };
      offset += binary.length + 1;
      return record;
    });
  },
  doingLine,
);

/** Records with a key and a value of these types: `map([key, value], out)`. */
export function records(key, value) {
  checkType(key, "the key of records()");
  checkType(value, "the value of records()");
  const input = new Input(
    {},
    (keyCell, valueCell) => [[key.decode(keyCell), value.decode(valueCell)]],
    (keyCell, valueCell) => `while mapping a record: key ${sample(keyCell)}, value ${sample(valueCell)}`,
  );
  input.types = [key, value];
  return input;
}

/** Fails unless it is a kind of input. */
export function checkInput(given) {
  if (!(given instanceof Input)) throw new TypeError(`the input of a mapper is ${given}, and not one such as lines`);
  return given;
}

/** The rows of a batch. */
export function rowsOf(rows, keys, values) {
  const keyCells = cellsOf(rows, keys);
  return cellsOf(rows, values).map((value, row) => [keyCells[row], value]);
}
