// Write MapReduce plugins for mr-engine in JavaScript or TypeScript: records in, pairs out.
//
//     import * as mr from "./mr/index.js";
//
//     export const mapper = mr.mapper({
//       input: mr.lines, key: mr.text, value: mr.u64,
//       map(line, out) {
//         for (const word of mr.words(line)) out.emit(word, 1);
//       },
//     });
//     export const { combiner, reducer } = mr.folding(mr.text, mr.u64, mr.sum);
//
// In reading order: `stages` (what an author declares), `inputs` (what a mapper reads), `types` (of keys and values),
// `context` (parameters, counters, log, side inputs), `errors`, `testing` (runs a plugin in ordinary tests). The README
// beside this file goes from nothing to a running job; `index.d.ts` has the types.

export { count, emit, log, param, sideInput } from "./context.js";
export { Fatal, Invalid, Reject, Transient } from "./errors.js";
export { chunks, fileLines, lines, records, words } from "./inputs.js";
export { combiner, folding, mapper, max, min, partitioner, reducer, sum } from "./stages.js";
export { bool, bytes, desc, f64, s64, s64Big, text, tuple, u64, u64Big, unit } from "./types.js";
