/* Runs roles over batches: what the engine calls, and what a plugin says of itself. */
#pragma once

#include "emit.h"
#include "input.h"
#include "task.h"
#ifndef MR_ALL_ROLES
#include "roles.h"
#endif

/* Named outputs of a role, at most. */
enum { MR_OUTPUTS_MAX = 16 };

/* A named output: its name, which is also that of its folder, and the types of what is emitted to it. */
typedef struct {
    const char *name, *key, *value;
} mr_port;

/* A role of the plugin. All but the function and the types may be left out. */
typedef struct {
    /* A mapper has one of the first three. */
    mr_status (*lines)(mr_line line, mr_out *out);
    mr_status (*chunks)(mr_chunk chunk, mr_out *out);
    mr_status (*records)(mr_str key, mr_str value, mr_out *out);
    /* A combiner or reducer has this one. A combiner emits with the key that it was given. */
    mr_status (*group)(mr_str key, mr_values *values, mr_out *out);
    /* A partitioner has this one: the partition of a key, below `partitions`. */
    uint32_t (*partition)(mr_str key, uint32_t partitions);
    /* Types of what it emits; of a combiner also of what it takes. */
    const char *key, *value;
    /* Types of what a reducer takes; those that it emits, unless they are given. */
    const char *in_key, *in_value;
    /* Lines know the path of their file. */
    bool with_path;
    /* Named outputs beside the main one, of a reducer, or of a mapper in a job without reducers. */
    mr_port outputs[MR_OUTPUTS_MAX];
    /* Starts a task: reads parameters and side inputs. */
    mr_status (*setup)(const mr_task *task);
    /* Ends a task: the last chance to emit. */
    mr_status (*finish)(mr_out *out);
} mr_role;

/* A fact about the plugin, by name (wit/ATTRIBUTES.md of the engine). */
typedef struct {
    const char *name, *value;
} mr_fact;

typedef struct {
    const char *name, *version;
    /* Up to 32 facts, parameters above all: {"param.pattern.type", "text"}. */
    mr_fact facts[32];
} mr_about;

extern const mr_role mr_mapper, mr_combiner, mr_reducer, mr_partitioner;
extern const mr_about mr_plugin_about;

/* One instance serves one role at a time. */
static mr_out mr_the_out MR_UNUSED;
/* Ways to the named outputs of the role, in their order; those that the task has not are of port 0. */
static mr_out mr_named_outs[MR_OUTPUTS_MAX] MR_UNUSED;
static const mr_role *mr_the_role MR_UNUSED;
static uint32_t mr_partitions MR_UNUSED;

/* Ends a call: sends counters, and turns an error into one with its place. True if all went well. */
static MR_UNUSED bool mr_end_call(mr_status status, mr_engine_types_error_t *err) {
    mr_send_counters();
    if (status != MR_OK || mr_current.failed) {
        mr_buf b = {0};
        if (!mr_current.failed) mr_fatal("the role answered with a failure and no reason");
        mr_push(&b, mr_current.message.ptr, mr_current.message.len);
        mr_push_place(&b);
        err->kind = mr_current.kind;
        err->message.ptr = b.ptr;
        err->message.len = b.len;
        err->row.is_some = mr_current.doing != MR_IDLE;
        err->row.val = mr_current.row;
    }
    bool well = status == MR_OK && !mr_current.failed;
    mr_current.doing = MR_IDLE;
    mr_current.failed = false;
    return well;
}

static inline MR_UNUSED bool mr_has_output(const mr_role *role, size_t i) { return i < MR_OUTPUTS_MAX && role->outputs[i].name; }

/* The way to a named output, which `.outputs` of the role lists. Meant for `.setup`: where the stage has no such
 * output, the answer is a failure that says so.
 *
 *     static mr_out *errors;
 *     static mr_status setup(const mr_task *task) { return mr_output("errors", &errors); } */
