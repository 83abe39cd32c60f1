/* The macros that make functions of the plugin its roles, for the roles that mr-engine.toml names. */
#pragma once

#ifdef __cplusplus
#define MR_ASSERT(yes, why) static_assert(yes, why)
#else
#define MR_ASSERT(yes, why) _Static_assert(yes, why)
#endif
#define MR_NOT_LISTED(role) MR_ASSERT(0, "the plugin has a " role ", which `roles` in mr-engine.toml does not name")
/* Takes the semicolon behind a macro. */
#define MR_SEMICOLON MR_ASSERT(1, "")
#define MR_BOTH_ENDS(name, role)                                                                                         \
    bool exports_mr_engine_##name##_open(mr_engine_types_task_context_t *ctx, mr_engine_types_error_t *err) {            \
        return mr_open_role(&role, ctx, err);                                                                            \
    }                                                                                                                    \
    bool exports_mr_engine_##name##_close(mr_engine_types_error_t *err) { return mr_close_role(&role, err); }

#ifdef MR_HAS_MAPPER
#define MR_MAPPER(...)                                                                                                   \
    const mr_role mr_mapper = {__VA_ARGS__};                                                                             \
    MR_BOTH_ENDS(mapper, mr_mapper)                                                                                      \
    bool exports_mr_engine_mapper_map_batch(mr_engine_types_batch_t *input, mr_engine_types_error_t *err) {              \
        return mr_map(&mr_mapper, input, err);                                                                           \
    }                                                                                                                    \
    MR_SEMICOLON
#else
#define MR_MAPPER(...) MR_NOT_LISTED("mapper")
#endif

#ifdef MR_HAS_COMBINER
#define MR_COMBINER(...)                                                                                                 \
    const mr_role mr_combiner = {__VA_ARGS__};                                                                           \
    MR_BOTH_ENDS(combiner, mr_combiner)                                                                                  \
    bool exports_mr_engine_combiner_combine_batch(mr_engine_types_grouped_batch_t *input, mr_engine_types_error_t *err) {\
        return mr_groups(&mr_combiner, MR_AT_COMBINE, input, err);                                                       \
    }                                                                                                                    \
    MR_SEMICOLON
#else
#define MR_COMBINER(...) MR_NOT_LISTED("combiner")
#endif

#ifdef MR_HAS_REDUCER
#define MR_REDUCER(...)                                                                                                  \
    const mr_role mr_reducer = {__VA_ARGS__};                                                                            \
    MR_BOTH_ENDS(reducer, mr_reducer)                                                                                    \
    bool exports_mr_engine_reducer_reduce_batch(mr_engine_types_grouped_batch_t *input, mr_engine_types_error_t *err) {  \
        return mr_groups(&mr_reducer, MR_AT_REDUCE, input, err);                                                         \
    }                                                                                                                    \
    MR_SEMICOLON
#else
#define MR_REDUCER(...) MR_NOT_LISTED("reducer")
#endif

#ifdef MR_HAS_PARTITIONER
#define MR_PARTITIONER(...)                                                                                              \
    const mr_role mr_partitioner = {__VA_ARGS__};                                                                        \
    bool exports_mr_engine_partitioner_open(mr_engine_types_task_context_t *ctx, mr_engine_types_error_t *err) {         \
        return mr_open_role(&mr_partitioner, ctx, err);                                                                  \
    }                                                                                                                    \
    bool exports_mr_engine_partitioner_partition_batch(uint32_t rows, mr_engine_types_column_t *keys,                    \
                                                       guest_list_u8_t *ret, mr_engine_types_error_t *err) {            \
        return mr_partition(&mr_partitioner, rows, keys, ret, err);                                                      \
    }                                                                                                                    \
    MR_SEMICOLON
#else
#define MR_PARTITIONER(...) MR_NOT_LISTED("partitioner")
#endif

/* Name, version and facts of the plugin. Every plugin has one, behind its roles. */
#define MR_PLUGIN(...)                                                                                                   \
    const mr_about mr_plugin_about = {__VA_ARGS__};                                                                      \
    void exports_mr_engine_plugin_describe(exports_mr_engine_plugin_info_t *ret) { mr_describe(ret); }                   \
    MR_SEMICOLON

static MR_UNUSED guest_string_t mr_own(const char *text) {
    guest_string_t own = {(uint8_t *)malloc(strlen(text) + 1), strlen(text)};
    if (!own.ptr) mr_panic("out of memory");
    memcpy(own.ptr, text, own.len);
    return own;
}

static MR_UNUSED void mr_describe(exports_mr_engine_plugin_info_t *ret) {
    static mr_facts facts;
    facts.len = 0;
    mr_gather_facts(&facts);
    ret->name = mr_own(mr_plugin_about.name);
    ret->version = mr_own(mr_plugin_about.version ? mr_plugin_about.version : "0");
    ret->sdk = mr_own(MR_SDK);
    ret->attributes.ptr = (guest_tuple2_string_string_t *)malloc((facts.len + 1) * sizeof(guest_tuple2_string_string_t));
    if (!ret->attributes.ptr) mr_panic("out of memory");
    ret->attributes.len = facts.len;
    for (size_t i = 0; i < facts.len; i++) {
        ret->attributes.ptr[i].f0 = mr_own(facts.facts[i].name);
        ret->attributes.ptr[i].f1 = mr_own(facts.facts[i].value);
    }
}
