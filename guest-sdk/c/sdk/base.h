/* Strings that borrow, what is in hand, panics, and the three kinds of errors. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "guest.h"

#define MR_UNUSED __attribute__((unused))
#define MR_HOT static inline __attribute__((always_inline, unused))
#define MR_NORETURN __attribute__((noreturn, unused))
#define MR_COLD static __attribute__((noinline, cold, unused))

/* Bytes that belong to somebody else: of the batch in hand, or of a literal. Text need not be UTF-8
 * and does not end with a zero. */
typedef struct {
    const uint8_t *ptr;
    size_t len;
} mr_str;

/* What a function of a role answers: MR_OK, or what mr_invalid and its kin return. */
typedef enum { MR_OK = 0, MR_FAILED = 1 } mr_status;

typedef enum { MR_TRACE, MR_DEBUG, MR_INFO, MR_WARN, MR_ERROR } mr_level;

static inline MR_UNUSED mr_str mr_text(const char *text) {
    mr_str s = {(const uint8_t *)text, strlen(text)};
    return s;
}

static inline MR_UNUSED mr_str mr_bytes(const void *ptr, size_t len) {
    mr_str s = {(const uint8_t *)ptr, len};
    return s;
}

/* The cell of type unit. */
#define MR_UNIT mr_bytes(NULL, 0)

