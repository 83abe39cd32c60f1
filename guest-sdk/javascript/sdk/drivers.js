// Runs a role over batches: what the exported functions do, in the sandbox and in tests.

import { cellsOf, endsOf, packEnds, readEnds } from "./bytes.js";
import { begin, host, sendCounters, setNamed } from "./context.js";
import { Fatal, Invalid, Reject, failed, sample } from "./errors.js";
import { rowsOf } from "./inputs.js";
import { WrongType } from "./types.js";

/** Pairs that are kept before they leave. */
const PAIRS_MAX = 32 * 1024;
/** Bytes of a column that leave at once; the engine takes 16 MiB. */
const COLUMN_BYTES_MAX = 4 * 1024 * 1024;

/** Collects pairs of a stage and emits them. */
export class Emitter {
  constructor(stage, port = 0) {
    this.stage = stage;
    this.port = port;
    this.keys = [];
    this.values = [];
  }

  /** Emits a pair. */
  emit(key, value) {
    if (this.keys.push(key) > PAIRS_MAX) {
      this.values.push(value);
      this.flush();
    } else this.values.push(value);
  }

  /** Emits the pairs of a `Map`, or of anything else that yields them. */
  emitAll(pairs) {
    if (pairs instanceof Map) {
      this.flush();
      this.send([...pairs.keys()], [...pairs.values()]);
      return;
    }
    for (const [key, value] of pairs) this.emit(key, value);
  }

  flush() {
    if (this.keys.length === 0) return;
    const { keys, values } = this;
    this.keys = [];
    this.values = [];
    this.send(keys, values);
  }

  send(keys, values) {
    for (let at = 0; at < keys.length; at += PAIRS_MAX) {
      const rows = Math.min(PAIRS_MAX, keys.length - at);
      const some = (all) => (rows === all.length ? all : all.slice(at, at + rows));
      const { key, value } = this.stage;
      emit(rows, encode(this.stage, "key", key, some(keys)), encode(this.stage, "value", value, some(values)), this.port);
    }
  }
}

/** What a combiner emits to: values of the key at hand. */
class Combined {
  constructor(out) {
    this.out = out;
    this.key = null;
  }

  emit(value) {
    this.out.emit(this.key, value);
  }
}

/** Emits columns, in portions that the engine takes. */
function emit(rows, keys, values, port = 0) {
  if (rows > 1 && keys.data.length + values.data.length > COLUMN_BYTES_MAX) {
    const half = rows >> 1;
    emit(half, part(keys, rows, 0, half), part(values, rows, 0, half), port);
    emit(rows - half, part(keys, rows, half, rows), part(values, rows, half, rows), port);
  } else if (rows > 0) host.emit(port, rows, keys, values);
}

/** Some rows of a column. */
function part(column, rows, start, end) {
  const all = endsOf(rows, column);
  const first = start > 0 ? all[start - 1] : 0;
  const data = column.data.subarray(first, all[end - 1]);
  if (column.ends.length === 0) return { ...column, data };
  return { width: 0, ends: packEnds(all.slice(start, end).map((at) => at - first)), data };
}

/** A column; what is of another type is named. */
function encode(stage, side, type, values) {
  try {
    return type.encodeColumn(values);
  } catch (error) {
    if (!(error instanceof WrongType)) throw error;
    throw new Invalid(`the ${stage.role} emitted a ${side} of another type: ${error.message}`);
  }
}

/** A role at work. */
class Driver {
  constructor(stage, context) {
    this.stage = stage;
    this.out = new Emitter(stage);
    this.doing = null;
    this.row = null;
    this.call("fatal", () => {
      const task = begin(context, stage.params);
      this.named = this.namedOf(context.outputs);
      setNamed(this.named);
      this.state = stage.setup ? stage.setup(task) : undefined;
    });
  }

  /** Emitters of those of its named outputs that the task has. */
  namedOf(outputs) {
    const has = Object.entries(this.stage.outputs).filter(([name]) => outputs.includes(name));
    return new Map(has.map(([name, types]) => [name, new Emitter({ ...types, role: this.stage.role }, outputs.indexOf(name))]));
  }

  /** Emits what was collected. */
  flush() {
    this.out.flush();
    for (const out of this.named.values()) out.flush();
  }

  /** Runs one exported call: what is thrown becomes an answer, counters are sent at its end. */
  call(otherwise, work) {
    this.doing = this.row = null;
    try {
      const answer = work();
      sendCounters();
      return answer;
    } catch (thrown) {
      const doing = this.doing ? this.doing() : "";
      const why = thrown instanceof Reject ? new Fatal(`rejected outside of any record: ${thrown.message}`) : thrown;
      throw failed(why, otherwise, doing, this.row ?? undefined, (line) => host.log("error", line));
    }
  }

  /** Goes on after a reject; anything else is thrown further. */
  rejected(thrown) {
    if (!(thrown instanceof Reject)) throw thrown;
    host.reject(this.row, `${thrown.message}; ${this.doing()}`);
  }