static MR_UNUSED mr_status mr_output(const char *name, mr_out **out) {
    for (size_t i = 0; mr_has_output(mr_the_role, i); i++) {
        if (strcmp(mr_the_role->outputs[i].name, name) != 0 || mr_named_outs[i].port == 0) continue;
        *out = &mr_named_outs[i];
        return MR_OK;
    }
    mr_buf b = {0};
    mr_push_text(&b, "there is no output ");
    mr_push_text(&b, name);
    mr_push_text(&b, " in this stage: list it in .outputs, of the reducer, or of the mapper of a job without reducers");
    mr_push_byte(&b, 0);
    mr_fatal((const char *)b.ptr);
    mr_free(&b);
    return MR_FAILED;
}

static MR_UNUSED void mr_open_outputs(const mr_role *role, const mr_engine_types_task_context_t *ctx) {
    mr_the_role = role;
    for (size_t i = 0; mr_has_output(role, i); i++) {
        mr_out *out = &mr_named_outs[i];
        mr_open_out(out, role->outputs[i].key, role->outputs[i].value, ctx->batch_bytes);
        out->keys.ends.len = out->keys.data.len = out->values.ends.len = out->values.data.len = 0;
        out->port = 0;
        for (size_t at = 1; at < ctx->outputs.len; at++) {
            mr_str name = mr_bytes(ctx->outputs.ptr[at].ptr, ctx->outputs.ptr[at].len);
            if (mr_equal(name, mr_text(role->outputs[i].name))) out->port = (uint32_t)at;
        }
    }
}

static MR_UNUSED void mr_flush_outputs(const mr_role *role) {
    for (size_t i = 0; mr_has_output(role, i); i++) mr_flush(&mr_named_outs[i]);
}

static MR_UNUSED bool mr_open_role(const mr_role *role, mr_engine_types_task_context_t *ctx, mr_engine_types_error_t *err) {
    mr_task task = {mr_bytes(ctx->job_id.ptr, ctx->job_id.len), ctx->task, ctx->attempt, ctx->partitions, ctx->seed};
    mr_partitions = ctx->partitions;
    mr_open_outputs(role, ctx);
    if (!role->partition) mr_open_out(&mr_the_out, role->key, role->value, ctx->batch_bytes);
    bool well = mr_end_call(role->setup ? role->setup(&task) : MR_OK, err);
    mr_engine_types_task_context_free(ctx);
    return well;
}

static MR_UNUSED bool mr_close_role(const mr_role *role, mr_engine_types_error_t *err) {
    mr_status status = role->finish ? role->finish(&mr_the_out) : MR_OK;
    if (status == MR_OK) {
        mr_flush(&mr_the_out);
        mr_flush_outputs(role);
    }
    return mr_end_call(status, err);
}

/* ------------------------------------------------------------------ mapping */

static MR_UNUSED bool mr_place(const mr_role *role, mr_str key, mr_line *line) {
    static mr_buf scratch;
    line->path.len = 0;
    if (role->with_path && !mr_get_text(&key, &scratch, &line->path)) return false;
    return mr_get_u64(&key, &line->offset) && mr_done(key);
}

MR_HOT mr_status mr_map_lines(const mr_role *role, mr_line chunk) {
    const uint8_t *at = chunk.text.ptr, *end = at + chunk.text.len;
    mr_current.doing = MR_AT_LINE;
    do {
        const uint8_t *newline = at < end ? (const uint8_t *)memchr(at, '\n', (size_t)(end - at)) : NULL;
        mr_line line = {chunk.offset + (uint64_t)(at - chunk.text.ptr), chunk.path, {at, (size_t)((newline ? newline : end) - at)}};
        mr_current.offset = line.offset;
        mr_current.key = line.text;
        if (role->lines(line, &mr_the_out) != MR_OK) return MR_FAILED;
        if (!newline) break;
        at = newline + 1;
    } while (at < end);
    return MR_OK;
}

static MR_UNUSED mr_status mr_map_row(const mr_role *role, mr_str key, mr_str value) {
    mr_current.doing = MR_AT_RECORD;
    mr_current.key = key;
    mr_current.value = value;
    if (role->records) return role->records(key, value, &mr_the_out);
    mr_line chunk = {0, {NULL, 0}, value};
    if (!mr_place(role, key, &chunk)) return mr_invalid("the key of a row of text is not its place");
    if (role->lines) return mr_map_lines(role, chunk);
    mr_current.doing = MR_AT_CHUNK;
    mr_current.offset = chunk.offset;
    mr_current.key = value;
    return role->chunks(chunk, &mr_the_out);
}

