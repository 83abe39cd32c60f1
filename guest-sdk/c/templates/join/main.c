/* Joins users and their orders: lines `user TAB id TAB name` and `order TAB id TAB item` become
 * `id TAB name TAB item`. */
#include "mr.h"

/* Takes a field off the front of a line. */
static mr_str field(mr_str *line) {
    ptrdiff_t tab = mr_find(*line, mr_text("\t"));
    mr_str field = mr_bytes(line->ptr, tab < 0 ? line->len : (size_t)tab);
    size_t passed = tab < 0 ? line->len : (size_t)tab + 1;
    *line = mr_bytes(line->ptr + passed, line->len - passed);
    return field;
}

/* Emits what a line says under its id. */
static mr_status map(mr_line line, mr_out *out) {
    static mr_buf value;
    mr_str rest = line.text, kind = field(&rest), id = field(&rest);
    bool known = mr_equal(kind, mr_text("user")) || mr_equal(kind, mr_text("order"));
    if (!known || rest.len == 0 || mr_find(rest, mr_text("\t")) >= 0) return mr_reject("not a user and not an order");
    value.len = 0;
    mr_put_text(&value, kind);
    mr_put_text(&value, rest);
    mr_emit(out, id, mr_view(&value));
    return MR_OK;
}

/* Brings the users and the orders of an id together. Users and orders are kept as elements of
 * tuples, one behind the other. */
static mr_status reduce(mr_str id, mr_values *values, mr_out *out) {
    static mr_buf users, orders, scratch;
    mr_str cell, kind, name, item;
    int64_t count = 0;
    users.len = orders.len = 0;
    while (mr_next(values, &cell)) {
        size_t bytes = cell.len;
        mr_buf *side = &users;
        if (!mr_get_text(&cell, &scratch, &kind)) return mr_malformed(values, "tuple<text,text>", bytes), MR_OK;
        if (mr_equal(kind, mr_text("order"))) {
            side = &orders;
            count++;
        }
        mr_push(side, cell.ptr, cell.len);
    }
    if (users.len == 0) mr_count("orders without a user", count);
    for (mr_str u = mr_view(&users); mr_get_text(&u, &scratch, &name);) {
        static mr_buf joined, inner;
        for (mr_str o = mr_view(&orders); mr_get_text(&o, &inner, &item);) {
            joined.len = 0;
            mr_put_text(&joined, name);
            mr_put_text(&joined, item);
            mr_emit(out, id, mr_view(&joined));
        }
    }
    return MR_OK;
}

MR_MAPPER(.lines = map, .key = "text", .value = "tuple<text,text>");
MR_REDUCER(.group = reduce, .key = "text", .value = "tuple<text,text>");
MR_PLUGIN(.name = "{{name}}", .version = "0.1.0");
