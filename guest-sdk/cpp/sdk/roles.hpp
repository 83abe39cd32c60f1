// From a class to a role of the header for C: its types and input are those of its function.
#pragma once

namespace mr::detail {

// The class's value for the task at hand.
template <class C> struct Instance {
    alignas(C) static inline unsigned char place[sizeof(C)];
    static inline bool made = false;

    static C &at() { return *std::launder(reinterpret_cast<C *>(place)); }
    static Status setup(const mr_task *task) {
        if (made) at().~C();
        new (place) C();
        made = true;
        if constexpr (requires(C c, const Task &t) { c.setup(t); }) return at().setup(Task(*task));
        (void)task;
        return ok;
    }
};

template <class F> struct Function;
template <class C, class I, class K, class V> struct Function<Status (C::*)(I, Out<K, V> &)> {
    using Input = I;
    using Key = K;
    using Value = V;

    static Status finish(mr_out *out) {
        Out<K, V> typed(out);
        if constexpr (requires(C c) { c.finish(typed); }) return Instance<C>::at().finish(typed);
        return ok;
    }
};
template <class C, class In, class V, class K, class W> struct Function<Status (C::*)(In, Values<V> &, Out<K, W> &)> {
    using InKey = In;
    using InValue = V;
    using Key = K;
    using Value = W;

    static Status finish(mr_out *out) { return Function<Status (C::*)(int, Out<K, W> &)>::finish(out); }
};

// What a mapper reads, by the type of its argument.
template <class I> struct Input;
template <> struct Input<Line> {
    static Line read(mr_line line) { return {detail::view(line.text), line.offset}; }
};
template <> struct Input<FileLine> {
    static FileLine read(mr_line line) { return {{detail::view(line.text), line.offset}, detail::view(line.path)}; }
};
template <> struct Input<Chunk> {
    static Chunk read(mr_line line) { return {{detail::view(line.text), line.offset}}; }
};

template <class C, class F> Status map_line(mr_line line, mr_out *out) {
    Out<typename F::Key, typename F::Value> typed(out);
    return Instance<C>::at().map(Input<typename F::Input>::read(line), typed);
}

// Records are taken as a pair of the types of their key and value.
template <class C, class F> Status map_record(mr_str key, mr_str value, mr_out *out);

} // namespace mr::detail

namespace mr {

// What a mapper reads whose input is records with keys of type K and values of type V.
template <class K, class V> struct Record {
    View<K> key;
    View<V> value;
};

namespace detail {

template <class K, class V> struct Input<Record<K, V>> {
    static bool read(mr_str key, mr_str value, Record<K, V> &record) {
        return Type<K>::read(key, record.key) && Type<V>::read(value, record.value);
    }
};

template <class C, class F> Status map_record(mr_str key, mr_str value, mr_out *out) {
    typename F::Input record{};
    if (!Input<typename F::Input>::read(key, value, record)) return invalid("the record is not of the types that the mapper reads");
    Out<typename F::Key, typename F::Value> typed(out);
    return Instance<C>::at().map(record, typed);
}

// The type whose view a reducer's key is: by its argument, Str meaning text.
template <class V> struct Named {
    using Of = V;
};
template <> struct Named<Str> {
    using Of = Text;
};
// In a tuple, text is read as a string.
template <> struct Named<std::string> {
    using Of = Text;
};
template <class... V> struct Named<std::tuple<V...>> {
    using Of = Tuple<typename Named<V>::Of...>;
};

// Lists the named outputs of a class.
template <class C> constexpr void list_outputs(mr_role &role) {
    if constexpr (requires { C::outputs.size(); }) {
        static_assert(C::outputs.size() <= MR_OUTPUTS_MAX, "a role has 16 named outputs at most");
        for (size_t i = 0; i < C::outputs.size(); i++) role.outputs[i] = C::outputs[i];
    }
}

template <class C> constexpr mr_role mapper_role() {
    using F = Function<decltype(&C::map)>;
    using I = typename F::Input;
    mr_role role = {};
    if constexpr (std::is_same_v<I, Chunk>) role.chunks = map_line<C, F>;
    else if constexpr (std::is_same_v<I, Line> || std::is_same_v<I, FileLine>) role.lines = map_line<C, F>;
    else role.records = map_record<C, F>;
    role.with_path = std::is_same_v<I, FileLine>;
    role.key = Type<typename F::Key>::name.text;
    role.value = Type<typename F::Value>::name.text;
    role.setup = Instance<C>::setup;
    role.finish = F::finish;
    list_outputs<C>(role);
    return role;
}

template <class C> Status reduce_group(mr_str key, mr_values *values, mr_out *out) {
    using F = Function<decltype(&C::reduce)>;
    typename F::InKey read{};
    if constexpr (requires { Type<typename F::Key>::read(key, read); }) {
        if (!Type<typename F::Key>::read(key, read)) return invalid("the key is not of the type that is reduced");
    } else if (!Type<typename Named<typename F::InKey>::Of>::read(key, read)) {
        return invalid("the key is not of the type that is reduced");
    }
    Values<typename F::InValue> typed_values(values);
    Out<typename F::Key, typename F::Value> typed(out);
    return Instance<C>::at().reduce(read, typed_values, typed);
}

// Name of the type of the keys that are reduced: that of the keys emitted where both are read alike.
template <class F> constexpr const char *in_key() {
    if constexpr (std::is_same_v<typename F::InKey, View<typename F::Key>>) return Type<typename F::Key>::name.text;
    else return Type<typename Named<typename F::InKey>::Of>::name.text;
}

template <class C> struct GroupRole {
    static constexpr mr_role make() {
        using F = Function<decltype(&C::reduce)>;
        mr_role role = {};
        role.group = reduce_group<C>;
        role.key = Type<typename F::Key>::name.text;
        role.value = Type<typename F::Value>::name.text;
        role.in_key = in_key<F>();
        role.in_value = Type<typename F::InValue>::name.text;
        role.setup = Instance<C>::setup;
        role.finish = F::finish;
        list_outputs<C>(role);
        return role;
    }
};
template <class K> struct GroupRole<Sum<K>> {
    static constexpr mr_role make() {
        mr_role role = {};
        role.group = mr_sum_values;
        role.key = Type<K>::name.text;
        role.value = "u64";
        return role;
    }
};

} // namespace detail

} // namespace mr