static MR_UNUSED bool mr_map(const mr_role *role, mr_engine_types_batch_t *input, mr_engine_types_error_t *err) {
    mr_cells keys = mr_read_column(&input->keys), values = mr_read_column(&input->values);
    mr_status status = MR_OK;
    mr_batch_begin = values.data;
    mr_batch_end = values.data + values.data_len;
    for (uint32_t row = 0; row < input->rows && status == MR_OK; row++) {
        mr_current.row = row;
        status = mr_map_row(role, mr_cell(&keys, row), mr_cell(&values, row));
    }
    bool well = mr_end_call(status, err);
    mr_batch_begin = mr_batch_end = NULL;
    mr_engine_types_batch_free(input);
    return well;
}

/* ------------------------------------------------------ combining, reducing */

MR_COLD mr_status mr_fail_malformed(const mr_values *v) {
    mr_buf b = {0};
    mr_push_text(&b, "a cell of ");
    mr_push_decimal(&b, v->malformed_bytes);
    mr_push_text(&b, " bytes is not of type ");
    mr_push_text(&b, v->malformed);
    mr_push_text(&b, ": was it written by another kind of plugin?");
    mr_push_byte(&b, 0);
    mr_invalid((const char *)b.ptr);
    mr_free(&b);
    return MR_FAILED;
}

static MR_UNUSED mr_status mr_each_group(const mr_role *role, mr_doing doing, mr_engine_types_grouped_batch_t *input) {
    mr_cells keys = mr_read_column(&input->keys);
    mr_values v = {mr_read_column(&input->values), 0, 0, false, false, {0, {0, {NULL, 0}, {NULL, 0}}}, NULL, 0};
    const mr_cells cells = v.cells;
    mr_current.doing = doing;
    if (input->ends.len < (size_t)input->groups * 4) mr_panic("a batch has too few groups");
    size_t start = 0;
    for (uint32_t group = 0; group < input->groups; group++) {
        mr_str key = mr_cell(&keys, group);
        mr_current.row = group;
        mr_current.key = key;
        v.cells = cells;
        v.next = start;
        v.end = start = mr_end_at(input->ends.ptr, group);
        v.more = input->more && group + 1 == input->groups;
        mr_status status = role->group(key, &v, &mr_the_out);
        if (status == MR_OK && v.malformed) status = mr_fail_malformed(&v);
        if (status != MR_OK) return status;
        while (v.more) mr_fetch(&v); /* What was not read is passed over, as the engine requires. */
        mr_drop_part(&v);
    }
    return MR_OK;
}

static MR_UNUSED bool mr_groups(const mr_role *role, mr_doing doing, mr_engine_types_grouped_batch_t *input, mr_engine_types_error_t *err) {
    mr_status status = mr_each_group(role, doing, input);
    /* All output of a combiner leaves before it returns: the next batch may be of another run. */
    if (status == MR_OK && doing == MR_AT_COMBINE) mr_flush(&mr_the_out);
    bool well = mr_end_call(status, err);
    mr_engine_types_grouped_batch_free(input);
    return well;
}

/* Adds up the u64 values of a key: combiner and reducer of everything that is counted. */
static MR_UNUSED mr_status mr_sum_values(mr_str key, mr_values *values, mr_out *out) {
    uint64_t sum = 0, n;
    while (mr_next_u64(values, &n)) sum = mr_add(sum, n);
    if (!values->malformed) mr_emit_u64(out, key, sum);
    return MR_OK;
}

/* ------------------------------------------------------------- partitioning */

