/* The double of the engine: named outputs, and groups by a prefix of the key. */
#define MR_ALL_ROLES
#define MR_HAS_MAPPER
#define MR_HAS_REDUCER
#include "mr.h"

static mr_out *odd, *large;
static bool lists_odd = true;

static mr_status open_odd(const mr_task *task) {
    (void)task;
    odd = NULL;
    return lists_odd ? MR_OK : mr_output("even", &odd);
}

/* Lines of a name and a number; those without a number are odd. */
static mr_status map(mr_line line, mr_out *out) {
    static mr_buf key;
    ptrdiff_t space = mr_find(line.text, mr_text(" "));
    if (space < 0) {
        if (mr_output("odd", &odd) != MR_OK) return MR_FAILED;
        mr_emit(odd, line.text, MR_UNIT);
        return MR_OK;
    }
    uint64_t n;
    if (!mr_parse_u64(mr_bytes(line.text.ptr + space + 1, line.text.len - (size_t)space - 1), &n)) return mr_invalid("no number");
    key.len = 0;
    mr_put_text(&key, mr_bytes(line.text.ptr, (size_t)space));
    size_t start = mr_begin_desc(&key);
    mr_put_u64(&key, n);
    mr_end_desc(&key, start);
    mr_emit_u64(out, mr_view(&key), n);
    return MR_OK;
}

static mr_status open_large(const mr_task *task) {
    (void)task;
    return mr_output("large", &large);
}

static mr_status join(mr_str key, mr_values *values, mr_out *out) {
    static mr_buf scratch, all;
    mr_str name;
    all.len = 0;
    if (!mr_get_text(&key, &scratch, &name) || !mr_done(key)) return mr_invalid("the key is no tuple of one text");
    for (uint64_t n; mr_next_u64(values, &n);) {
        if (all.len) mr_push_byte(&all, ',');
        mr_push_decimal(&all, n);
        if (n > 9) mr_emit_u64(large, name, n);
    }
    mr_emit(out, name, mr_view(&all));
    return MR_OK;
}

MR_MAPPER(.setup = open_odd, .lines = map, .key = "tuple<text,desc<u64>>", .value = "u64", .outputs = {{"odd", "text", "unit"}});
MR_REDUCER(.setup = open_large, .group = join, .key = "text", .value = "text", .in_key = "tuple<text>", .in_value = "u64",
           .outputs = {{"large", "text", "u64"}, {"odd", "text", "unit"}});
MR_PLUGIN(.name = "double", .version = "0.1.0", .facts = {{"reduce.group", "1"}});

#include "test.h"

static const char *fact(const mr_facts *facts, const char *name) {
    for (size_t i = 0; i < facts->len; i++)
        if (strcmp(facts->facts[i].name, name) == 0) return facts->facts[i].value;
    return "(none)";
}

int main(void) {
    mr_test_job("b 1\na 2\na 10\nb 3\na 11\na 1\n");
    mr_test_expect("a\t11,10,2,1\nb\t3,1\n");
    mr_test_expect_output("large", "a\t11\na\t10\n");
    mr_test_expect_output("odd", "");
    mr_test_map("x\nb 1\ny\n");
    mr_test_expect_output("odd", "x\ny\n");
    /* In a job with a reducer the mapper has none; nor has a role that does not list it. */
    mr_test_job("x\n");
    mr_test_expect_error("there is no output odd in this stage");
    lists_odd = false;
    mr_test_map("x\n");
    mr_test_expect_error("there is no output even in this stage");
    static mr_facts facts;
    mr_gather_facts(&facts);
    if (strcmp(fact(&facts, "outputs"), "odd,large") != 0) mr_test_differ("outputs", "odd,large", fact(&facts, "outputs"));
    if (strcmp(fact(&facts, "output.large.value"), "u64") != 0) mr_test_differ("type", "u64", fact(&facts, "output.large.value"));
    return mr_test_end();
}
