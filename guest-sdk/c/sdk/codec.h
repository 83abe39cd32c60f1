/* Encodings of keys and values (wit/ENCODING.md of the engine): big-endian, so that byte order is
 * natural order.
 *
 * A cell of one type alone: text and bytes are just their bytes; numbers are written with one of
 * the functions below. A tuple is its elements, put one after the other into the same buffer; as an
 * element, text and bytes end with a mark, which `mr_put_text` writes and `mr_get_text` passes. */
#pragma once

#include "base.h"

#define MR_SIGN (UINT64_C(1) << 63)

MR_HOT uint64_t mr_load_be(const uint8_t *p) {
    uint64_t n;
    memcpy(&n, p, 8);
    return __builtin_bswap64(n);
}

MR_HOT void mr_put_u64(mr_buf *b, uint64_t n) {
    n = __builtin_bswap64(n);
    mr_push(b, &n, 8);
}

MR_HOT void mr_put_s64(mr_buf *b, int64_t n) { mr_put_u64(b, (uint64_t)n ^ MR_SIGN); }

static inline MR_UNUSED void mr_put_f64(mr_buf *b, double x) {
    uint64_t bits;
    memcpy(&bits, &x, 8);
    /* The sign and payload of a computed NaN differ between machines; output must not. */
    if (x != x) bits = UINT64_C(0x7ff8) << 48;
    mr_put_u64(b, bits & MR_SIGN ? ~bits : bits | MR_SIGN);
}

static inline MR_UNUSED void mr_put_bool(mr_buf *b, bool yes) { mr_push_byte(b, yes ? 1 : 0); }

/* Text or bytes as an element of a tuple: 00 becomes 00 FF, 00 00 ends it. */
static inline MR_UNUSED void mr_put_text(mr_buf *b, mr_str s) {
    static const uint8_t escaped[2] = {0, 0xff}, end[2] = {0, 0};
    while (s.len) {
        const uint8_t *zero = (const uint8_t *)memchr(s.ptr, 0, s.len);
        size_t plain = zero ? (size_t)(zero - s.ptr) : s.len;
        mr_push(b, s.ptr, plain);
        if (!zero) break;
        mr_push(b, escaped, 2);
        s.ptr += plain + 1;
        s.len -= plain + 1;
    }
    mr_push(b, end, 2);
}

/* An element that sorts the other way round, the greatest first: all that is put between the two.
 *
 *     size_t start = mr_begin_desc(&key);
 *     mr_put_u64(&key, n);
 *     mr_end_desc(&key, start); */
static inline MR_UNUSED size_t mr_begin_desc(const mr_buf *b) { return b->len; }

static inline MR_UNUSED void mr_end_desc(mr_buf *b, size_t start) {
    for (size_t i = start; i < b->len; i++) b->ptr[i] = (uint8_t)~b->ptr[i];
}

/* Text or bytes alone in a cell. */
MR_HOT void mr_put_raw(mr_buf *b, mr_str s) { mr_push(b, s.ptr, s.len); }

/* ------------------------------------------------------------------ reading */

/* Readers take an element off the front of `cell` and answer false where there is none of that
 * type. A whole cell is read when it is `mr_done`. */

MR_HOT bool mr_get_u64(mr_str *cell, uint64_t *n) {
    if (cell->len < 8) return false;
    *n = mr_load_be(cell->ptr);
    cell->ptr += 8;
    cell->len -= 8;
    return true;
}

static inline MR_UNUSED bool mr_get_s64(mr_str *cell, int64_t *n) {
    uint64_t bits;
    if (!mr_get_u64(cell, &bits)) return false;
    *n = (int64_t)(bits ^ MR_SIGN);
    return true;
}

static inline MR_UNUSED bool mr_get_f64(mr_str *cell, double *x) {
    uint64_t bits;
    if (!mr_get_u64(cell, &bits)) return false;
    bits = bits & MR_SIGN ? bits ^ MR_SIGN : ~bits;
    memcpy(x, &bits, 8);
    return true;
}

static inline MR_UNUSED bool mr_get_bool(mr_str *cell, bool *yes) {
    if (cell->len < 1 || cell->ptr[0] > 1) return false;
    *yes = cell->ptr[0] == 1;
    cell->ptr++;
    cell->len--;
    return true;
}

