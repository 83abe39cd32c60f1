// Counts words: what is between white space.

import * as mr from "./mr/index.js";

export const mapper = mr.mapper({
  input: mr.chunks,
  key: mr.text,
  value: mr.u64,
  // Every word of a chunk of lines, with the number of times that it occurs there.
  map(chunk, out) {
    const counts = new Map();
    for (const word of chunk.words) counts.set(word, (counts.get(word) ?? 0) + 1);
    out.emitAll(counts);
  },
});

// Combiner and reducer add up the counts of a word.
export const { combiner, reducer } = mr.folding(mr.text, mr.u64, mr.sum);
