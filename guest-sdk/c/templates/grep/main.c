/* Finds the lines that contain a text. */
#include "mr.h"

static mr_str pattern;

static mr_status setup(const mr_task *task) {
    (void)task;
    return mr_param("pattern", &pattern) ? MR_OK : mr_fatal("parameter pattern is not set");
}

static mr_status map(mr_line line, mr_out *out) {
    if (mr_find(line.text, pattern) >= 0) {
        mr_emit(out, MR_UNIT, line.text);
        mr_count("lines matched", 1);
    }
    return MR_OK;
}

MR_MAPPER(.setup = setup, .lines = map, .key = "unit", .value = "text");
MR_PLUGIN(.name = "{{name}}", .version = "0.1.0", .facts = {
    {"param.pattern.type", "text"},
    {"param.pattern.required", "true"},
    {"param.pattern.help", "text that a line must contain"},
});
