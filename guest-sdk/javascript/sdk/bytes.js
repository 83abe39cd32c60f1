// Bytes and strings. Loops over single bytes are what costs most in an interpreter, so everything here goes through
// functions that loop in native code: base 64 is the shortest way between bytes and strings that there is.
//
// A "binary string" has one letter for each byte, its code the byte. Text is UTF-8; bytes that are none become lone
// surrogates (U+DC80 to U+DCFF), and the same bytes again.

/** Bytes that are turned into a string at once, where there is no native way. */
const PORTION = 8192;
const NOT_ASCII = /[^\x00-\x7f]/;

/** The binary string of bytes. */
export function binaryOf(bytes) {
  if (bytes.toBase64) return atob(bytes.toBase64());
  let text = "";
  for (let at = 0; at < bytes.length; at += PORTION) {
    text += String.fromCharCode.apply(null, bytes.subarray(at, at + PORTION));
  }
  return text;
}

/** The bytes of a binary string. */
export function bytesOf(binary) {
  if (Uint8Array.fromBase64) return Uint8Array.fromBase64(btoa(binary));
  const bytes = new Uint8Array(binary.length);
  for (let at = 0; at < bytes.length; at++) bytes[at] = binary.charCodeAt(at);
  return bytes;
}

/** The text of bytes. */
export function decode(bytes) {
  return textOf(binaryOf(bytes));
}

/** The bytes of a text. */
export function encode(text) {
  return bytesOf(utf8Of(text));
}

/** The text of a binary string. */
export function textOf(binary) {
  if (!NOT_ASCII.test(binary)) return binary;
  try {
    return decodeURIComponent(escape(binary));
  } catch {
    return decodeSlowly(binary);
  }
}

/** The binary string of a text. */
export function utf8Of(text) {
  if (!NOT_ASCII.test(text)) return text;
  try {
    return unescape(encodeURIComponent(text));
  } catch {
    return encodeSlowly(text);
  }
}

/** True for text whose letters are its bytes. */
export function isAscii(text) {
  return !NOT_ASCII.test(text);
}

/** Letter by letter: what is no UTF-8 becomes surrogates. */
function decodeSlowly(binary) {
  const parts = [];
  for (let at = 0; at < binary.length; ) {
    const first = binary.charCodeAt(at);
    const size = first < 0x80 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
    let letter = null;
    if (size === 1) letter = binary[at];
    else if (first >= 0xc2 && first < 0xf5) {
      try {
        letter = decodeURIComponent(escape(binary.slice(at, at + size)));
      } catch {
        letter = null;
      }
    }
    if (letter !== null && (letter.length === 1 || letter.length === 2)) {
      parts.push(letter);
      at += size;
    } else {
      parts.push(String.fromCharCode(0xdc00 + first));
      at += 1;
    }
  }
  return parts.join("");
}

/** Letter by letter: surrogates that stand for a byte become that byte. */
function encodeSlowly(text) {
  let binary = "";
  for (const letter of text) {
    const code = letter.codePointAt(0);
    if (code >= 0xdc80 && code <= 0xdcff) binary += String.fromCharCode(code - 0xdc00);
    else if (code >= 0xd800 && code <= 0xdfff) binary += "\xef\xbf\xbd";
    else binary += unescape(encodeURIComponent(letter));
  }
  return binary;
}

/** Ends of cells, as they cross the boundary: u32, little-endian. */
export function packEnds(ends) {
  return new Uint8Array(ends.buffer, ends.byteOffset, ends.byteLength);
}

/** The numbers of packed ends. */
export function readEnds(packed) {
  return packed.byteOffset % 4 === 0
    ? new Uint32Array(packed.buffer, packed.byteOffset, packed.length >> 2)
    : new Uint32Array(packed.slice().buffer);
}

/** Where the cells of a column end. */
export function endsOf(rows, column) {
  if (column.ends.length > 0) return readEnds(column.ends);
  const ends = new Uint32Array(rows);
  for (let row = 0, at = 0; row < rows; row++) ends[row] = at += column.width;
  return ends;
}

/** The cells of a column, one by one. */
export function cellsOf(rows, column) {
  const ends = endsOf(rows, column);
  const cells = new Array(rows);
  for (let row = 0, start = 0; row < rows; row++) {
    cells[row] = column.data.subarray(start, ends[row]);
    start = ends[row];
  }
  return cells;
}

/** Cells as a column of variable width. */
export function columnOf(cells) {
  const ends = new Uint32Array(cells.length);
  let size = 0;
  for (let row = 0; row < cells.length; row++) ends[row] = size += cells[row].length;
  const data = new Uint8Array(size);
  for (let row = 0, at = 0; row < cells.length; row++) {
    data.set(cells[row], at);
    at = ends[row];
  }
  return { width: 0, ends: packEnds(ends), data };
}