/* Text or bytes as an element of a tuple. The bytes are those of the cell, or of `scratch` where
 * something had to be unescaped. */
static inline MR_UNUSED bool mr_get_text(mr_str *cell, mr_buf *scratch, mr_str *s) {
    const uint8_t *start = cell->ptr, *at = start, *end = start + cell->len;
    bool copied = false;
    scratch->len = 0;
    for (;;) {
        const uint8_t *zero = at < end ? (const uint8_t *)memchr(at, 0, (size_t)(end - at)) : NULL;
        if (!zero || zero + 1 == end || (zero[1] != 0 && zero[1] != 0xff)) return false;
        if (copied || zero[1]) mr_push(scratch, at, (size_t)(zero - at) + (zero[1] ? 1 : 0));
        copied = copied || zero[1];
        at = zero + 2;
        if (zero[1]) continue;
        *s = copied ? mr_view(scratch) : mr_bytes(start, (size_t)(zero - start));
        *cell = mr_bytes(at, (size_t)(end - at));
        return true;
    }
}

/* The front of a cell turned round again, in `flipped`, to read the element from that was put between
 * `mr_begin_desc` and `mr_end_desc`; `mr_leave_desc` then passes it with what was left.
 *
 *     mr_str inner = mr_enter_desc(cell, &flipped);
 *     bool ok = mr_get_u64(&inner, &n) && mr_leave_desc(&cell, inner); */
static inline MR_UNUSED mr_str mr_enter_desc(mr_str cell, mr_buf *flipped) {
    flipped->len = 0;
    mr_push(flipped, cell.ptr, cell.len);
    mr_end_desc(flipped, 0);
    return mr_view(flipped);
}

static inline MR_UNUSED bool mr_leave_desc(mr_str *cell, mr_str inner) {
    cell->ptr += cell->len - inner.len;
    cell->len = inner.len;
    return true;
}

/* Whether nothing is left of a cell. */
MR_HOT bool mr_done(mr_str cell) { return cell.len == 0; }

/* A number that is written in decimal digits, as in a field of a line. */
static inline MR_UNUSED bool mr_parse_u64(mr_str text, uint64_t *n) {
    *n = 0;
    for (size_t i = 0; i < text.len; i++) {
        unsigned digit = (unsigned)text.ptr[i] - '0';
        if (digit > 9 || __builtin_mul_overflow(*n, 10, n) || __builtin_add_overflow(*n, digit, n)) return false;
    }
    return text.len > 0;
}

/* ------------------------------------------------------------ names of types */

enum { MR_VARIABLE = -1, MR_NO_TYPE = -2 };

/* Bytes of every cell of a type, MR_VARIABLE where they differ, MR_NO_TYPE where there is no such
 * type. Moves past the name. */
static MR_UNUSED int mr_width_front(const char **name) {
    static const struct {
        const char *name;
        int width;
    } known[] = {{"text", MR_VARIABLE}, {"bytes", MR_VARIABLE}, {"u64", 8}, {"s64", 8}, {"f64", 8}, {"bool", 1}, {"unit", 0}};
    while (**name == ' ') ++*name;
    if (strncmp(*name, "desc<", 5) == 0) {
        *name += 5;
        int width = mr_width_front(name);
        if (**name != '>') return MR_NO_TYPE;
        do ++*name;
        while (**name == ' ');
        return width;
    }
    if (strncmp(*name, "tuple<", 6) == 0) {
        int sum = 0;
        char mark;
        *name += 6;
        do {
            int width = mr_width_front(name);
            if (width == MR_NO_TYPE) return MR_NO_TYPE;
            sum = sum == MR_VARIABLE || width == MR_VARIABLE ? MR_VARIABLE : sum + width;
            mark = **name;
            if (mark) ++*name;
        } while (mark == ',');
        while (**name == ' ') ++*name;
        return mark == '>' ? sum : MR_NO_TYPE;
    }
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        size_t len = strlen(known[i].name);
        if (strncmp(*name, known[i].name, len) == 0) {
            *name += len;
            while (**name == ' ') ++*name;
            return known[i].width;
        }
    }
    return MR_NO_TYPE;
}

static MR_UNUSED int mr_width(const char *name) {
    int width = mr_width_front(&name);
    return *name ? MR_NO_TYPE : width;
}
