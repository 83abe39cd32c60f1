/* A native double of the engine, for tests of a plugin without it:
 *
 *     #include "main.c"
 *     #include "test.h"
 *
 *     int main(void) {
 *         mr_test_job("to be or not to be\n");
 *         mr_test_expect("be\t2\nnot\t1\nor\t1\nto\t2\n");
 *         return mr_test_end();
 *     }
 *
 * It runs the plugin's roles in small batches, with long groups in parts, on one thread. */
#pragma once

#include <stdio.h>

#include "mr.h"

enum {
    MR_TEST_BATCH = 3,       /* rows in a batch, values in a part of a group */
    MR_TEST_OUT_BYTES = 200, /* size that output batches aim for */
    MR_TEST_MAX = 32,        /* parameters, side inputs, counters */
};

typedef struct {
    mr_buf key, value;
} mr_test_record;

typedef struct {
    mr_test_record *at;
    size_t len, room;
} mr_test_records;

typedef struct {
    const char *name, *text;
    int64_t sum;
} mr_test_named;

static struct {
    mr_test_records emitted;
    /* What was emitted to the named outputs of the role that ran last, in their order. */
    mr_test_records named[MR_OUTPUTS_MAX];
    const mr_role *role;
    const char *key_type, *value_type;
    mr_test_named params[MR_TEST_MAX], side_inputs[MR_TEST_MAX], counters[MR_TEST_MAX];
    /* The values of the open group that were not handed out yet. */
    const mr_test_record *rest;
    size_t rest_len;
    uint32_t rejects;
    mr_buf text, error, log;
    bool failed;
} mr_test;

static void mr_test_put(mr_test_records *records, mr_str key, mr_str value) {
    if (records->len == records->room) {
        records->room = records->room * 2 + 16;
        records->at = (mr_test_record *)realloc(records->at, records->room * sizeof *records->at);
    }
    mr_test_record *record = &records->at[records->len++];
    memset(record, 0, sizeof *record);
    mr_push(&record->key, key.ptr, key.len);
    mr_push(&record->value, value.ptr, value.len);
}

/* ---------------------------------------------------- what the engine offers */

static mr_test_named *mr_test_find(mr_test_named *all, const guest_string_t *name, bool add) {
    for (size_t i = 0; i < MR_TEST_MAX; i++) {
        if (all[i].name && mr_equal(mr_text(all[i].name), mr_bytes(name->ptr, name->len))) return &all[i];
        if (!all[i].name && add) {
            char *copy = (char *)calloc(name->len + 1, 1);
            all[i].name = (const char *)memcpy(copy, name->ptr, name->len);
            return &all[i];
        }
        if (!all[i].name) return NULL;
    }
    return NULL;
}

void mr_engine_output_emit(uint32_t port, mr_engine_types_batch_t *records) {
    mr_cells keys = mr_read_column(&records->keys), values = mr_read_column(&records->values);
    mr_test_records *to = port ? &mr_test.named[port - 1] : &mr_test.emitted;
    for (uint32_t row = 0; row < records->rows; row++) mr_test_put(to, mr_cell(&keys, row), mr_cell(&values, row));
}

void mr_engine_output_reject(uint32_t row, guest_string_t *reason) {
    (void)row;
    (void)reason;
    mr_test.rejects++;
}

bool mr_engine_config_get(guest_string_t *key, guest_string_t *ret) {
    mr_test_named *param = mr_test_find(mr_test.params, key, false);
    if (param) *ret = mr_lend(mr_text(param->text));
    return param != NULL;
}

void mr_engine_counters_add(guest_list_tuple2_string_s64_t *deltas) {
    for (size_t i = 0; i < deltas->len; i++) mr_test_find(mr_test.counters, &deltas->ptr[i].f0, true)->sum += deltas->ptr[i].f1;
}

void mr_engine_logging_log(mr_engine_logging_level_t level, guest_string_t *message) {
    (void)level;
    mr_push(&mr_test.log, message->ptr, message->len);
    mr_push_byte(&mr_test.log, '\n');
    fprintf(stderr, "%.*s\n", (int)message->len, (const char *)message->ptr);
}

