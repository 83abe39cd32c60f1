// Passes on every line as it is: a beginning.
#include "mr.hpp"

struct Pass {
    mr::Status map(mr::Line line, mr::Out<mr::Unit, mr::Text> &out) {
        out.emit(mr::unit, line.text);
        return mr::ok;
    }
};

MR_MAPPER(Pass);
MR_PLUGIN("{{name}}", "0.1.0");
