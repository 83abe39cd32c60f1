/* The encodings against wit/vectors.json, as lines (see tests/languages/vectors.rs): the list's type, the
 * cell in hexadecimal, and the elements of the value; `malformed` and a cell that must be refused. */
#include <stdio.h>

#include "test.h"

const mr_about mr_plugin_about = {.name = "vectors"};

static mr_buf unhex(const char *hex) {
    mr_buf bytes = {0};
    unsigned byte;
    for (; sscanf(hex, "%2x", &byte) == 1; hex += 2) mr_push_byte(&bytes, (uint8_t)byte);
    return bytes;
}

/* Takes the next element's type off `type`, whatever tuples it lies in: they leave no trace in a cell. */
static bool element(const char **type, char *name) {
    while (strncmp(*type, "tuple<", 6) == 0) *type += 6;
    size_t len = strcspn(*type, ",>");
    memcpy(name, *type, len);
    name[len] = 0;
    *type += len + strspn(*type + len, ",>");
    return len > 0;
}

static void put(mr_buf *cell, const char *name, const char *value, bool alone) {
    if (strcmp(name, "u64") == 0) mr_put_u64(cell, strtoull(value, NULL, 10));
    else if (strcmp(name, "s64") == 0) mr_put_s64(cell, strtoll(value, NULL, 10));
    else if (strcmp(name, "f64") == 0) mr_put_f64(cell, strtod(value, NULL));
    else if (strcmp(name, "bool") == 0) mr_put_bool(cell, strcmp(value, "true") == 0);
    else if (strcmp(name, "unit") != 0) {
        mr_buf bytes = unhex(value);
        if (alone) mr_put_raw(cell, mr_view(&bytes));
        else mr_put_text(cell, mr_view(&bytes));
        mr_free(&bytes);
    }
}

/* Reads an element and writes it again. */
static bool again(mr_str *cell, const char *name, bool alone, mr_buf *out) {
    static mr_buf scratch;
    uint64_t n;
    int64_t s;
    double x;
    bool yes;
    mr_str text;
    if (strcmp(name, "u64") == 0) return mr_get_u64(cell, &n) && (mr_put_u64(out, n), true);
    if (strcmp(name, "s64") == 0) return mr_get_s64(cell, &s) && (mr_put_s64(out, s), true);
    if (strcmp(name, "f64") == 0) return mr_get_f64(cell, &x) && (mr_put_f64(out, x), true);
    if (strcmp(name, "bool") == 0) return mr_get_bool(cell, &yes) && (mr_put_bool(out, yes), true);
    if (strcmp(name, "unit") == 0) return true;
    if (alone) {
        mr_put_raw(out, *cell);
        *cell = MR_UNIT;
        return true;
    }
    return mr_get_text(cell, &scratch, &text) && (mr_put_text(out, text), true);
}

static bool read_again(const char *type, mr_str cell, mr_buf *out) {
    char name[32];
    bool alone = strncmp(type, "tuple<", 6) != 0;
    out->len = 0;
    while (element(&type, name))
        if (!again(&cell, name, alone, out)) return false;
    return mr_done(cell);
}

static int failures;

static void check(bool well, const char *what, const char *line) {
    if (well) return;
    fprintf(stderr, "%s: %s\n", what, line);
    failures++;
}

int main(int argc, char **argv) {
    static char line[65536], fields[65536];
    mr_buf last = {0}, written = {0}, copy = {0};
    char last_type[256] = "";
    int lines = 0;
    FILE *file = argc > 1 ? fopen(argv[1], "r") : NULL;
    if (!file) return 2;
    while (fgets(line, sizeof line, file)) {
        line[strcspn(line, "\n")] = 0;
        strcpy(fields, line);
        char *rest = fields, *type = strsep(&rest, "\t"), *hex = strsep(&rest, "\t"), name[32];
        mr_buf cell = unhex(hex);
        lines++;
        if (strncmp(type, "malformed ", 10) == 0) {
            check(!read_again(type + 10, mr_view(&cell), &copy), "a malformed cell was read", line);
            continue;
        }
        bool alone = strncmp(type, "tuple<", 6) != 0;
        const char *left = type;
        written.len = 0;
        while (element(&left, name)) put(&written, name, strsep(&rest, "\t"), alone);
        check(mr_equal(mr_view(&written), mr_view(&cell)), "another cell was written", line);
        check(read_again(type, mr_view(&cell), &copy) && mr_equal(mr_view(&copy), mr_view(&cell)), "another value was read", line);
        int width = mr_width(type);
        check(width == MR_VARIABLE || (size_t)width == cell.len, "another width", line);
        if (strcmp(type, last_type) == 0) {
            mr_test_record before = {last, {0}}, after = {cell, {0}};
            check(mr_test_order(&before, &after) < 0, "the cell does not sort behind the one before", line);
        }
        strcpy(last_type, type);
        last = cell;
    }
    printf("%d vectors, %d failures\n", lines, failures);
    return failures > 0 || lines < 50;
}
