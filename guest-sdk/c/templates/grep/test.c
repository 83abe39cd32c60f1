#include "main.c"
#include "test.h"

int main(void) {
    mr_test_param("pattern", "rr");
    mr_test_map("an error\nall is well\nsorry\n");
    mr_test_expect("an error\nsorry\n");
    mr_test_expect_counter("lines matched", 2);
    return mr_test_end();
}
