// Types of the SDK; what things do is said where they are.

/** A type of keys or values, which are `T` in JavaScript. */
export interface Type<T> {
  readonly name: string;
  encode(value: T): Uint8Array;
  decode(cell: Uint8Array): T;
}

/** Text. Where it is emitted, bytes will do, too. */
export const text: Type<string>;
export const bytes: Type<Uint8Array>;
/** Whole numbers from 0, exact up to 2^53; beyond, reading and writing fail: use `u64Big`. */
export const u64: Type<number>;
export const s64: Type<number>;
export const u64Big: Type<bigint>;
export const s64Big: Type<bigint>;
export const f64: Type<number>;
export const bool: Type<boolean>;
export const unit: Type<null>;
export function tuple<T extends unknown[]>(...parts: { [I in keyof T]: Type<T[I]> }): Type<T>;

/** The type that sorts the other way round, the greatest first. */
export function desc<T>(inner: Type<T>): Type<T>;

/** A chunk of whole lines, with their newlines; or one line by itself. */
export interface Chunk {
  readonly bytes: Uint8Array;
  /** Byte offset in the file. */
  readonly offset: number;
  readonly text: string;
  readonly lines: string[];
  /** What is between white space. */
  readonly words: string[];
}

/** What a mapper reads. */
export interface Input<R> {
  readonly attributes: Record<string, string>;
  /** Not there at run time: it ties the type of the records to the input. */
  readonly __record?: R;
}

/** Lines of text without their newlines. Bytes that are no UTF-8 become lone surrogates, and the same bytes again. */
export const lines: Input<string>;
/** Chunks of whole lines: the fastest way, for what needs no lines. */
export const chunks: Input<Chunk>;
/** Lines that know their file. */
export const fileLines: Input<{ path: string; offset: number; line: string }>;
/** Records with a key and a value of these types. */
export function records<K, V>(key: Type<K>, value: Type<V>): Input<[K, V]>;

/** The task that is under way. */
export interface Task {
  readonly jobId: string;
  readonly stage: number;
  /** Number of the task in its stage, from 0; for reducers the partition. */
  readonly task: number;
  readonly partitions: number;
  param(name: string): any;
  sideInput(name: string): SideInput;
}

/** A parameter that a plugin takes. */
export interface Param {
  type?: "text" | "u64" | "s64" | "f64" | "bool";
  help?: string;
  required?: boolean;
  default?: string | number | boolean;
}

/** Where pairs are emitted. */
export interface Emitter<K, V> {
  emit(key: K, value: V): void;
  /** Emits the pairs of a Map, or of anything else that yields them. */
  emitAll(pairs: Iterable<[K, V]>): void;
}

/** Types of the pairs of a named output. */
export interface Output {
  key: Type<any>;
  value: Type<any>;
}

interface Role<S> {
  params?: Record<string, Param>;
  /** Called once for each task; what it returns is given to the other functions. */
  setup?(task: Task): S;
}

export interface Stage {
  readonly role: string;
}

export function mapper<R = string, K = unknown, V = unknown, S = undefined>(
  def: Role<S> & {
    input?: Input<R>;
    key: Type<K>;
    value: Type<V>;
    /** Named outputs beside the main one, which it has in a job without reducers. */
    outputs?: Record<string, Output>;
    map(record: R, out: Emitter<K, V>, state: S): void | Iterable<[K, V]>;
    finish?(out: Emitter<K, V>, state: S): void;
  },
): Stage;

/** It may run any number of times, also never, on parts of a group, and emits values of the key that it is given. */
export function combiner<K, V, S = undefined>(
  def: Role<S> & {
    key: Type<K>;
    value: Type<V>;
    combine(key: K, values: Iterable<V>, out: { emit(value: V): void }, state: S): void;
  },
): Stage;

/** `values` is gone through once; a group may be larger than memory. */
export function reducer<K, V, KO = K, VO = V, S = undefined>(
  def: Role<S> & {
    key: Type<K>;
    value: Type<V>;
    /** What it emits, where that is of other types. */
    out?: { key: Type<KO>; value: Type<VO> };
    /** So many elements of the mapper's keys make a group: `key` is the tuple of these. */
    groupPrefix?: number;
    /** Named outputs beside the main one. */
    outputs?: Record<string, Output>;
    reduce(key: K, values: Iterable<V>, out: Emitter<KO, VO>, state: S): void;
    finish?(out: Emitter<KO, VO>, state: S): void;
  },
): Stage;

export function partitioner<K, S = undefined>(
  def: Role<S> & { key: Type<K>; partition(key: K, partitions: number, state: S): number },
): Stage;

/** Combiner and reducer that make one value out of two, in any order and in any portions. */
export function folding<K, V>(
  key: Type<K>,
  value: Type<V>,
  fold: (a: V, b: V) => V,
): { combiner: Stage; reducer: Stage };
export function sum(a: number, b: number): number;
export function min<T>(a: T, b: T): T;
export function max<T>(a: T, b: T): T;

/** What is between white space of ASCII. */
export function words(line: string): string[];

/** A parameter of the job; undefined where it is not set and has no default. */
export function param(name: string): any;
/** Emits a pair to a named output, one of those that the role declares as `outputs`. */
export function emit(output: string, key: unknown, value: unknown): void;
/** Adds to a counter of the job. */
export function count(name: string, delta?: number): void;
/** Writes a line to the task's log. `console.log` does so, too. */
export function log(message: string, level?: "trace" | "debug" | "info" | "warn" | "error"): void;

/** A read-only file that was shipped with the job. */
export interface SideInput {
  readonly size: number;
  read(offset?: number, length?: number): Uint8Array;
}
export function sideInput(name: string): SideInput;

/** Gives up on the record (or group) in hand, and goes on. */
export class Reject extends Error {}
/** The input cannot be processed: another attempt would fail the same way. */
export class Invalid extends Error {}
/** Worth another attempt, perhaps elsewhere. */
export class Transient extends Error {}
/** Fails the job without another attempt. */
export class Fatal extends Error {}
