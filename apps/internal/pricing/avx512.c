/* 16 options in single precision at once, 8 in double. */
#include "pricing.h"

#ifdef __x86_64__
#include <immintrin.h>

#define BYTES 64
#define TARGET __attribute__((target("avx512f,avx512dq,avx512bw,avx512vl,avx2,fma")))

#define MULTIPLY_ADD_SINGLE(a, b, c) ((singles)_mm512_fmadd_ps((__m512)(a), (__m512)(b), (__m512)(c)))
#define ROOT_SINGLE(a) ((singles)_mm512_sqrt_ps((__m512)(a)))
#define LEAST_SINGLE(a, b) ((singles)_mm512_min_ps((__m512)(a), (__m512)(b)))
#define MOST_SINGLE(a, b) ((singles)_mm512_max_ps((__m512)(a), (__m512)(b)))
#define MULTIPLY_ADD_DOUBLE(a, b, c) ((doubles)_mm512_fmadd_pd((__m512d)(a), (__m512d)(b), (__m512d)(c)))
#define ROOT_DOUBLE(a) ((doubles)_mm512_sqrt_pd((__m512d)(a)))
#define LEAST_DOUBLE(a, b) ((doubles)_mm512_min_pd((__m512d)(a), (__m512d)(b)))
#define MOST_DOUBLE(a, b) ((doubles)_mm512_max_pd((__m512d)(a), (__m512d)(b)))
#include "precisions.h"

const struct pricing_variant pricing_avx512 = {"avx512", blocks_single, blocks_double};
#endif
