// The encodings against wit/vectors.json, as lines (see tests/languages/vectors.rs): the list's type, the
// cell in hexadecimal, and the elements of the value; `malformed` and a cell that must be refused.
#include <fstream>
#include <iostream>
#include <vector>

#include "mr.hpp"
#include "test.h"

constinit const mr_about mr_plugin_about = {"vectors", "0", {}};

using Fields = std::vector<std::string>;
static int failures, lines;

static void check(bool well, const char *what, const std::string &line) {
    if (well) return;
    std::cerr << what << ": " << line << '\n';
    failures++;
}

static std::string unhex(const std::string &hex) {
    std::string bytes;
    for (size_t i = 0; i + 1 < hex.size(); i += 2) bytes.push_back(static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16)));
    return bytes;
}

// What a test keeps of a value, from its fields.
template <class T> struct Parse;
template <> struct Parse<mr::Text> {
    static std::string from(Fields &fields, size_t &at) { return unhex(fields[at++]); }
};
template <> struct Parse<mr::Bytes> : Parse<mr::Text> {};
template <> struct Parse<uint64_t> {
    static uint64_t from(Fields &fields, size_t &at) { return std::stoull(fields[at++]); }
};
template <> struct Parse<int64_t> {
    static int64_t from(Fields &fields, size_t &at) { return std::stoll(fields[at++]); }
};
template <> struct Parse<double> {
    static double from(Fields &fields, size_t &at) { return std::strtod(fields[at++].c_str(), nullptr); }
};
template <> struct Parse<bool> {
    static bool from(Fields &fields, size_t &at) { return fields[at++] == "true"; }
};
template <> struct Parse<mr::Unit> {
    static mr::Unit from(Fields &, size_t &at) { return at++, mr::unit; }
};
template <class... E> struct Parse<mr::Tuple<E...>> {
    static auto from(Fields &fields, size_t &at) { return std::tuple{Parse<E>::from(fields, at)...}; }
};

template <class T> struct Parse<mr::Desc<T>> : Parse<T> {};

static std::string last, last_type;

template <class T> bool test(const std::string &type, Fields &fields, const std::string &line) {
    bool malformed = type.starts_with("malformed ");
    if (type.substr(malformed ? 10 : 0) != mr::Type<T>::name.text) return false;
    lines++;
    std::string cell = unhex(fields[1]);
    mr::View<T> view{};
    bool read = mr::Type<T>::read(mr::detail::lend(cell), view);
    check(read != malformed, malformed ? "a malformed cell was read" : "a cell was refused", line);
    if (malformed) return true;
    size_t at = 2;
    mr_buf written = {}, again = {};
    mr::Type<T>::write(written, Parse<T>::from(fields, at));
    mr::Type<T>::write(again, view);
    check(mr::detail::view(mr_view(&written)) == cell, "another cell was written", line);
    check(mr::detail::view(mr_view(&again)) == cell, "another value was read", line);
    check(type != last_type || last < cell, "the cell does not sort behind the one before", line);
    last = cell;
    last_type = type;
    return true;
}

template <class... T> void dispatch(const std::string &type, Fields &fields, const std::string &line) {
    if (!(test<T>(type, fields, line) || ...)) check(false, "add the type to this test", line);
}

int main(int, char **argv) {
    std::ifstream file(argv[1]);
    for (std::string line; std::getline(file, line);) {
        Fields fields(1);
        for (char c : line) {
            if (c == '\t') fields.emplace_back();
            else fields.back() += c;
        }
        dispatch<mr::Text, mr::Bytes, uint64_t, int64_t, double, bool, mr::Unit, mr::Tuple<mr::Text>, mr::Tuple<mr::Text, uint64_t>,
                 mr::Tuple<mr::Text, mr::Text>, mr::Tuple<mr::Bytes, int64_t>, mr::Tuple<mr::Tuple<int64_t, double>, bool>,
                 mr::Tuple<uint64_t, mr::Unit, mr::Text>, mr::Desc<mr::Text>, mr::Desc<mr::Bytes>, mr::Desc<uint64_t>, mr::Desc<int64_t>,
                 mr::Desc<double>, mr::Desc<bool>, mr::Desc<mr::Unit>, mr::Desc<mr::Tuple<mr::Text, uint64_t>>,
                 mr::Desc<mr::Desc<mr::Text>>, mr::Tuple<mr::Text, mr::Desc<uint64_t>>, mr::Tuple<mr::Desc<mr::Text>, mr::Text>>(fields[0], fields, line);
    }
    std::cout << lines << " vectors, " << failures << " failures\n";
    return failures > 0 || lines < 50;
}
