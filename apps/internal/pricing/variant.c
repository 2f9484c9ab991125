/* Which variants this CPU can run. */
#include "pricing.h"

const struct pricing_variant *pricing_variant(size_t index) {
    const struct pricing_variant *usable[4] = {NULL};
    size_t count = 0;
#ifdef __x86_64__
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512vl"))
        usable[count++] = &pricing_avx512;
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        usable[count++] = &pricing_avx2;
#endif
    usable[count++] = &pricing_baseline;
    return index < count ? usable[index] : NULL;
}

void pricing_single(const struct block_single *blocks, float *prices, size_t count) {
    pricing_variant(0)->single(blocks, prices, count);
}

void pricing_double(const struct block_double *blocks, double *prices, size_t count) {
    pricing_variant(0)->dbl(blocks, prices, count);
}
