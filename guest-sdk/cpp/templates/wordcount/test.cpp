#include "main.cpp"
#include "test.h"

int main(void) {
    mr_test_job("to be\nor not to be\n");
    mr_test_expect("be\t2\nnot\t1\nor\t1\nto\t2\n");
    return mr_test_end();
}
