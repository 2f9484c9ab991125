/* The Jacobi solver's function library, but that its executor crashes in the 20th sweep. */
#include <stdlib.h>

#define jacobi_sweep sound_sweep
#define sublet_function_jacobi_sweep sublet_function_sound_sweep
#include "../kernel/jacobi.c"
#undef jacobi_sweep
#undef sublet_function_jacobi_sweep

SUBLET_FUNCTION(jacobi_sweep) {
    static int calls;
    if (++calls == 20)
        abort();
    return sound_sweep(call);
}
