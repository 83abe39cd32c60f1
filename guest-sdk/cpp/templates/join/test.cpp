#include "main.cpp"
#include "test.h"

int main(void) {
    mr_test_job("order\t7\tbook\nuser\t7\tAda\norder\t9\tchair\norder\t7\tpen\norder\t7\tink\norder\t7\tlamp\n?\n");
    mr_test_expect("7\tAda\tbook\n7\tAda\tpen\n7\tAda\tink\n7\tAda\tlamp\n");
    mr_test_expect_counter("orders without a user", 1);
    mr_test_expect_rejects(1);
    return mr_test_end();
}
