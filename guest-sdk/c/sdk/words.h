/* Splits text at white space, 64 bytes at a time.
 *
 * A mask tells for each byte of a block whether it is white space; words begin and end where the
 * mask changes. White space is what C calls so: space, tab, newline, vertical tab, form feed,
 * carriage return. Build with -msimd128 and the masks take a few instructions. */
#pragma once

#include "base.h"

#ifdef __wasm_simd128__
#include <wasm_simd128.h>
#endif

enum { MR_BLOCK = 64 };

typedef struct {
    const uint8_t *ptr;
    size_t len, block;
    uint64_t edges, in_word;
} mr_words;

#ifdef __wasm_simd128__
MR_HOT uint64_t mr_space_mask(const uint8_t *p) {
    uint64_t mask = 0;
    for (int i = 0; i < 4; i++) {
        v128_t bytes = wasm_v128_load(p + i * 16);
        v128_t control = wasm_u8x16_le(wasm_i8x16_sub(bytes, wasm_u8x16_const_splat(9)), wasm_u8x16_const_splat(4));
        v128_t space = wasm_i8x16_eq(bytes, wasm_u8x16_const_splat(' '));
        mask |= (uint64_t)wasm_i8x16_bitmask(wasm_v128_or(control, space)) << (i * 16);
    }
    return mask;
}
#else
MR_HOT uint64_t mr_space_mask(const uint8_t *p) {
    const uint64_t ones = UINT64_C(0x0101010101010101), highs = ones << 7;
    uint64_t mask = 0;
    for (int i = 0; i < 8; i++) {
        uint64_t bytes;
        memcpy(&bytes, p + i * 8, 8);
        uint64_t low = bytes & ~highs;
        /* High bit of each byte: not a space; at least a tab; beyond a carriage return. */
        uint64_t not_space = (low ^ (ones * ' ')) + ~highs;
        uint64_t from_tab = low + ones * (128 - 9), beyond = low + ones * (128 - 14);
        uint64_t space = (~not_space | (from_tab & ~beyond)) & ~bytes & highs;
        mask |= (((space >> 7) * UINT64_C(0x0102040810204080)) >> 56) << (i * 8);
    }
    return mask;
}
#endif

MR_HOT void mr_load_block(mr_words *w) {
    size_t left = w->len - w->block;
    uint64_t letters;
    if (left >= MR_BLOCK) {
        letters = ~mr_space_mask(w->ptr + w->block);
    } else {
        /* What is behind the end counts as white space, so that the last word ends. */
        uint8_t block[MR_BLOCK];
        memset(block, ' ', sizeof block);
        memcpy(block, w->ptr + w->block, left);
        letters = ~mr_space_mask(block);
    }
    w->edges = letters ^ (letters << 1 | w->in_word);
    w->in_word = letters >> 63;
}

static __attribute__((noinline, unused)) bool mr_next_block(mr_words *w) {
    while (w->len - w->block > MR_BLOCK) {
        w->block += MR_BLOCK;
        mr_load_block(w);
        if (w->edges) return true;
    }
    return false;
}

/* The words of `text`, for `mr_next_word`. */
static inline MR_UNUSED mr_words mr_split(mr_str text) {
    mr_words w = {text.ptr, text.len, 0, 0, 0};
    if (text.len) mr_load_block(&w);
    return w;
}

MR_HOT bool mr_edge(mr_words *w, size_t *at) {
    if (!w->edges && !mr_next_block(w)) return false;
    *at = w->block + (size_t)__builtin_ctzll(w->edges);
    w->edges &= w->edges - 1;
    return true;
}

/* The next word, or false at the end of the text. */
MR_HOT bool mr_next_word(mr_words *w, mr_str *word) {
    size_t start, end;
    if (!mr_edge(w, &start)) return false;
    if (!mr_edge(w, &end)) end = w->len;
    word->ptr = w->ptr + start;
    word->len = end - start;
    return true;
}
