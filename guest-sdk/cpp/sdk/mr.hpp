// Write plugins for mr-engine in C++: typed records in, typed records out.
//
//     #include "mr.hpp"
//
//     struct Words {
//         mr::Status map(mr::Line line, mr::Out<mr::Text, uint64_t> &out) {
//             for (mr::Str word : line.words()) out.sum(word, 1);
//             return mr::ok;
//         }
//     };
//     MR_MAPPER(Words);
//     MR_PLUGIN("words", "0.1.0");
//
// The types of a role are those of its function: what it reads, and what it emits. A value of the
// class is made at the start of each task; `Status setup(const Task &)` and `Status finish(Out &)`
// are called where the class has them. Exceptions are off, as WebAssembly's tools are not there yet:
// a role answers `mr::ok`, or what `mr::invalid` and its kin return.
//
// It is a layer of templates over the header for C in this folder; types.hpp has the encodings.
#pragma once

#define MR_SDK "mr-cpp 0.1.0"

#include <array>
#include <concepts>
#include <cstdarg>
#include <cstdio>
#include <iterator>
#include <new>
#include <optional>
#include <utility>

#include "mr.h"
#include "types.hpp"

namespace mr {

using Status = mr_status;
inline constexpr Status ok = MR_OK;

// Why a role gives up; meant to be returned. Invalid input fails the job, as another attempt would
// do no better; a transient failure is worth another attempt; a fatal one fails the job at once.
inline Status invalid(const std::string &why) { return mr_invalid(why.c_str()); }
inline Status transient(const std::string &why) { return mr_transient(why.c_str()); }
inline Status fatal(const std::string &why) { return mr_fatal(why.c_str()); }
// Gives up on the record in hand and goes on: it lands in the job's rejects with the reason.
inline Status reject(const std::string &why) { return mr_reject(why.c_str()); }
// Ends the task at once; the log has the reason and the record in hand.
[[noreturn]] inline void panic(const std::string &why) { mr_panic(why.c_str()); }

// Adds to a counter of the job. The name has to stay, as a literal does.
inline void count(const char *name, int64_t delta) { mr_count(name, delta); }
inline void log(mr_level level, Str message) { mr_log_str(level, detail::lend(message)); }

template <class K, class V> class Out;

// A named output beside the main one, with keys of type K and values of type V. A reducer lists those that it has, as does
// a mapper of jobs without reducers, and opens them in `setup`:
//
//     constexpr mr::Port<mr::Text, mr::Text> errors{"errors"};
//
//     struct Total {
//         static constexpr auto outputs = mr::ports(errors);
//         mr::Out<mr::Text, mr::Text> to_errors;
//         mr::Status setup(const mr::Task &task) { return task.output(errors, to_errors); }
template <class K, class V> struct Port {
    const char *name; // also of its folder: a-z, 0-9, - and _, a letter first
};

// The named outputs of a role.
template <class... K, class... V> constexpr std::array<mr_port, sizeof...(K)> ports(const Port<K, V> &...all) {
    return {mr_port{all.name, Type<K>::name.text, Type<V>::name.text}...};
}

// The task that a role is set up for.
class Task {
public:
    explicit Task(const mr_task &task) : task_(task) {}
    Str job() const { return detail::view(task_.job); }
    uint32_t number() const { return task_.number; }
    uint32_t attempt() const { return task_.attempt; }
    uint32_t partitions() const { return task_.partitions; }
    uint64_t seed() const { return task_.seed; }

    // A parameter, where it is set or has a default.
    std::optional<Str> param(const char *name) const {
        mr_str text;
        return mr_param(name, &text) ? std::optional(detail::view(text)) : std::nullopt;
    }
    // A whole file that was shipped with the job.
    std::optional<std::string> side_input(const char *name) const {
        mr_buf bytes = {};
        if (!mr_side_input(name, &bytes)) return std::nullopt;
        std::string text(detail::view(mr_view(&bytes)));
        mr_free(&bytes);
        return text;
    }

