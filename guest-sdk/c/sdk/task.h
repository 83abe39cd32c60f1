/* Parameters, side inputs, counters, rejects and the log. */
#pragma once

#include "base.h"

enum { MR_COUNTERS_MAX = 64 };

/* What is known of the task that a role is set up for. */
typedef struct {
    mr_str job;
    uint32_t number, attempt, partitions;
    uint64_t seed; /* equal for all attempts of a task */
} mr_task;

/* A parameter of the job; false where it is neither set nor has a default. The text stays. */
static inline MR_UNUSED bool mr_param(const char *name, mr_str *text) {
    guest_string_t key = mr_lend(mr_text(name)), value;
    if (!mr_engine_config_get(&key, &value)) return false;
    *text = mr_bytes(value.ptr, value.len);
    return true;
}

/* Length in bytes of a file shipped with the job; false where there is none. */
static inline MR_UNUSED bool mr_side_input_bytes(const char *name, uint64_t *bytes) {
    guest_string_t key = mr_lend(mr_text(name));
    return mr_engine_side_input_size(&key, bytes);
}

/* Appends up to `len` bytes from `offset` of a file shipped with the job; fewer only at its end. */
static inline MR_UNUSED void mr_side_input_read(const char *name, uint64_t offset, uint32_t len, mr_buf *into) {
    guest_string_t key = mr_lend(mr_text(name));
    guest_list_u8_t part;
    mr_engine_side_input_read(&key, offset, len, &part);
    mr_push(into, part.ptr, part.len);
    guest_list_u8_free(&part);
}

/* A whole file shipped with the job; false where there is none. */
static inline MR_UNUSED bool mr_side_input(const char *name, mr_buf *into) {
    enum { PART = 1 << 20 };
    uint64_t bytes;
    if (!mr_side_input_bytes(name, &bytes)) return false;
    for (uint64_t at = 0; at < bytes; at += PART) mr_side_input_read(name, at, PART, into);
    return true;
}

/* ----------------------------------------------------------------- counters */

static struct {
    const char *name;
    int64_t delta;
} mr_counters[MR_COUNTERS_MAX] MR_UNUSED;
static size_t mr_counters_len MR_UNUSED;

/* Adds to a counter of the job. The name has to stay, as a literal does. */
static inline MR_UNUSED void mr_count(const char *name, int64_t delta) {
    size_t i = 0;
    while (i < mr_counters_len && mr_counters[i].name != name && strcmp(mr_counters[i].name, name) != 0) i++;
    if (i == MR_COUNTERS_MAX) mr_panic("more than 64 counters");
    if (i == mr_counters_len) {
        mr_counters[i].name = name;
        mr_counters[i].delta = 0;
        mr_counters_len++;
    }
    mr_counters[i].delta += delta;
}

static MR_UNUSED void mr_send_counters(void) {
    guest_tuple2_string_s64_t deltas[MR_COUNTERS_MAX];
    guest_list_tuple2_string_s64_t list = {deltas, 0};
    for (size_t i = 0; i < mr_counters_len; i++) {
        if (mr_counters[i].delta == 0) continue;
        deltas[list.len].f0 = mr_lend(mr_text(mr_counters[i].name));
        deltas[list.len++].f1 = mr_counters[i].delta;
        mr_counters[i].delta = 0;
    }
    if (list.len) mr_engine_counters_add(&list);
}

/* Writes a line to the attempt's log, which the engine keeps within limits. */
static inline MR_UNUSED void mr_log_str(mr_level level, mr_str message) {
    guest_string_t lent = mr_lend(message);
    mr_engine_logging_log((mr_engine_logging_level_t)level, &lent);
}

static inline MR_UNUSED void mr_log(mr_level level, const char *message) { mr_log_str(level, mr_text(message)); }

/* Gives up on the record (or group) in hand and goes on: it lands in the job's rejects with the
 * reason, and the job fails once it has too many. Meant to be returned. */
MR_COLD mr_status mr_reject(const char *why) {
    if (mr_current.doing == MR_IDLE) return mr_fatal("rejected outside of any record");
    mr_buf b = {0};
    mr_push_text(&b, why);
    mr_push_place(&b);
    guest_string_t reason = mr_lend(mr_view(&b));
    mr_engine_output_reject(mr_current.row, &reason);
    mr_free(&b);
    return MR_OK;
}