bool mr_engine_side_input_size(guest_string_t *name, uint64_t *ret) {
    mr_test_named *file = mr_test_find(mr_test.side_inputs, name, false);
    if (file) *ret = strlen(file->text);
    return file != NULL;
}

void mr_engine_side_input_read(guest_string_t *name, uint64_t offset, uint32_t len, guest_list_u8_t *ret) {
    const char *text = mr_test_find(mr_test.side_inputs, name, false)->text;
    size_t left = strlen(text) - (size_t)offset;
    ret->len = left < len ? left : len;
    ret->ptr = (uint8_t *)malloc(ret->len + 1);
    memcpy(ret->ptr, text + offset, ret->len);
}

bool mr_engine_group_values_next(mr_engine_group_values_values_t *ret);

/* What the bindings free. The double's batches are its own, but for parts of groups. */
void mr_engine_types_batch_free(mr_engine_types_batch_t *ptr) { (void)ptr; }
void mr_engine_types_grouped_batch_free(mr_engine_types_grouped_batch_t *ptr) { (void)ptr; }
void mr_engine_types_column_free(mr_engine_types_column_t *ptr) { (void)ptr; }
void mr_engine_types_task_context_free(mr_engine_types_task_context_t *ptr) { (void)ptr; }
void guest_list_u8_free(guest_list_u8_t *ptr) { free(ptr->ptr); }
void mr_engine_group_values_values_free(mr_engine_group_values_values_t *ptr) {
    free(ptr->cells.ends.ptr);
    free(ptr->cells.data.ptr);
}

/* -------------------------------------------------------------------- running */

static mr_engine_types_column_t mr_test_column(const mr_test_record *records, size_t len, size_t step, bool values) {
    mr_builder column = {{NULL, 0, 0}, {NULL, 0, 0}, MR_VARIABLE};
    for (size_t i = 0; i < len; i += step) {
        const mr_buf *cell = values ? &records[i].value : &records[i].key;
        mr_push(&column.data, cell->ptr, cell->len);
        mr_end_cell(&column);
    }
    return mr_column(&column);
}

bool mr_engine_group_values_next(mr_engine_group_values_values_t *ret) {
    if (mr_test.rest_len == 0) return false;
    ret->rows = mr_test.rest_len < MR_TEST_BATCH ? (uint32_t)mr_test.rest_len : MR_TEST_BATCH;
    ret->cells = mr_test_column(mr_test.rest, ret->rows, 1, true);
    mr_test.rest += ret->rows;
    mr_test.rest_len -= ret->rows;
    return true;
}

static bool mr_test_well(bool well, mr_engine_types_error_t *err) {
    if (well) return true;
    mr_test.error.len = 0;
    mr_push(&mr_test.error, err->message.ptr, err->message.len);
    return false;
}

/* Only the last role of a job has its named outputs. */
static bool mr_test_open(const mr_role *role, bool last) {
    guest_string_t names[MR_OUTPUTS_MAX + 1] = {mr_lend(mr_text("main"))};
    mr_engine_types_task_context_t context;
    mr_engine_types_error_t err;
    memset(&context, 0, sizeof context);
    context.batch_bytes = MR_TEST_OUT_BYTES;
    context.outputs.ptr = names;
    context.outputs.len = 1;
    context.partitions = last ? 0 : 1;
    for (size_t i = 0; mr_has_output(role, i); i++) {
        mr_test.named[i].len = 0;
        if (last) names[context.outputs.len++] = mr_lend(mr_text(role->outputs[i].name));
    }
    mr_test.role = role;
    mr_test.error.len = 0;
    mr_test.emitted.len = 0;
    mr_test.key_type = role->key;
    mr_test.value_type = role->value;
    return mr_test_well(mr_open_role(role, &context, &err), &err);
}

static bool mr_test_close(const mr_role *role) {
    mr_engine_types_error_t err;
    return mr_test_well(mr_close_role(role, &err), &err);
}

