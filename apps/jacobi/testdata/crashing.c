/* The Jacobi solver's function library, but that its executor crashes in the 20th sweep. */
#include <stdlib.h>

#define jacobi_sweep sound_sweep
#define sublet_function_jacobi_sweep sublet_function_sound_sweep
#define jacobi_sweep_sparse sound_sweep_sparse
#define sublet_function_jacobi_sweep_sparse sublet_function_sound_sweep_sparse
#include "../kernel/jacobi.c"
#undef MAGIC
#include "../kernel/sparse.c"
#undef jacobi_sweep
#undef sublet_function_jacobi_sweep
#undef jacobi_sweep_sparse
#undef sublet_function_jacobi_sweep_sparse

static int calls;

SUBLET_FUNCTION(jacobi_sweep) {
    if (++calls == 20)
        abort();
    return sound_sweep(call);
}

SUBLET_FUNCTION(jacobi_sweep_sparse) {
    if (++calls == 20)
        abort();
    return sound_sweep_sparse(call);
}
