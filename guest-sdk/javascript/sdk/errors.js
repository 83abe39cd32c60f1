// What an author throws, and how anything thrown becomes an answer that a person can read: one sentence with the place
// in the source and the record in hand, and the stack in the log.

import { binaryOf } from "./bytes.js";

/** Bytes of a key or value that are shown. */
const SAMPLE_MAX = 256;
/** Lines of a stack that are logged. */
const STACK_LINES_MAX = 20;
const OWN = /[\/(]mr\/\w+\.js|entry\.js|node:internal/;

/** Gives up on the record (or group) in hand, and goes on: it lands in the job's rejects with the reason. */
export class Reject extends Error {}

/** The input cannot be processed: another attempt would fail the same way. */
export class Invalid extends Error {
  kind = "invalid-input";
}

/** Worth another attempt, perhaps elsewhere. */
export class Transient extends Error {
  kind = "transient";
}

/** Fails the job without another attempt: bad configuration. */
export class Fatal extends Error {
  kind = "fatal";
}

/** An exported call failed: what crosses the boundary. */
export class Failed extends Error {
  constructor(kind, message, row) {
    super(message);
    this.kind = kind;
    this.row = row;
  }
}

/** What to answer for something thrown; its stack goes to `log`, line by line. */
export function failed(thrown, otherwise, doing, row, log) {
  if (thrown instanceof Failed) return thrown;
  const own = thrown instanceof Invalid || thrown instanceof Transient || thrown instanceof Fatal;
  const stack = own ? [] : stackOf(thrown);
  if (stack.length > 0) {
    log(said(thrown));
    stack.slice(0, STACK_LINES_MAX).forEach((line) => log(line));
  }
  const place = own || stack.length === 0 ? "" : placeOf(stack[0]);
  const message = `${own ? thrown.message : said(thrown)}${place}`;
  return new Failed(own ? thrown.kind : otherwise, doing ? `${message}; ${doing}` : message, row);
}

function said(thrown) {
  if (!(thrown instanceof Error)) return `thrown: ${typeof thrown === "string" ? thrown : describe(thrown)}`;
  return thrown.message ? `${thrown.name}: ${thrown.message}` : thrown.name;
}

function describe(thrown) {
  try {
    return JSON.stringify(thrown) ?? String(thrown);
  } catch {
    return String(thrown);
  }
}

/** Lines of a stack without the frames of this SDK. */
function stackOf(thrown) {
  const lines = typeof thrown?.stack === "string" ? thrown.stack.split("\n") : [];
  return lines.filter((line) => /^\s*at /.test(line) && !OWN.test(line)).map((line) => line.trimEnd());
}

/** `    at map (/plugin.js:12:5)` as ` (plugin.js:12 in map)`. */
function placeOf(line) {
  const found = /at (?:(?:async )?([^\s(]+) )?\(?(?:.*\/)?([^\/\s:]+):(\d+)(?::\d+)?\)?$/.exec(line);
  if (!found) return "";
  const [, name, file, number] = found;
  return name && name !== "<anonymous>" ? ` (${file}:${number} in ${name})` : ` (${file}:${number})`;
}

/** A cell in quotes, escaped and cut. */
export function sample(cell) {
  const shown = binaryOf(cell.subarray(0, SAMPLE_MAX)).replace(/[^\x20-\x7e]|["\\]/g, (letter) => {
    const known = { "\n": "\\n", "\t": "\\t", "\r": "\\r", '"': '\\"', "\\": "\\\\" }[letter];
    return known ?? `\\x${letter.charCodeAt(0).toString(16).padStart(2, "0")}`;
  });
  return cell.length > SAMPLE_MAX ? `"${shown}"... (${cell.length} bytes)` : `"${shown}"`;
}