static MR_UNUSED bool mr_partition(const mr_role *role, uint32_t rows, mr_engine_types_column_t *column, guest_list_u8_t *ret,
                                   mr_engine_types_error_t *err) {
    mr_cells keys = mr_read_column(column);
    mr_buf answer = {0};
    mr_status status = MR_OK;
    mr_current.doing = MR_AT_PARTITION;
    for (uint32_t row = 0; row < rows && status == MR_OK; row++) {
        mr_str key = mr_cell(&keys, row);
        mr_current.row = row;
        mr_current.key = key;
        uint32_t partition = role->partition(key, mr_partitions);
        if (partition >= mr_partitions) status = mr_fatal("the partition is not below the number of partitions");
        mr_push(&answer, &partition, 4);
    }
    ret->ptr = answer.ptr;
    ret->len = answer.len;
    bool well = mr_end_call(status, err);
    if (!well) mr_free(&answer);
    mr_engine_types_column_free(column);
    return well;
}

/* -------------------------------------------------------------- describing */

enum { MR_FACTS_MAX = 128 };

typedef struct {
    mr_fact facts[MR_FACTS_MAX];
    size_t len;
} mr_facts;

static MR_UNUSED void mr_add_fact(mr_facts *facts, const char *name, const char *value) {
    if (!value) return;
    if (facts->len == MR_FACTS_MAX) mr_panic("too many facts about the plugin");
    facts->facts[facts->len].name = name;
    facts->facts[facts->len++].value = value;
}

static MR_UNUSED void mr_describe_mapper(mr_facts *facts, const mr_role *role) {
    mr_add_fact(facts, "map.batch", role->records ? "rows" : "chunks");
    if (!role->records) mr_add_fact(facts, "map.input-key", role->with_path ? "path-offset" : "offset");
    mr_add_fact(facts, "map.key", role->key);
    mr_add_fact(facts, "map.value", role->value);
}

static MR_UNUSED void mr_describe_reducer(mr_facts *facts, const mr_role *role) {
    mr_add_fact(facts, "reduce.in.key", role->in_key ? role->in_key : role->key);
    mr_add_fact(facts, "reduce.in.value", role->in_value ? role->in_value : role->value);
    mr_add_fact(facts, "reduce.key", role->key);
    mr_add_fact(facts, "reduce.value", role->value);
}

/* Text that is put together and stays. */
MR_COLD const char *mr_joined(const char *a, const char *b, const char *c) {
    mr_buf text = {0};
    mr_push_text(&text, a);
    mr_push_text(&text, b);
    mr_push_text(&text, c);
    mr_push_byte(&text, 0);
    return (const char *)text.ptr;
}

/* Adds the outputs of a role to the `names` of those that are known, with commas between; one that a mapper and a
 * reducer list is one. */
static MR_UNUSED const char *mr_describe_outputs(mr_facts *facts, const mr_role *role, const char *names) {
    for (size_t i = 0; mr_has_output(role, i); i++) {
        const mr_port *port = &role->outputs[i];
        const char *key = mr_joined("output.", port->name, ".key");
        bool known = false;
        for (size_t fact = 0; fact < facts->len; fact++) known = known || strcmp(facts->facts[fact].name, key) == 0;
        mr_add_fact(facts, key, port->key);
        mr_add_fact(facts, mr_joined("output.", port->name, ".value"), port->value);
        if (!known) names = names ? mr_joined(names, ",", port->name) : port->name;
    }
    return names;
}

static MR_UNUSED void mr_gather_facts(mr_facts *facts) {
    const char *outputs = NULL;
#ifdef MR_HAS_MAPPER
    mr_describe_mapper(facts, &mr_mapper);
    outputs = mr_describe_outputs(facts, &mr_mapper, outputs);
#endif
#ifdef MR_HAS_COMBINER
    mr_add_fact(facts, "combine.key", mr_combiner.key);
    mr_add_fact(facts, "combine.value", mr_combiner.value);
#endif
#ifdef MR_HAS_REDUCER
    mr_describe_reducer(facts, &mr_reducer);
    outputs = mr_describe_outputs(facts, &mr_reducer, outputs);
#endif
#ifdef MR_HAS_PARTITIONER
    mr_add_fact(facts, "partition.key", mr_partitioner.key);
#endif
    mr_add_fact(facts, "outputs", outputs);
    for (size_t i = 0; i < sizeof mr_plugin_about.facts / sizeof(mr_fact) && mr_plugin_about.facts[i].name; i++)
        mr_add_fact(facts, mr_plugin_about.facts[i].name, mr_plugin_about.facts[i].value);
}

#include "export.h"
