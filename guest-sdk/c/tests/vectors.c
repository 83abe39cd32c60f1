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

/* Whether the next of `type` is of this kind: `tuple<` or `desc<`. It is passed then. */
static bool begins(const char **type, const char *kind) {
    size_t len = strlen(kind);
    if (strncmp(*type, kind, len) != 0) return false;
    *type += len;
    return true;
}

/* Takes a plain type off `type`. */
static void take_name(const char **type, char *name) {
    size_t len = strcspn(*type, ",>");
    memcpy(name, *type, len);
    name[len] = 0;
    *type += len;
}

/* Passes what follows an element: whether it is a comma, so that there is another. */
static bool next(const char **type) { return *(*type)++ == ','; }

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

/* Writes a value whose elements are the next of `fields`. */
static void put_all(mr_buf *cell, const char **type, char **fields, bool alone) {
    char name[32];
    if (begins(type, "desc<")) {
        size_t start = mr_begin_desc(cell);
        put_all(cell, type, fields, false);
        mr_end_desc(cell, start);
        (void)next(type);
    } else if (begins(type, "tuple<")) {
        do put_all(cell, type, fields, false);
        while (next(type));
    } else {
        take_name(type, name);
        put(cell, name, strsep(fields, "\t"), alone);
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

static bool all_again(mr_str *cell, const char **type, bool alone, mr_buf *out) {
    char name[32];
    if (begins(type, "desc<")) {
        mr_buf flipped = {0};
        mr_str inner = mr_enter_desc(*cell, &flipped);
        size_t start = mr_begin_desc(out);
        bool ok = all_again(&inner, type, false, out) && mr_leave_desc(cell, inner);
        mr_end_desc(out, start);
        mr_free(&flipped);
        return ok && (next(type), true);
    }
    if (begins(type, "tuple<")) {
        do if (!all_again(cell, type, false, out)) return false;
        while (next(type));
        return true;
    }
    take_name(type, name);
    return again(cell, name, alone, out);
}

static bool read_again(const char *type, mr_str cell, mr_buf *out) {
    out->len = 0;
    return all_again(&cell, &type, true, out) && mr_done(cell);
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
        char *rest = fields, *type = strsep(&rest, "\t"), *hex = strsep(&rest, "\t");
        mr_buf cell = unhex(hex);
        lines++;
        if (strncmp(type, "malformed ", 10) == 0) {
            check(!read_again(type + 10, mr_view(&cell), &copy), "a malformed cell was read", line);
            continue;
        }
        const char *left = type;
        written.len = 0;
        put_all(&written, &left, &rest, true);
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