  close() {
    this.call("invalid-input", () => {
      if (this.stage.finish) this.stage.finish(this.out, this.state);
      this.flush();
    });
  }
}

class MapDriver extends Driver {
  mapBatch(rows, keys, values) {
    this.call("invalid-input", () => {
      const { input } = this.stage;
      for (const [row, [key, value]] of rowsOf(rows, keys, values).entries()) {
        this.row = row;
        this.at = 0;
        this.doing = () => input.doing(key, value, this.at);
        const records = input.records(key, value);
        while (this.at < records.length) this.mapRecords(records);
      }
      this.row = this.doing = null;
      this.flush();
    });
  }

  /** Maps on from `this.at`; returns at the end, and where a record was rejected. */
  mapRecords(records) {
    const { stage, out, state } = this;
    let at = this.at;
    try {
      for (; at < records.length; at++) {
        const answer = stage.map(records[at], out, state);
        if (answer !== undefined) this.returned(answer);
      }
      this.at = at;
    } catch (thrown) {
      this.at = at;
      this.rejected(thrown);
      this.at = at + 1;
    }
  }

  /** Pairs may be returned, too; generators are such a thing. */
  returned(answer) {
    if (answer === null || typeof answer !== "object" || typeof answer[Symbol.iterator] !== "function") {
      throw new Invalid(`map returned ${String(answer)}: emit with out.emit(key, value), or return pairs`);
    }
    if (answer instanceof Map) this.out.emitAll(answer);
    else for (const pair of answer) {
      if (!Array.isArray(pair) || pair.length !== 2) {
        throw new Invalid(`map yielded ${JSON.stringify(pair)}, and not a pair [key, value]`);
      }
      this.out.emit(pair[0], pair[1]);
    }
  }
}

/** The values of a group that goes on: those at hand, then those that the engine still has. */
function* further(values, type) {
  yield* values;
  for (let next = host.nextValues(); next; next = host.nextValues()) yield* type.decodeColumn(next.rows, next.cells);
}

class GroupDriver extends Driver {
  runBatch(groups, keys, ends, rows, values, more) {
    this.call("invalid-input", () => {
      const work = this.stage.fold ? this.foldGroups : this.runGroups;
      work.call(this, groups, keys, readEnds(ends), this.stage.valueIn.decodeColumn(rows, values), more);
    });
  }

  runGroups(groups, keys, ends, values, more) {
    const { stage, out, state } = this;
    const combined = stage.role === "combiner" ? new Combined(out) : null;
    const verb = combined ? "combining" : "reducing";
    this.doing = () => `while ${verb} the group with key ${sample(cellsOf(groups, keys)[this.row])}`;
    const names = stage.keyIn.decodeColumn(groups, keys);
    for (let row = 0, start = 0; row < groups; row++) {
      const end = ends[row];
      this.row = row;
      const long = more && row + 1 === groups;
      const group = long ? further(values.slice(start, end), stage.valueIn) : values.slice(start, end);
      try {
        if (combined) {
          combined.key = names[row];
          stage.combine(names[row], group, combined, state);
        } else stage.reduce(names[row], group, out, state);
      } catch (thrown) {
        this.rejected(thrown);
      }
      // The engine requires that a group is read to its end.
      if (long) while (host.nextValues());
      start = end;
    }
    this.row = this.doing = null;
    this.flush();
  }

  foldGroups(groups, keys, ends, values, more) {
    const { stage } = this;
    const { fold } = stage;
    const folded = new Array(groups);
    for (let row = 0, at = 0; row < groups; row++) {
      const end = ends[row];
      let value = values[at++];
      for (; at < end; at++) value = fold(value, values[at]);
      folded[row] = value;
    }
    if (more) for (const value of further([], stage.valueIn)) folded[groups - 1] = fold(folded[groups - 1], value);
    // Keys go out as they came in.
    emit(groups, keys, encode(stage, "value", stage.value, folded));
  }
}

class PartitionDriver extends Driver {
  partitionBatch(rows, keys, partitions) {
    return this.call("invalid-input", () => {
      const { stage, state } = this;
      this.doing = () => `while partitioning the key ${sample(cellsOf(rows, keys)[this.row])}`;
      const answer = new Uint32Array(rows);
      for (const [row, key] of stage.keyIn.decodeColumn(rows, keys).entries()) {
        this.row = row;
        const partition = stage.partition(key, partitions, state);
        if (!Number.isInteger(partition) || partition < 0 || partition >= partitions) {
          throw new Fatal(`partition ${partition} of ${partitions}`);
        }
        answer[row] = partition;
      }
      return packEnds(answer);
    });
  }
}

/** A driver for a stage. */
export function drive(stage, context) {
  const kinds = { mapper: MapDriver, combiner: GroupDriver, reducer: GroupDriver, partitioner: PartitionDriver };
  return new kinds[stage.role](stage, context);
}

