/* Where records go: packed into columns, sent on a batch at a time; sums are added up early. */
#pragma once

#include "codec.h"

enum {
    /* Slots of the table that adds up, as a power of two: one MiB, about a core's second-level cache. */
    MR_SLOTS_LOG2 = 15,
    /* Longest key that is kept in the table, in bytes: with its length it fills three words. */
    MR_SHORT_KEY = 23,
    /* Largest size that batches aim for, in bytes: the engine refuses much more. */
    MR_BATCH_BYTES_MAX = 8 << 20,
};

/* A key of up to 23 bytes: its bytes in memory order, zeros, and in the topmost byte its length plus
 * one, so that no key is all zeros. */
typedef struct {
    uint64_t a, b, c, value;
} mr_slot;

typedef struct {
    mr_buf ends, data;
    int width;
} mr_builder;

/* Where a role emits. Made by the SDK. */
typedef struct {
    mr_builder keys, values;
    uint32_t rows;
    size_t batch_bytes;
    uint32_t port; /* the output: 0 for the main one */
    mr_slot *table;
    const char *key_type, *value_type;
} mr_out;

/* The bytes that may be loaded beyond the end of a key: those of the batch in hand. */
static const uint8_t *mr_batch_begin MR_UNUSED, *mr_batch_end MR_UNUSED;

static MR_UNUSED guest_list_u8_t mr_list(const mr_buf *b) {
    guest_list_u8_t list = {b->ptr, b->len};
    return list;
}

static MR_UNUSED mr_engine_types_column_t mr_column(const mr_builder *c) {
    mr_engine_types_column_t column = {c->width >= 0 ? (uint32_t)c->width : 0, mr_list(&c->ends), mr_list(&c->data)};
    return column;
}

static __attribute__((noinline, unused)) void mr_send(mr_out *out) {
    if (out->rows == 0) return;
    mr_engine_types_batch_t batch = {out->rows, mr_column(&out->keys), mr_column(&out->values)};
    mr_engine_output_emit(out->port, &batch);
    out->rows = 0;
    out->keys.ends.len = out->keys.data.len = out->values.ends.len = out->values.data.len = 0;
}

MR_COLD void mr_wrong_width(const char *side, size_t bytes, const char *type) {
    mr_buf b = {0};
    mr_push_text(&b, "a ");
    mr_push_text(&b, side);
    mr_push_text(&b, " of ");
    mr_push_decimal(&b, bytes);
    mr_push_text(&b, " bytes was emitted where the type is ");
    mr_push_text(&b, type);
    mr_push_byte(&b, 0);
    mr_panic((const char *)b.ptr);
}

/* Columns of a fixed width need no ends. */
MR_HOT void mr_end_cell(mr_builder *c) {
    if (c->width >= 0) return;
    uint32_t end = (uint32_t)c->data.len;
    mr_push(&c->ends, &end, 4);
}

MR_HOT void mr_end_record(mr_out *out) {
    mr_end_cell(&out->keys);
    mr_end_cell(&out->values);
    out->rows++;
    size_t bytes = out->keys.data.len + out->values.data.len;
    /* Empty records fill no bytes, so rows are bounded too. */
    if (__builtin_expect(bytes >= out->batch_bytes || out->rows >= out->batch_bytes, 0)) mr_send(out);
}

MR_HOT void mr_emit_key(mr_out *out, mr_str key) {
    if (__builtin_expect(out->keys.width >= 0 && key.len != (size_t)out->keys.width, 0)) mr_wrong_width("key", key.len, out->key_type);
    mr_push(&out->keys.data, key.ptr, key.len);
}

/* Emits a record: key and value as cells. */
MR_HOT void mr_emit(mr_out *out, mr_str key, mr_str value) {
    mr_emit_key(out, key);
    if (__builtin_expect(out->values.width >= 0 && value.len != (size_t)out->values.width, 0))
        mr_wrong_width("value", value.len, out->value_type);
    mr_push(&out->values.data, value.ptr, value.len);
    mr_end_record(out);
}

/* Emits a record whose value is a u64. */
MR_HOT void mr_emit_u64(mr_out *out, mr_str key, uint64_t value) {
    value = __builtin_bswap64(value);
    mr_emit(out, key, mr_bytes(&value, 8));
}

