/* Cuts lines behind their first word, and sends records to where the plugin `route` does. */
#include "mr.h"

static mr_out *errors, *lengths;

static mr_status setup(const mr_task *task) {
    (void)task;
    mr_status status = mr_output("errors", &errors);
    return status == MR_OK ? mr_output("lengths", &lengths) : status;
}

static mr_status map(mr_line line, mr_out *out) {
    size_t end = (size_t)mr_find(line.text, mr_text(" "));
    mr_str key = mr_bytes(line.text.ptr, end), value = mr_bytes(line.text.ptr + end + 1, line.text.len - end - 1);
    if (value.len && value.ptr[0] == '!') mr_emit(errors, key, value);
    else if (key.len && key.ptr[0] == 'z') mr_emit_u64(lengths, key, value.len);
    else mr_emit(out, key, value);
    return MR_OK;
}

MR_MAPPER(.setup = setup, .lines = map, .key = "text", .value = "text",
          .outputs = {{"errors", "text", "text"}, {"lengths", "text", "u64"}});
MR_PLUGIN(.name = "cut", .version = "0.1.0");
