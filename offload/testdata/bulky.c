// A library with 100 MiB of variables, for tests of an executor's memory.
#include "sublet/function.h"

static volatile char variables[100 << 20];

SUBLET_FUNCTION(touch) {
    for (size_t i = 0; i < sizeof variables; i += 4096)
        variables[i] = (char)(call->input_size + 1);
    return 0;
}