static int mr_test_order(const void *a, const void *b) {
    const mr_buf *x = &((const mr_test_record *)a)->key, *y = &((const mr_test_record *)b)->key;
    int order = memcmp(x->ptr ? x->ptr : (const uint8_t *)"", y->ptr ? y->ptr : (const uint8_t *)"", x->len < y->len ? x->len : y->len);
    return order ? order : (x->len > y->len) - (x->len < y->len);
}

/* Sorts by key; records of one key stay in their order. */
static MR_UNUSED void mr_test_sort(mr_test_records *records) {
    for (size_t i = 1; i < records->len; i++) {
        mr_test_record moving = records->at[i];
        size_t to = i;
        for (; to && mr_test_order(&records->at[to - 1], &moving) > 0; to--) records->at[to] = records->at[to - 1];
        records->at[to] = moving;
    }
}

static bool mr_test_render(mr_buf *out, const char **type, mr_str *cell, bool alone) {
    char number[32];
    uint64_t n;
    int64_t s;
    double x;
    bool yes;
    mr_buf scratch = {0};
    mr_str text;
    while (**type == ' ') ++*type;
    const char *name = *type;
    if (strncmp(name, "tuple<", 6) == 0) {
        *type += 6;
        for (bool first = true; **type && **type != '>'; first = false) {
            if (**type == ',') ++*type;
            if (!first) mr_push_byte(out, '\t');
            if (!mr_test_render(out, type, cell, false)) return false;
        }
        if (**type) ++*type;
        return true;
    }
    if (strncmp(name, "desc<", 5) == 0) {
        *type += 5;
        mr_str inner = mr_enter_desc(*cell, &scratch);
        bool rendered = mr_test_render(out, type, &inner, false);
        if (**type) ++*type;
        (void)mr_leave_desc(cell, inner);
        mr_free(&scratch);
        return rendered;
    }
    (void)mr_width_front(type);
    switch (name[0] == 'b' ? name[1] : name[0]) {
    case 't':
    case 'y':
        if (alone) {
            mr_push(out, cell->ptr, cell->len);
            cell->len = 0;
            return true;
        }
        if (!mr_get_text(cell, &scratch, &text)) return false;
        mr_push(out, text.ptr, text.len);
        return true;
    case 'u':
        if (name[1] == 'n') return true;
        if (!mr_get_u64(cell, &n)) return false;
        mr_push_decimal(out, n);
        return true;
    case 's':
        if (!mr_get_s64(cell, &s)) return false;
        snprintf(number, sizeof number, "%lld", (long long)s);
        break;
    case 'f':
        if (!mr_get_f64(cell, &x)) return false;
        for (int digits = 1; digits <= 17; digits++) {
            snprintf(number, sizeof number, "%.*g", digits, x);
            if (strtod(number, NULL) == x) break;
        }
        break;
    default:
        if (!mr_get_bool(cell, &yes)) return false;
        snprintf(number, sizeof number, "%s", yes ? "true" : "false");
    }
    mr_push_text(out, number);
    return true;
}

/* Bytes of the front of a key that make a group: of a reducer's tuple, the elements that it reads. */
static MR_UNUSED size_t mr_test_prefix(const mr_role *role, mr_doing doing, const mr_buf *key) {
    bool grouped = false;
    for (size_t i = 0; i < sizeof mr_plugin_about.facts / sizeof(mr_fact) && mr_plugin_about.facts[i].name; i++)
        grouped = grouped || strcmp(mr_plugin_about.facts[i].name, "reduce.group") == 0;
    if (!grouped || doing != MR_AT_REDUCE) return key->len;
    const char *type = role->in_key ? role->in_key : role->key;
    mr_str rest = mr_view(key);
    mr_buf text = {0};
    bool well = mr_test_render(&text, &type, &rest, false);
    mr_free(&text);
    return well ? key->len - rest.len : key->len;
}

