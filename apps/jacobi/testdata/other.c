/* A function library, but not the Jacobi solver's. */
#include <sublet/function.h>

SUBLET_FUNCTION(something_else) {
    call->output_size = 0;
    return 0;
}
