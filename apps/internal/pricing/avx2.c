/* 8 options in single precision at once, 4 in double. */
#include "pricing.h"

#ifdef __x86_64__
#include <immintrin.h>

#define BYTES 32
#define TARGET __attribute__((target("avx2,fma")))

#define MULTIPLY_ADD_SINGLE(a, b, c) ((singles)_mm256_fmadd_ps((__m256)(a), (__m256)(b), (__m256)(c)))
#define ROOT_SINGLE(a) ((singles)_mm256_sqrt_ps((__m256)(a)))
#define LEAST_SINGLE(a, b) ((singles)_mm256_min_ps((__m256)(a), (__m256)(b)))
#define MOST_SINGLE(a, b) ((singles)_mm256_max_ps((__m256)(a), (__m256)(b)))
#define MULTIPLY_ADD_DOUBLE(a, b, c) ((doubles)_mm256_fmadd_pd((__m256d)(a), (__m256d)(b), (__m256d)(c)))
#define ROOT_DOUBLE(a) ((doubles)_mm256_sqrt_pd((__m256d)(a)))
#define LEAST_DOUBLE(a, b) ((doubles)_mm256_min_pd((__m256d)(a), (__m256d)(b)))
#define MOST_DOUBLE(a, b) ((doubles)_mm256_max_pd((__m256d)(a), (__m256d)(b)))
#include "precisions.h"

const struct pricing_variant pricing_avx2 = {"avx2", blocks_single, blocks_double};
#endif