static MR_UNUSED bool mr_test_groups(const mr_role *role, mr_doing doing, const mr_test_records *input) {
    for (size_t start = 0, end; start < input->len; start = end) {
        mr_str key = mr_bytes(input->at[start].key.ptr, mr_test_prefix(role, doing, &input->at[start].key));
        for (end = start + 1; end < input->len; end++) {
            const mr_buf *next = &input->at[end].key;
            if (!mr_equal(key, mr_bytes(next->ptr, mr_test_prefix(role, doing, next)))) break;
        }
        mr_test_record first_key = {{(uint8_t *)key.ptr, key.len, 0}, {NULL, 0, 0}};
        size_t first = doing == MR_AT_REDUCE && end - start > MR_TEST_BATCH ? MR_TEST_BATCH : end - start;
        uint32_t group_end = (uint32_t)first;
        mr_engine_types_grouped_batch_t batch;
        batch.groups = 1;
        batch.keys = mr_test_column(&first_key, 1, 1, false);
        batch.ends.ptr = (uint8_t *)&group_end;
        batch.ends.len = 4;
        batch.rows = group_end;
        batch.values = mr_test_column(&input->at[start], first, 1, true);
        batch.more = first < end - start;
        mr_test.rest = &input->at[start + first];
        mr_test.rest_len = end - start - first;
        mr_engine_types_error_t err;
        if (!mr_test_well(mr_groups(role, doing, &batch, &err), &err)) return false;
    }
    return true;
}

#ifdef MR_HAS_MAPPER
static MR_UNUSED bool mr_test_map_lines(const char *text, bool last) {
    mr_engine_types_error_t err;
    size_t len = strlen(text);
    if (!mr_test_open(&mr_mapper, last)) return false;
    for (size_t start = 0, end; start < len; start = end) {
        int lines = 0;
        for (end = start; end < len && lines < MR_TEST_BATCH; end++) lines += text[end] == '\n';
        mr_test_records row = {NULL, 0, 0};
        mr_buf key = {0};
        if (mr_mapper.with_path) mr_put_text(&key, mr_text("input"));
        mr_put_u64(&key, start);
        mr_test_put(&row, mr_view(&key), mr_bytes(text + start, end - start));
        mr_engine_types_batch_t batch = {1, mr_test_column(row.at, 1, 1, false), mr_test_column(row.at, 1, 1, true)};
        if (!mr_test_well(mr_map(&mr_mapper, &batch, &err), &err)) return false;
    }
    return mr_test_close(&mr_mapper);
}

/* Runs the mapper over the lines of a text, or over its chunks, as a job without reducers does. False where it fails. */
static MR_UNUSED bool mr_test_map(const char *text) { return mr_test_map_lines(text, true); }
#endif

#ifdef MR_HAS_COMBINER
/* Combines what was emitted. */
static MR_UNUSED bool mr_test_combine(void) {
    mr_test_records input = mr_test.emitted;
    memset(&mr_test.emitted, 0, sizeof mr_test.emitted);
    mr_test_sort(&input);
    return mr_test_open(&mr_combiner, false) && mr_test_groups(&mr_combiner, MR_AT_COMBINE, &input) && mr_test_close(&mr_combiner);
}
#endif

#ifdef MR_HAS_REDUCER
/* Reduces what was emitted. */
static MR_UNUSED bool mr_test_reduce(void) {
    mr_test_records input = mr_test.emitted;
    memset(&mr_test.emitted, 0, sizeof mr_test.emitted);
    mr_test_sort(&input);
    return mr_test_open(&mr_reducer, true) && mr_test_groups(&mr_reducer, MR_AT_REDUCE, &input) && mr_test_close(&mr_reducer);
}

#ifdef MR_HAS_MAPPER
/* Runs the plugin over a text, with its combiner where it has one. */
static MR_UNUSED bool mr_test_job(const char *text) {
    if (!mr_test_map_lines(text, false)) return false;
#ifdef MR_HAS_COMBINER
    if (!mr_test_combine()) return false;
#endif
    return mr_test_reduce();
}
#endif
#endif

/* ------------------------------------------------------------------ comparing */