/* ------------------------------------------------------------------- sums */

MR_HOT uint64_t mr_mask(size_t bytes) { return bytes >= 8 ? ~UINT64_C(0) : ~(~UINT64_C(0) << (bytes * 8)); }

MR_HOT void mr_load_key(mr_str key, mr_slot *slot) {
    uint64_t w[3] = {0, 0, 0};
    if (key.ptr >= mr_batch_begin && key.ptr + 24 <= mr_batch_end) {
        /* Whole words are loaded, and what is behind the key is masked out. */
        memcpy(w, key.ptr, 24);
        w[0] &= mr_mask(key.len);
        w[1] &= key.len > 8 ? mr_mask(key.len - 8) : 0;
        w[2] &= key.len > 16 ? mr_mask(key.len - 16) : 0;
    } else {
        memcpy(w, key.ptr, key.len);
    }
    slot->a = w[0];
    slot->b = w[1];
    slot->c = w[2] | (uint64_t)(key.len + 1) << 56;
}

MR_HOT void mr_emit_slot(mr_out *out, const mr_slot *slot) {
    uint64_t w[3] = {slot->a, slot->b, slot->c}, value = __builtin_bswap64(slot->value);
    mr_reserve(&out->keys.data, 24);
    memcpy(out->keys.data.ptr + out->keys.data.len, w, 24);
    out->keys.data.len += (slot->c >> 56) - 1;
    mr_push(&out->values.data, &value, 8);
    mr_end_record(out);
}

MR_COLD void mr_make_table(mr_out *out) {
    if (out->values.width != 8) mr_panic("mr_sum is for values of type u64");
    out->table = (mr_slot *)calloc((size_t)1 << MR_SLOTS_LOG2, sizeof(mr_slot));
    if (!out->table) mr_panic("out of memory");
}

MR_HOT uint64_t mr_add(uint64_t a, uint64_t b) {
    uint64_t sum;
    if (__builtin_expect(__builtin_add_overflow(a, b, &sum), 0)) mr_panic("a sum is larger than u64 can hold");
    return sum;
}

/* Emits `key` with a count that may be added up with others of the same key, here or later: for
 * jobs whose combiner and reducer add up u64 values. A table of fixed size, made for the cache,
 * catches most repetitions; a key that finds its slot taken sends that one on. */
MR_HOT void mr_sum(mr_out *out, mr_str key, uint64_t value) {
    if (__builtin_expect(key.len > MR_SHORT_KEY || out->keys.width >= 0, 0)) {
        mr_emit_u64(out, key, value);
        return;
    }
    if (__builtin_expect(!out->table, 0)) mr_make_table(out);
    mr_slot slot;
    mr_load_key(key, &slot);
    uint64_t mixed = slot.a * UINT64_C(0x9e3779b97f4a7c15) ^ slot.b * UINT64_C(0xc2b2ae3d27d4eb4f) ^ slot.c * UINT64_C(0x165667b19e3779f9);
    mixed ^= mixed >> 32;
    mr_slot *at = &out->table[(size_t)((mixed * UINT64_C(0x9e3779b97f4a7c15)) >> (64 - MR_SLOTS_LOG2))];
    if (((at->a ^ slot.a) | (at->b ^ slot.b) | (at->c ^ slot.c)) == 0) {
        at->value = mr_add(at->value, value);
        return;
    }
    if (at->c) mr_emit_slot(out, at);
    slot.value = value;
    *at = slot;
}

static MR_UNUSED void mr_flush(mr_out *out) {
    if (out->table) {
        for (size_t i = 0; i < (size_t)1 << MR_SLOTS_LOG2; i++) {
            if (out->table[i].c) mr_emit_slot(out, &out->table[i]);
        }
        memset(out->table, 0, sizeof(mr_slot) << MR_SLOTS_LOG2);
    }
    mr_send(out);
}

static MR_UNUSED void mr_open_out(mr_out *out, const char *key, const char *value, uint32_t batch_bytes) {
    out->key_type = key;
    out->value_type = value;
    out->keys.width = mr_width(key);
    out->values.width = mr_width(value);
    out->rows = 0;
    out->batch_bytes = batch_bytes < 1 ? 1 : batch_bytes > MR_BATCH_BYTES_MAX ? MR_BATCH_BYTES_MAX : batch_bytes;
}
