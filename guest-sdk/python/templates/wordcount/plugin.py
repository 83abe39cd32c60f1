"""Counts words: what is between white space."""

from collections import Counter

import mr


@mr.mapper(mr.chunks, key=mr.text, value=mr.u64)
def words(chunk):
    """Every word of a chunk of lines, with the number of times that it occurs there."""
    return Counter(chunk.split())


# Combiner and reducer add up the counts of a word.
total = mr.folding(mr.text, mr.u64, sum)