/* Sets a parameter of the next runs. */
static MR_UNUSED void mr_test_param(const char *name, const char *value) {
    guest_string_t lent = mr_lend(mr_text(name));
    mr_test_find(mr_test.params, &lent, true)->text = value;
}

/* Ships a file with the next runs. */
static MR_UNUSED void mr_test_side_input(const char *name, const char *text) {
    guest_string_t lent = mr_lend(mr_text(name));
    mr_test_find(mr_test.side_inputs, &lent, true)->text = text;
}

static MR_UNUSED const char *mr_test_text_of(const mr_test_records *records, const char *key_name, const char *value_name) {
    mr_buf *out = &mr_test.text;
    out->len = 0;
    for (size_t i = 0; i < records->len; i++) {
        const mr_test_record *record = &records->at[i];
        mr_str key = mr_view(&record->key), value = mr_view(&record->value);
        const char *key_type = key_name, *value_type = value_name;
        bool both = strcmp(key_type, "unit") != 0 && strcmp(value_type, "unit") != 0;
        bool well = mr_test_render(out, &key_type, &key, true);
        if (both) mr_push_byte(out, '\t');
        if (!well || !mr_test_render(out, &value_type, &value, true) || key.len || value.len) mr_push_text(out, "(not of its type)");
        mr_push_byte(out, '\n');
    }
    mr_push_byte(out, 0);
    return (const char *)out->ptr;
}

/* What was emitted, as the engine writes it: key, tab, value, newline. */
static MR_UNUSED const char *mr_test_text(void) { return mr_test_text_of(&mr_test.emitted, mr_test.key_type, mr_test.value_type); }

static MR_UNUSED void mr_test_differ(const char *what, const char *expected, const char *got) {
    fprintf(stderr, "%s: expected\n%s\nbut got\n%s\n", what, expected, got);
    mr_test.failed = true;
}

/* The output of the last run is this text. */
static MR_UNUSED void mr_test_expect(const char *text) {
    mr_push_byte(&mr_test.error, 0);
    if (mr_test.error.len > 1) mr_test_differ("output", text, (const char *)mr_test.error.ptr);
    else if (strcmp(mr_test_text(), text) != 0) mr_test_differ("output", text, mr_test_text());
}

/* This text was emitted to a named output in the last run. */
static MR_UNUSED void mr_test_expect_output(const char *name, const char *text) {
    for (size_t i = 0; mr_has_output(mr_test.role, i); i++) {
        const mr_port *port = &mr_test.role->outputs[i];
        if (strcmp(port->name, name) != 0) continue;
        const char *got = mr_test_text_of(&mr_test.named[i], port->key, port->value);
        if (strcmp(got, text) != 0) mr_test_differ(name, text, got);
        return;
    }
    mr_test_differ(name, text, "no such output");
}

/* The last run failed with an error that contains this text. */
static MR_UNUSED void mr_test_expect_error(const char *text) {
    mr_push_byte(&mr_test.error, 0);
    if (!strstr((const char *)mr_test.error.ptr, text)) mr_test_differ("error", text, (const char *)mr_test.error.ptr);
}

/* The counter has this sum, over all runs. */
static MR_UNUSED void mr_test_expect_counter(const char *name, int64_t sum) {
    guest_string_t lent = mr_lend(mr_text(name));
    mr_test_named *counter = mr_test_find(mr_test.counters, &lent, true);
    if (counter->sum == sum) return;
    fprintf(stderr, "counter %s: expected %lld but got %lld\n", name, (long long)sum, (long long)counter->sum);
    mr_test.failed = true;
}

/* So many records were rejected, over all runs. */
static MR_UNUSED void mr_test_expect_rejects(uint32_t rejects) {
    if (mr_test.rejects == rejects) return;
    fprintf(stderr, "rejects: expected %u but got %u\n", rejects, mr_test.rejects);
    mr_test.failed = true;
}

/* The answer of the test's `main`. */
static MR_UNUSED int mr_test_end(void) {
    puts(mr_test.failed ? "failed" : "ok");
    return mr_test.failed;
}
