/* Counts words: every word of the input with the number of times that it occurs. */
#include "mr.h"

static mr_status map(mr_chunk chunk, mr_out *out) {
    mr_words words = mr_split(chunk.text);
    for (mr_str word; mr_next_word(&words, &word);) mr_sum(out, word, 1);
    return MR_OK;
}

MR_MAPPER(.chunks = map, .key = "text", .value = "u64");
MR_COMBINER(.group = mr_sum_values, .key = "text", .value = "u64");
MR_REDUCER(.group = mr_sum_values, .key = "text", .value = "u64");
MR_PLUGIN(.name = "{{name}}", .version = "0.1.0");
