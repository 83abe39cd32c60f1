/* What roles read: lines, chunks, records, and the values of a group. */
#pragma once

#include "codec.h"

/* A line of text, without its newline. */
typedef struct {
    uint64_t offset; /* of its first byte in the file */
    mr_str path;     /* of the file, where the mapper asks for it with .with_path; else empty */
    mr_str text;
} mr_line;

/* Whole lines with their newlines; the last one may lack its own. */
typedef mr_line mr_chunk;

/* A column for reading. */
typedef struct {
    const uint8_t *ends, *data;
    size_t ends_len, data_len, width;
} mr_cells;

static MR_UNUSED mr_cells mr_read_column(const mr_engine_types_column_t *c) {
    mr_cells cells = {c->ends.ptr, c->data.ptr, c->ends.len, c->data.len, c->width};
    return cells;
}

MR_HOT uint32_t mr_end_at(const uint8_t *ends, size_t row) {
    uint32_t end;
    memcpy(&end, ends + row * 4, 4);
    return end;
}

/* Cell `row`. The engine sends no malformed column; if it did, the plugin would stop here. */
MR_HOT mr_str mr_cell(const mr_cells *c, size_t row) {
    size_t start, end;
    if (c->ends_len == 0) {
        start = row * c->width;
        end = start + c->width;
    } else {
        if (__builtin_expect(row * 4 >= c->ends_len, 0)) mr_panic("a column has too few ends");
        start = row ? mr_end_at(c->ends, row - 1) : 0;
        end = mr_end_at(c->ends, row);
    }
    if (__builtin_expect(end > c->data_len || start > end, 0)) mr_panic("a column ends before its cells do");
    return mr_bytes(c->data + start, end - start);
}

/* The values of one key, one after the other, however many batches they fill. */
typedef struct {
    mr_cells cells;
    size_t next, end;
    bool more, fetched;
    mr_engine_group_values_values_t part;
    const char *malformed;
    size_t malformed_bytes;
} mr_values;

static MR_UNUSED void mr_drop_part(mr_values *v) {
    if (v->fetched) mr_engine_group_values_values_free(&v->part);
    v->fetched = false;
}

/* Fetches the next part of the group; it replaces the one before. */
static __attribute__((noinline, unused)) bool mr_fetch(mr_values *v) {
    while (v->more) {
        mr_drop_part(v);
        v->more = mr_engine_group_values_next(&v->part);
        if (!v->more) return false;
        v->fetched = true;
        v->cells = mr_read_column(&v->part.cells);
        v->next = 0;
        v->end = v->part.rows;
        if (v->end) return true;
    }
    return false;
}

/* The next value as a cell, good until the next one is asked for; false at the end of the group. */
MR_HOT bool mr_next(mr_values *v, mr_str *cell) {
    if (v->next == v->end && !mr_fetch(v)) return false;
    *cell = mr_cell(&v->cells, v->next++);
    return true;
}

/* A cell that is not of the type that it is read as fails the task, and ends the group. Return
 * false from a reader of your own with it. */
MR_COLD bool mr_malformed(mr_values *v, const char *type, size_t bytes) {
    v->malformed = type;
    v->malformed_bytes = bytes;
    v->next = v->end;
    v->more = false;
    return false;
}

/* The next value of type u64. */
MR_HOT bool mr_next_u64(mr_values *v, uint64_t *n) {
    mr_str cell;
    if (!mr_next(v, &cell)) return false;
    if (__builtin_expect(cell.len != 8, 0)) return mr_malformed(v, "u64", cell.len);
    *n = mr_load_be(cell.ptr);
    return true;
}

static inline MR_UNUSED bool mr_next_s64(mr_values *v, int64_t *n) {
    mr_str cell;
    if (!mr_next(v, &cell)) return false;
    return (mr_get_s64(&cell, n) && mr_done(cell)) || mr_malformed(v, "s64", cell.len);
}

static inline MR_UNUSED bool mr_next_f64(mr_values *v, double *x) {
    mr_str cell;
    if (!mr_next(v, &cell)) return false;
    return (mr_get_f64(&cell, x) && mr_done(cell)) || mr_malformed(v, "f64", cell.len);
}
