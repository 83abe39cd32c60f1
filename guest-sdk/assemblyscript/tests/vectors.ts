// The encodings against wit/vectors.json, as lines (see tests/languages/vectors.rs): the list's type, the
// cell in hexadecimal, and the elements of the value; `malformed` and a cell that must be refused.
import "./mr/testing";
import * as types from "./mr/types";
import { Buffer } from "./mr/buffer";
import { Bytes, Desc, Text, Tuple1, Tuple2, Tuple3, Unit } from "./mr";
import { VECTORS } from "./lines";

function unhex(hex: string): Text {
  const bytes = new ArrayBuffer(hex.length / 2);
  for (let i = 0; i < bytes.byteLength; i++) {
    store<u8>(changetype<usize>(bytes) + <usize>i, <u8>parseInt(hex.substr(i * 2, 2), 16));
  }
  return new Text(changetype<usize>(bytes), bytes.byteLength, bytes);
}

function same(buffer: Buffer, cell: Text): bool {
  return buffer.len == cell.len && memory.compare(buffer.ptr, cell.ptr, <usize>cell.len) == 0;
}

let checked = 0;

function check<T>(name: string, cell: Text, malformed: bool, value: T): void {
  if (types.typeName<T>() != name) return;
  checked++;
  const read = types.read<T>(cell.ptr, cell.len);
  if (types.malformed != malformed) throw new Error(malformed ? "a malformed cell was read" : "a cell was refused");
  if (malformed) return;
  const written = new Buffer(), again = new Buffer();
  types.write<T>(written, value);
  types.write<T>(again, read);
  if (!same(written, cell)) throw new Error("another cell was written");
  if (!same(again, cell)) throw new Error("another value was read");
  const width = types.typeWidth<T>();
  if (width != types.VARIABLE && width != cell.len) throw new Error("another width");
}

function field(fields: string[], at: i32): string { return at < fields.length ? fields[at] : ""; }
function text(fields: string[], at: i32): Text {
  const hex = field(fields, at);
  return unhex(hex);
}
function u(fields: string[], at: i32): u64 { return U64.parseInt(field(fields, at)); }
function s(fields: string[], at: i32): i64 { return I64.parseInt(field(fields, at)); }
function f(fields: string[], at: i32): f64 {
  const text = field(fields, at);
  if (text == "inf") return Infinity;
  if (text == "-inf") return -Infinity;
  return parseFloat(text);
}

let last = new Text(0, 0);
let lastName = "";
const lines = VECTORS.split("\n");
for (let i = 0; i < lines.length; i++) {
  const parts = lines[i].split("\t");
  const malformed = parts[0].startsWith("malformed ");
  const name = malformed ? parts[0].substr(10) : parts[0];
  const cell = unhex(parts[1]), v = parts.slice(2);
  const before = checked;
  if (name == "text") check<Text>(name, cell, malformed, text(v, 0));
  if (name == "bytes") check<Bytes>(name, cell, malformed, text(v, 0));
  if (name == "u64") check<u64>(name, cell, malformed, u(v, 0));
  if (name == "s64") check<i64>(name, cell, malformed, s(v, 0));
  if (name == "f64") check<f64>(name, cell, malformed, f(v, 0));
  if (name == "bool") check<bool>(name, cell, malformed, field(v, 0) == "true");
  if (name == "unit") check<Unit>(name, cell, malformed, new Unit());
  if (name == "tuple<text>") check<Tuple1<Text>>(name, cell, malformed, new Tuple1(text(v, 0)));
  if (name == "tuple<text,u64>") check<Tuple2<Text, u64>>(name, cell, malformed, new Tuple2(text(v, 0), u(v, 1)));
  if (name == "tuple<text,text>") check<Tuple2<Text, Text>>(name, cell, malformed, new Tuple2(text(v, 0), text(v, 1)));
  if (name == "tuple<bytes,s64>") check<Tuple2<Bytes, i64>>(name, cell, malformed, new Tuple2<Bytes, i64>(text(v, 0), s(v, 1)));
  if (name == "tuple<tuple<s64,f64>,bool>") {
    const inner = new Tuple2<i64, f64>(s(v, 0), f(v, 1));
    check<Tuple2<Tuple2<i64, f64>, bool>>(name, cell, malformed, new Tuple2<Tuple2<i64, f64>, bool>(inner, field(v, 2) == "true"));
  }
  if (name == "tuple<u64,unit,text>") {
    check<Tuple3<u64, Unit, Text>>(name, cell, malformed, new Tuple3<u64, Unit, Text>(u(v, 0), new Unit(), text(v, 2)));
  }
  if (name == "desc<text>") check<Desc<Text>>(name, cell, malformed, new Desc<Text>(text(v, 0)));
  if (name == "desc<bytes>") check<Desc<Bytes>>(name, cell, malformed, new Desc<Bytes>(text(v, 0)));
  if (name == "desc<u64>") check<Desc<u64>>(name, cell, malformed, new Desc<u64>(u(v, 0)));
  if (name == "desc<s64>") check<Desc<i64>>(name, cell, malformed, new Desc<i64>(s(v, 0)));
  if (name == "desc<f64>") check<Desc<f64>>(name, cell, malformed, new Desc<f64>(f(v, 0)));
  if (name == "desc<bool>") check<Desc<bool>>(name, cell, malformed, new Desc<bool>(field(v, 0) == "true"));
  if (name == "desc<unit>") check<Desc<Unit>>(name, cell, malformed, new Desc<Unit>(new Unit()));
  if (name == "desc<tuple<text,u64>>") {
    const inner = new Tuple2<Text, u64>(text(v, 0), u(v, 1));
    check<Desc<Tuple2<Text, u64>>>(name, cell, malformed, new Desc<Tuple2<Text, u64>>(inner));
  }
  if (name == "desc<desc<text>>") {
    check<Desc<Desc<Text>>>(name, cell, malformed, new Desc<Desc<Text>>(new Desc<Text>(text(v, 0))));
  }
  if (name == "tuple<text,desc<u64>>") {
    check<Tuple2<Text, Desc<u64>>>(name, cell, malformed, new Tuple2<Text, Desc<u64>>(text(v, 0), new Desc<u64>(u(v, 1))));
  }
  if (name == "tuple<desc<text>,text>") {
    const first = new Desc<Text>(text(v, 0));
    check<Tuple2<Desc<Text>, Text>>(name, cell, malformed, new Tuple2<Desc<Text>, Text>(first, text(v, 1)));
  }
  if (checked != before + 1) throw new Error("add the type to this test: " + name);
  if (malformed) continue;
  if (name == lastName) {
    const order = memory.compare(last.ptr, cell.ptr, <usize>min(last.len, cell.len));
    if (order > 0 || (order == 0 && last.len >= cell.len)) throw new Error("the cell does not sort behind the one before: " + lines[i]);
  }
  last = cell;
  lastName = name;
}
if (checked < 50) throw new Error("too few vectors");
