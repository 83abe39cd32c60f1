#include "main.cpp"
#include "test.h"

int main(void) {
    mr_test_map("a\nb\n");
    mr_test_expect("a\nb\n");
    return mr_test_end();
}
