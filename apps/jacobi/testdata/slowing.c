/* The Jacobi solver's function library, but that from the 200th sweep on its executor takes ten times as long. */
#define jacobi_sweep sound_sweep
#define sublet_function_jacobi_sweep sublet_function_sound_sweep
#include "../kernel/jacobi.c"
#undef jacobi_sweep
#undef sublet_function_jacobi_sweep

static int calls;

SUBLET_FUNCTION(jacobi_sweep) {
    const int times = ++calls < 200 ? 1 : 10;
    int32_t code = 0;
    for (int i = 0; i < times && code == 0; i++)
        code = sound_sweep(call);
    return code;
}
