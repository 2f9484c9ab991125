/* European options priced by the formula of Black and Scholes, in vectors.
 *
 * The C of this folder is compiled into the ranks, by cgo, and into the executors' function library: whoever
 * prices an option, the price is the same to the last bit, as long as the CPUs have the same vectors. What
 * makes it so is that no compiler's option counts: a multiplication and an addition are one operation
 * where the source says so and nowhere else. Compilers keep to that under -std=c11.
 */
#ifndef PRICING_H
#define PRICING_H

#include <stddef.h>
#include <stdint.h>

#if !defined(__STRICT_ANSI__) || defined(__FAST_MATH__)
#error "compile with -std=c11 and without -ffast-math: else compilers may contract operations, and prices depend on their options"
#endif

enum { LANES = 16 };

/* 16 options by field; package portfolio has the same. put: 1 or 0. */
struct block_single {
    float spot[LANES], strike[LANES], rate[LANES], volatility[LANES], time[LANES];
    int32_t put[LANES];
};

struct block_double {
    double spot[LANES], strike[LANES], rate[LANES], volatility[LANES], time[LANES];
    int32_t put[LANES];
};

/* What prices blocks on CPUs with certain instructions. */
struct pricing_variant {
    const char *name;
    void (*single)(const struct block_single *blocks, float *prices, size_t count);
    void (*dbl)(const struct block_double *blocks, double *prices, size_t count);
};

/* The variants that this CPU can run, the fastest first; NULL behind the last. There is at least one. */
const struct pricing_variant *pricing_variant(size_t index);

/* Prices count blocks by the fastest. */
void pricing_single(const struct block_single *blocks, float *prices, size_t count);
void pricing_double(const struct block_double *blocks, double *prices, size_t count);

/* Prices them as PARSEC's program does: its operations, in its order, with libm. */
void pricing_parsec(const struct block_single *blocks, float *prices, size_t count);

extern const struct pricing_variant pricing_avx512, pricing_avx2, pricing_baseline;

#endif
