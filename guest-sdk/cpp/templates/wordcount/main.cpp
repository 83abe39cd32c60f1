// Counts words: every word of the input with the number of times that it occurs.
#include "mr.hpp"

struct Words {
    mr::Status map(mr::Chunk chunk, mr::Out<mr::Text, uint64_t> &out) {
        for (mr::Str word : chunk.words()) out.sum(word, 1);
        return mr::ok;
    }
};

MR_MAPPER(Words);
MR_COMBINER(mr::Sum<>);
MR_REDUCER(mr::Sum<>);
MR_PLUGIN("{{name}}", "0.1.0");
