// Types of keys and values: their names, and how cells of them are written and read
// (wit/ENCODING.md of the engine).
//
//     mr::Text, mr::Bytes, uint64_t, int64_t, double, bool, mr::Unit, mr::Tuple<...> and mr::Desc<...> of these
//
// Text and bytes are read as mr::Str, a view of the batch in hand; in a tuple, as std::string. What
// may be emitted for them is anything that becomes a std::string_view.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>

#include "codec.h"

namespace mr {

using Str = std::string_view;

struct Text {};
struct Bytes {};
struct Unit {};
template <class... T> struct Tuple {};
// Sorts the other way round, the greatest first. Its values are those of T.
template <class T> struct Desc {};

inline constexpr Unit unit{};

namespace detail {

inline mr_str lend(Str s) { return mr_bytes(s.data(), s.size()); }
inline Str view(mr_str s) { return Str(reinterpret_cast<const char *>(s.ptr), s.len); }

// Text that is put together by the compiler.
template <size_t N> struct Fixed {
    char text[N] = {};
    constexpr Fixed() = default;
    constexpr Fixed(const char (&from)[N]) {
        for (size_t i = 0; i < N; i++) text[i] = from[i];
    }
};
template <size_t A, size_t B> constexpr Fixed<A + B - 1> operator+(const Fixed<A> &a, const Fixed<B> &b) {
    Fixed<A + B - 1> sum;
    for (size_t i = 0; i < A - 1; i++) sum.text[i] = a.text[i];
    for (size_t i = 0; i < B; i++) sum.text[A - 1 + i] = b.text[i];
    return sum;
}

// An element of a tuple as it is read: text is copied, since it may have to be unescaped.
template <class T> struct Element;

} // namespace detail

// A type: its name, what is read for it, and its codec. `put` and `get` are for elements of tuples,
// `write` and `read` for whole cells.
template <class T> struct Type;

namespace detail {

template <size_t N> struct StringType {
    using View = Str;
    using Owned = std::string;
    static void write(mr_buf &out, Str value) { mr_put_raw(&out, lend(value)); }
    static void put(mr_buf &out, Str value) { mr_put_text(&out, lend(value)); }
    static bool read(mr_str cell, Str &value) {
        value = view(cell);
        return true;
    }
    static bool get(mr_str &cell, std::string &value) {
        static mr_buf scratch;
        mr_str text;
        if (!mr_get_text(&cell, &scratch, &text)) return false;
        value.assign(view(text));
        return true;
    }
};

template <class T, auto Put, auto Get> struct NumberType {
    using View = T;
    using Owned = T;
    static void put(mr_buf &out, T value) { Put(&out, value); }
    static void write(mr_buf &out, T value) { Put(&out, value); }
    static bool get(mr_str &cell, T &value) { return Get(&cell, &value); }
    static bool read(mr_str cell, T &value) { return Get(&cell, &value) && mr_done(cell); }
};

inline void put_u64(mr_buf *b, uint64_t n) { mr_put_u64(b, n); }
inline bool get_u64(mr_str *cell, uint64_t *n) { return mr_get_u64(cell, n); }
inline void put_s64(mr_buf *b, int64_t n) { mr_put_s64(b, n); }
inline bool get_s64(mr_str *cell, int64_t *n) { return mr_get_s64(cell, n); }
inline void put_f64(mr_buf *b, double x) { mr_put_f64(b, x); }
inline bool get_f64(mr_str *cell, double *x) { return mr_get_f64(cell, x); }
inline void put_bool(mr_buf *b, bool yes) { mr_put_bool(b, yes); }
inline bool get_bool(mr_str *cell, bool *yes) { return mr_get_bool(cell, yes); }

} // namespace detail

template <> struct Type<Text> : detail::StringType<0> {
    static constexpr auto name = detail::Fixed("text");
};
template <> struct Type<Bytes> : detail::StringType<1> {
    static constexpr auto name = detail::Fixed("bytes");
};
template <> struct Type<uint64_t> : detail::NumberType<uint64_t, detail::put_u64, detail::get_u64> {
    static constexpr auto name = detail::Fixed("u64");
};
template <> struct Type<int64_t> : detail::NumberType<int64_t, detail::put_s64, detail::get_s64> {
    static constexpr auto name = detail::Fixed("s64");
};
template <> struct Type<double> : detail::NumberType<double, detail::put_f64, detail::get_f64> {
    static constexpr auto name = detail::Fixed("f64");
};
template <> struct Type<bool> : detail::NumberType<bool, detail::put_bool, detail::get_bool> {
    static constexpr auto name = detail::Fixed("bool");
};
template <> struct Type<Unit> {
    static constexpr auto name = detail::Fixed("unit");
    using View = Unit;
    using Owned = Unit;
    static void put(mr_buf &, Unit) {}
    static void write(mr_buf &, Unit) {}
    static bool get(mr_str &, Unit &) { return true; }
    static bool read(mr_str cell, Unit &) { return mr_done(cell); }
};

template <class First, class... Rest> struct Type<Tuple<First, Rest...>> {
    static constexpr auto name =
        detail::Fixed("tuple<") + (Type<First>::name + ... + (detail::Fixed(",") + Type<Rest>::name)) + detail::Fixed(">");
    using View = std::tuple<typename Type<First>::Owned, typename Type<Rest>::Owned...>;
    using Owned = View;

    template <class Values> static void put(mr_buf &out, const Values &values) {
        std::apply(
            [&](const auto &first, const auto &...rest) {
                Type<First>::put(out, first);
                (Type<Rest>::put(out, rest), ...);
            },
            values);
    }
    template <class Values> static void write(mr_buf &out, const Values &values) { put(out, values); }
    static bool get(mr_str &cell, View &values) {
        return std::apply(
            [&](auto &first, auto &...rest) { return Type<First>::get(cell, first) && (Type<Rest>::get(cell, rest) && ...); },
            values);
    }
    static bool read(mr_str cell, View &values) { return get(cell, values) && mr_done(cell); }
};

// The cell as an element of a tuple, all bits flipped.
template <class T> struct Type<Desc<T>> {
    static constexpr auto name = detail::Fixed("desc<") + Type<T>::name + detail::Fixed(">");
    using View = typename Type<T>::Owned;
    using Owned = View;

    template <class Value> static void put(mr_buf &out, const Value &value) {
        size_t start = mr_begin_desc(&out);
        Type<T>::put(out, value);
        mr_end_desc(&out, start);
    }
    template <class Value> static void write(mr_buf &out, const Value &value) { put(out, value); }
    static bool get(mr_str &cell, View &value) {
        static mr_buf flipped;
        mr_str inner = mr_enter_desc(cell, &flipped);
        return Type<T>::get(inner, value) && mr_leave_desc(&cell, inner);
    }
    static bool read(mr_str cell, View &value) { return get(cell, value) && mr_done(cell); }
};

// What a plugin reads for a type.
template <class T> using View = typename Type<T>::View;

namespace detail {

template <class T> struct Tag {};
template <class T> inline constexpr Tag<T> tag{};

// A value as a cell: text as it is, the rest written into a small buffer that is kept.
class Cell {
public:
    template <class T, class A> Cell(Tag<T>, const A &value) {
        if constexpr (std::is_same_v<T, Text> || std::is_same_v<T, Bytes>) {
            cell_ = lend(Str(value));
        } else if constexpr (std::is_same_v<T, uint64_t>) {
            number_ = __builtin_bswap64(static_cast<uint64_t>(value));
            cell_ = mr_bytes(&number_, sizeof number_);
        } else {
            // Two of them: the key and the value of a record.
            static mr_buf buffers[2];
            static unsigned turn;
            mr_buf &buffer = buffers[turn++ % 2];
            buffer.len = 0;
            Type<T>::write(buffer, value);
            cell_ = mr_view(&buffer);
        }
    }
    Cell(const Cell &) = delete;
    mr_str cell() const { return cell_; }

private:
    uint64_t number_ = 0;
    mr_str cell_;
};

} // namespace detail

} // namespace mr
