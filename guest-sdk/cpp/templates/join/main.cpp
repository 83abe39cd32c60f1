// Joins users and their orders: lines `user TAB id TAB name` and `order TAB id TAB item` become
// `id TAB name TAB item`.
#include <vector>

#include "mr.hpp"

using Said = mr::Tuple<mr::Text, mr::Text>;

// Emits what a line says under its id.
struct ById {
    mr::Status map(mr::Line line, mr::Out<mr::Text, Said> &out) {
        size_t first = line.text.find('\t'), second = line.text.find('\t', first + 1);
        if (first == mr::Str::npos || second == mr::Str::npos || line.text.find('\t', second + 1) != mr::Str::npos)
            return mr::reject("not a user and not an order");
        mr::Str kind = line.text.substr(0, first);
        if (kind != "user" && kind != "order") return mr::reject("not a user and not an order");
        out.emit(line.text.substr(first + 1, second - first - 1), std::tuple(kind, line.text.substr(second + 1)));
        return mr::ok;
    }
};

// Brings the users and the orders of an id together.
struct Join {
    mr::Status reduce(mr::Str id, mr::Values<Said> &values, mr::Out<mr::Text, Said> &out) {
        std::vector<std::string> users, orders;
        for (const auto &[kind, what] : values) (kind == "user" ? users : orders).push_back(what);
        if (users.empty()) mr::count("orders without a user", static_cast<int64_t>(orders.size()));
        for (const auto &name : users)
            for (const auto &item : orders) out.emit(id, std::tuple(name, item));
        return mr::ok;
    }
};

MR_MAPPER(ById);
MR_REDUCER(Join);
MR_PLUGIN("{{name}}", "0.1.0");
