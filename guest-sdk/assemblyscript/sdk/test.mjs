// Runs a test that asc compiled: `node mr/test.mjs build/test.wasm`. It fails where the test throws.
import { readFile } from "node:fs/promises";

const decoder = new TextDecoder();
let memory;
const print = (ptr, len) => console.error(decoder.decode(new Uint8Array(memory.buffer, ptr, len)));
const { instance } = await WebAssembly.instantiate(await readFile(process.argv[2]), { env: { print } });
memory = instance.exports.memory;
try {
  instance.exports._start();
  console.log("ok");
} catch (why) {
  console.error(why instanceof WebAssembly.RuntimeError ? "failed" : why);
  process.exit(1);
}
