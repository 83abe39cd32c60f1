/* Passes on every line as it is: a beginning. */
#include "mr.h"

static mr_status map(mr_line line, mr_out *out) {
    mr_emit(out, MR_UNIT, line.text);
    return MR_OK;
}

MR_MAPPER(.lines = map, .key = "unit", .value = "text");
MR_PLUGIN(.name = "{{name}}", .version = "0.1.0");
