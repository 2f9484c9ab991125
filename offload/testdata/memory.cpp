// A C++ function that runs out of memory, for tests.
#include <vector>

#include "sublet/function.h"

SUBLET_FUNCTION(grow) {
    std::vector<double> values;
    for (;;)
        values.insert(values.end(), 1 << 16, static_cast<double>(call->input_size));
}