    // Opens a named output; where the stage has none of the name, the answer is a failure that says so.
    template <class K, class V> Status output(const Port<K, V> &port, Out<K, V> &to) const {
        mr_out *out = nullptr;
        Status status = mr_output(port.name, &out);
        if (status == ok) to = Out<K, V>(out);
        return status;
    }

private:
    const mr_task &task_;
};

// Words of a text: what is between white space.
class Words {
public:
    explicit Words(Str text) : words_(mr_split(detail::lend(text))) {}

    class Iterator {
    public:
        explicit Iterator(mr_words *words) : words_(words) { ++*this; }
        Str operator*() const { return detail::view(word_); }
        Iterator &operator++() {
            if (!mr_next_word(words_, &word_)) words_ = nullptr;
            return *this;
        }
        bool operator!=(std::default_sentinel_t) const { return words_ != nullptr; }

    private:
        mr_words *words_;
        mr_str word_ = {};
    };
    Iterator begin() { return Iterator(&words_); }
    std::default_sentinel_t end() const { return {}; }

private:
    mr_words words_;
};

// A line of text, without its newline.
struct Line {
    Str text;
    uint64_t offset; // of its first byte in the file
    Words words() const { return Words(text); }
};
// A line that knows the path of its file.
struct FileLine : Line {
    Str path;
};
// Whole lines with their newlines.
struct Chunk : Line {};

// Where a role emits records with keys of type K and values of type V.
template <class K, class V> class Out {
public:
    explicit Out(mr_out *out = nullptr) : out_(out) {}

    template <class A, class B> void emit(const A &key, const B &value) {
        detail::Cell k(detail::tag<K>, key), v(detail::tag<V>, value);
        mr_emit(out_, k.cell(), v.cell());
    }
    // Emits a count that may be added up with others of the key, here or later: for jobs whose
    // combiner and reducer are mr::Sum.
    template <class A> void sum(const A &key, uint64_t value)
        requires std::same_as<V, uint64_t>
    {
        detail::Cell k(detail::tag<K>, key);
        mr_sum(out_, k.cell(), value);
    }

private:
    mr_out *out_;
};

// The values of a key, one after the other, however many batches they fill.
template <class V> class Values {
public:
    explicit Values(mr_values *values) : values_(values) {}

    // The next value; none at the end. A value that is not of type V fails the task.
    std::optional<View<V>> next() {
        mr_str cell;
        if (!mr_next(values_, &cell)) return std::nullopt;
        View<V> value{};
        size_t bytes = cell.len;
        if (Type<V>::read(cell, value)) return value;
        mr_malformed(values_, Type<V>::name.text, bytes);
        return std::nullopt;
    }

    class Iterator {
    public:
        explicit Iterator(Values *values) : values_(values), value_(values->next()) {}
        const View<V> &operator*() const { return *value_; }
        Iterator &operator++() {
            value_ = values_->next();
            return *this;
        }
        bool operator!=(std::default_sentinel_t) const { return value_.has_value(); }

    private:
        Values *values_;
        std::optional<View<V>> value_;
    };
    Iterator begin() { return Iterator(this); }
    std::default_sentinel_t end() const { return {}; }

private:
    mr_values *values_;
};

// Combiner and reducer that add up u64 values.
template <class K = Text> struct Sum {
    Status reduce(View<K>, Values<uint64_t> &, Out<K, uint64_t> &) { return ok; }
};

} // namespace mr

// In place of the library's, which needs the standard error stream.
#if defined(__wasm__) && defined(_LIBCPP_VERSION)
_LIBCPP_BEGIN_NAMESPACE_STD
[[noreturn]] void __libcpp_verbose_abort(const char *format, ...) noexcept {
    char why[256];
    va_list rest;
    va_start(rest, format);
    vsnprintf(why, sizeof why, format, rest);
    va_end(rest);
    mr_panic(why);
}
_LIBCPP_END_NAMESPACE_STD
#endif

#include "roles.hpp"
