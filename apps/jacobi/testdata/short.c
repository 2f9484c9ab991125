/* A Jacobi solver's function library whose function succeeds without having computed anything. */
#include <sublet/function.h>

SUBLET_FUNCTION(jacobi_sweep) {
    call->output_size = 8;
    return 0;
}
