// What a plugin may ask and say besides its records: the task, parameters, counters, the log, side inputs. The engine
// itself is behind `host`: in the sandbox the imports (`sandbox.js`), in tests a stand-in (`testing.js`).

import { Fatal } from "./errors.js";

const NUMBERS = new Set(["u64", "s64", "f64"]);

function absent() {
  throw new Error("there is no job: this works while a task runs, and not when the plugin is built");
}

const nothing = {
  emit: absent, reject: absent, params: absent, count: absent, log: absent, nextValues: absent, sideSize: absent,
  sideRead: absent,
};

/** What the engine offers. */
export let host = nothing;

/** Talks to this host from now on; the one before. */
export function use(other) {
  const before = host;
  host = other ?? nothing;
  return before;
}

const state = { declared: {}, params: new Map(), counted: new Map(), context: null, named: new Map() };

/** Named outputs of the task, from now on: emitters by name. */
export function setNamed(named) {
  state.named = named;
}

/** The task that is under way. */
export class Task {
  constructor(context) {
    Object.assign(this, context);
  }

  /** A parameter of the job: text, or what its declaration says; undefined where it is not set and has no default. */
  param(name) {
    return param(name);
  }

  /** Opens a file that was shipped with the job. */
  sideInput(name) {
    return sideInput(name);
  }
}

/** A task begins: parameters are read once, with the types that the plugin declares. */
export function begin(context, declared) {
  state.declared = declared;
  state.counted = new Map();
  state.params = new Map(host.params().map(([name, given]) => [name, typed(name, given)]));
  state.context = new Task(context);
  return state.context;
}

function typed(name, given) {
  const type = state.declared[name]?.type ?? "text";
  if (type === "bool") {
    if (given === "true" || given === "false") return given === "true";
  } else if (NUMBERS.has(type)) {
    const number = Number(given);
    if (given.trim() !== "" && !Number.isNaN(number) && (type === "f64" || Number.isSafeInteger(number))) return number;
  } else return given;
  throw new Fatal(`parameter ${name} = ${JSON.stringify(given)} is no ${type}`);
}

/** A parameter of the job. */
export function param(name) {
  if (!state.params.has(name) && !(name in state.declared) && Object.keys(state.declared).length > 0) {
    throw new Fatal(`parameter ${name} is not declared; there are ${Object.keys(state.declared).join(", ")}`);
  }
  return state.params.get(name);
}

/** Emits a pair to a named output, one of those that the role declares as `outputs`. */
export function emit(output, key, value) {
  const named = state.named.get(output);
  if (named === undefined) {
    throw new Fatal(
      `there is no output ${output} in this stage: declare it in outputs: { ... }, of the reducer, or of the mapper of a job ` +
        "without reducers",
    );
  }
  named.emit(key, value);
}

/** Adds to a counter of the job. */
export function count(name, delta = 1) {
  if (!Number.isSafeInteger(delta)) throw new TypeError(`counter ${name}: ${String(delta)} is no whole number`);
  state.counted.set(name, (state.counted.get(name) ?? 0) + delta);
}

/** Sends what was counted since the last time. */
export function sendCounters() {
  if (state.counted.size === 0) return;
  const counted = [...state.counted];
  state.counted = new Map();
  host.count(counted);
}

/** Writes a line to the task's log; level is trace, debug, info, warn or error. `console.log` does so, too. */
export function log(message, level = "info") {
  host.log(level, String(message));
}

/** A read-only file that was shipped with the job: its `size` in bytes, and any part of it. */
export class SideInput {
  constructor(name, size) {
    this.name = name;
    this.size = size;
  }

  /** Up to `length` bytes from `offset`; shorter only at the end. */
  read(offset = 0, length = this.size - offset) {
    const parts = [];
    let got = 0;
    while (got < length) {
      const part = host.sideRead(this.name, offset + got, Math.min(length - got, 1 << 20));
      if (part.length === 0) break;
      parts.push(part);
      got += part.length;
    }
    const whole = new Uint8Array(got);
    parts.reduce((at, part) => (whole.set(part, at), at + part.length), 0);
    return whole;
  }
}

/** Opens a side input of the job. */
export function sideInput(name) {
  const size = host.sideSize(name);
  if (size === null || size === undefined) throw new Fatal(`the job has no side input ${name}`);
  return new SideInput(name, Number(size));
}