static inline MR_UNUSED bool mr_equal(mr_str a, mr_str b) {
    return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

/* The first place of `needle` in `text`, or -1. */
static inline MR_UNUSED ptrdiff_t mr_find(mr_str text, mr_str needle) {
    if (needle.len == 0) return 0;
    const uint8_t *at = text.ptr, *end = text.ptr + text.len;
    while ((size_t)(end - at) >= needle.len) {
        at = (const uint8_t *)memchr(at, needle.ptr[0], (size_t)(end - at) - needle.len + 1);
        if (!at) return -1;
        if (memcmp(at, needle.ptr, needle.len) == 0) return at - text.ptr;
        at++;
    }
    return -1;
}

/* ------------------------------------------------------------------ buffers */

/* Bytes that grow. Begin with `mr_buf b = {0}`; keep it, or `mr_free` it. */
typedef struct {
    uint8_t *ptr;
    size_t len, room;
} mr_buf;

MR_NORETURN void mr_panic(const char *why);

MR_COLD void mr_grow(mr_buf *b, size_t more) {
    size_t room = b->room * 2 > b->len + more ? b->room * 2 : b->len + more;
    if (room < 64) room = 64;
    uint8_t *ptr = (uint8_t *)realloc(b->ptr, room);
    if (!ptr) mr_panic("out of memory");
    b->ptr = ptr;
    b->room = room;
}

/* Room for `more` bytes, which are written behind `b->len`. */
MR_HOT void mr_reserve(mr_buf *b, size_t more) {
    if (b->room - b->len < more) mr_grow(b, more);
}

MR_HOT void mr_push(mr_buf *b, const void *ptr, size_t len) {
    mr_reserve(b, len);
    if (len) memcpy(b->ptr + b->len, ptr, len);
    b->len += len;
}

MR_HOT void mr_push_byte(mr_buf *b, uint8_t byte) {
    mr_reserve(b, 1);
    b->ptr[b->len++] = byte;
}

static inline MR_UNUSED void mr_push_text(mr_buf *b, const char *text) { mr_push(b, text, strlen(text)); }

static inline MR_UNUSED void mr_push_decimal(mr_buf *b, uint64_t n) {
    char digits[20];
    size_t at = sizeof digits;
    do digits[--at] = (char)('0' + n % 10);
    while (n /= 10);
    mr_push(b, digits + at, sizeof digits - at);
}

/* What was written into a buffer, until it is written to again. */
static inline MR_UNUSED mr_str mr_view(const mr_buf *b) { return mr_bytes(b->ptr, b->len); }

static inline MR_UNUSED void mr_free(mr_buf *b) {
    free(b->ptr);
    memset(b, 0, sizeof *b);
}

/* ------------------------------------------- what is in hand, errors, panics */

typedef enum { MR_IDLE, MR_AT_LINE, MR_AT_CHUNK, MR_AT_RECORD, MR_AT_COMBINE, MR_AT_REDUCE, MR_AT_PARTITION } mr_doing;

/* What the plugin is working on, so that an error, a reject and a panic name their record. */
static struct {
    mr_doing doing;
    uint32_t row;
    uint64_t offset;
    mr_str key, value;
    bool failed;
    mr_engine_types_error_kind_t kind;
    mr_buf message;
} mr_current MR_UNUSED;

enum { MR_SAMPLE_BYTES_MAX = 256 };

MR_COLD void mr_push_sample(mr_buf *b, mr_str s) {
    static const char hex[] = "0123456789abcdef";
    size_t shown = s.len < MR_SAMPLE_BYTES_MAX ? s.len : MR_SAMPLE_BYTES_MAX;
    mr_push_byte(b, '"');
    for (size_t i = 0; i < shown; i++) {
        uint8_t c = s.ptr[i];
        if (c == '"' || c == '\\') mr_push_byte(b, '\\');
        if (c >= 32 && c < 127) {
            mr_push_byte(b, c);
        } else {
            mr_push_text(b, "\\x");
            mr_push_byte(b, (uint8_t)hex[c >> 4]);
            mr_push_byte(b, (uint8_t)hex[c & 15]);
        }
    }
    mr_push_byte(b, '"');
    if (shown < s.len) {
        mr_push_text(b, " and ");
        mr_push_decimal(b, s.len - shown);
        mr_push_text(b, " bytes more");
    }
}

/* Appends what is being done: `; while mapping the line at byte 17: "..."`. */
MR_COLD void mr_push_place(mr_buf *b) {
    switch (mr_current.doing) {
    case MR_IDLE: return;
    case MR_AT_LINE: mr_push_text(b, "; while mapping the line at byte "); break;
    case MR_AT_CHUNK:
        mr_push_text(b, "; while mapping the ");
        mr_push_decimal(b, mr_current.key.len);
        mr_push_text(b, " bytes at byte ");
        mr_push_decimal(b, mr_current.offset);
        return;
    case MR_AT_RECORD: mr_push_text(b, "; while mapping the record with key "); break;
    case MR_AT_COMBINE: mr_push_text(b, "; while combining the key "); break;
    case MR_AT_REDUCE: mr_push_text(b, "; while reducing the key "); break;
    case MR_AT_PARTITION: mr_push_text(b, "; while choosing the partition of the key "); break;
    }
    if (mr_current.doing == MR_AT_LINE) {
        mr_push_decimal(b, mr_current.offset);
        mr_push_text(b, ": ");
    }
    mr_push_sample(b, mr_current.key);
    if (mr_current.doing == MR_AT_RECORD) {
        mr_push_text(b, " and value ");
        mr_push_sample(b, mr_current.value);
    }
}

static inline MR_UNUSED guest_string_t mr_lend(mr_str s) {
    guest_string_t lent = {(uint8_t *)s.ptr, s.len};
    return lent;
}

/* Ends the task at once: the plugin is at fault. The log has the reason and the record in hand.
 * `abort` and a failed `assert` end here, too. */
MR_NORETURN void mr_panic(const char *why) {
    static bool panicking;
    if (!panicking) {
        panicking = true;
        mr_buf b = {0};
        mr_push_text(&b, "panicked: ");
        mr_push_text(&b, why);
        mr_push_place(&b);
        guest_string_t message = mr_lend(mr_view(&b));
        mr_engine_logging_log(MR_ENGINE_LOGGING_LEVEL_ERROR, &message);
    }
    __builtin_trap();
}

#ifdef __wasm__
#ifdef __cplusplus
extern "C" {
#endif
/* In place of the library's, which ends without a word, or needs the standard error stream. */
MR_NORETURN void abort(void) { mr_panic("abort was called"); }
MR_NORETURN void __assert_fail(const char *what, const char *file, int line, const char *function) {
    mr_buf b = {0};
    mr_push_text(&b, "assertion failed: ");
    mr_push_text(&b, what);
    mr_push_text(&b, ", ");
    mr_push_text(&b, file);
    mr_push_byte(&b, ':');
    mr_push_decimal(&b, (uint64_t)line);
    (void)function;
    mr_push_byte(&b, 0);
    mr_panic((const char *)b.ptr);
}
#ifdef __cplusplus
}
#endif
#endif

MR_COLD mr_status mr_fail(mr_engine_types_error_kind_t kind, const char *why) {
    mr_current.failed = true;
    mr_current.kind = kind;
    mr_current.message.len = 0;
    mr_push_text(&mr_current.message, why);
    return MR_FAILED;
}

/* The input cannot be processed: no other attempt would do better. Meant to be returned. */
static inline MR_UNUSED mr_status mr_invalid(const char *why) { return mr_fail(MR_ENGINE_TYPES_ERROR_KIND_INVALID_INPUT, why); }
/* Worth another attempt, perhaps on another machine. */
static inline MR_UNUSED mr_status mr_transient(const char *why) { return mr_fail(MR_ENGINE_TYPES_ERROR_KIND_TRANSIENT, why); }
/* Fails the job at once: a parameter makes no sense, for example. */
static inline MR_UNUSED mr_status mr_fatal(const char *why) { return mr_fail(MR_ENGINE_TYPES_ERROR_KIND_FATAL, why); }