// The roles again, for classes.
#ifdef MR_HAS_MAPPER
#undef MR_MAPPER
#define MR_MAPPER(C)                                                                                                     \
    constinit const mr_role mr_mapper = mr::detail::mapper_role<C>();                                                    \
    MR_BOTH_ENDS(mapper, mr_mapper)                                                                                      \
    bool exports_mr_engine_mapper_map_batch(mr_engine_types_batch_t *input, mr_engine_types_error_t *err) {              \
        return mr_map(&mr_mapper, input, err);                                                                           \
    }                                                                                                                    \
    MR_SEMICOLON
#endif
#ifdef MR_HAS_COMBINER
#undef MR_COMBINER
#define MR_COMBINER(...)                                                                                                 \
    constinit const mr_role mr_combiner = mr::detail::GroupRole<__VA_ARGS__>::make();                                    \
    MR_BOTH_ENDS(combiner, mr_combiner)                                                                                  \
    bool exports_mr_engine_combiner_combine_batch(mr_engine_types_grouped_batch_t *input, mr_engine_types_error_t *err) {\
        return mr_groups(&mr_combiner, MR_AT_COMBINE, input, err);                                                       \
    }                                                                                                                    \
    MR_SEMICOLON
#endif
#ifdef MR_HAS_REDUCER
#undef MR_REDUCER
#define MR_REDUCER(...)                                                                                                  \
    constinit const mr_role mr_reducer = mr::detail::GroupRole<__VA_ARGS__>::make();                                     \
    MR_BOTH_ENDS(reducer, mr_reducer)                                                                                    \
    bool exports_mr_engine_reducer_reduce_batch(mr_engine_types_grouped_batch_t *input, mr_engine_types_error_t *err) {  \
        return mr_groups(&mr_reducer, MR_AT_REDUCE, input, err);                                                         \
    }                                                                                                                    \
    MR_SEMICOLON
#endif
// MR_PLUGIN(name, version, {fact, value}...).
#undef MR_PLUGIN
#define MR_PLUGIN(NAME, VERSION, ...)                                                                                    \
    const mr_about mr_plugin_about = {NAME, VERSION, {__VA_ARGS__}};                                                     \
    void exports_mr_engine_plugin_describe(exports_mr_engine_plugin_info_t *ret) { mr_describe(ret); }                   \
    MR_SEMICOLON
