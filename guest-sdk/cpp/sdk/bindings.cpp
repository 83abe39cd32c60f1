// The generated bindings, which are C, as a part of the program: built apart they would come to the linker before
// it, and have it take the library's `abort`, which ends without a word.
#include <cstdlib>
#include <cstring>

#include "guest.h"

extern "C" {
#include "guest.c"
}
