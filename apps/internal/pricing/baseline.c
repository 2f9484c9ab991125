/* For any CPU: 4 options in single precision at once, 2 in double. A multiplication and an addition are two
 * operations here. */
#include "pricing.h"

#define BYTES 16
#define TARGET

#define MULTIPLY_ADD_SINGLE(a, b, c) ((a) * (b) + (c))
#define MULTIPLY_ADD_DOUBLE(a, b, c) ((a) * (b) + (c))

#ifdef __x86_64__
#include <emmintrin.h>

#define ROOT_SINGLE(a) ((singles)_mm_sqrt_ps((__m128)(a)))
#define LEAST_SINGLE(a, b) ((singles)_mm_min_ps((__m128)(a), (__m128)(b)))
#define MOST_SINGLE(a, b) ((singles)_mm_max_ps((__m128)(a), (__m128)(b)))
#define ROOT_DOUBLE(a) ((doubles)_mm_sqrt_pd((__m128d)(a)))
#define LEAST_DOUBLE(a, b) ((doubles)_mm_min_pd((__m128d)(a), (__m128d)(b)))
#define MOST_DOUBLE(a, b) ((doubles)_mm_max_pd((__m128d)(a), (__m128d)(b)))
#include "precisions.h"
#else
#include <math.h>

typedef float four __attribute__((vector_size(16)));
typedef double two __attribute__((vector_size(16)));

static inline four root_single(four a) { return (four){sqrtf(a[0]), sqrtf(a[1]), sqrtf(a[2]), sqrtf(a[3])}; }
static inline two root_double(two a) { return (two){sqrt(a[0]), sqrt(a[1])}; }

/* As x86's instructions: b where the two can not be compared. */
#define CHOSEN(bits, condition, a, b) (((bits)(a) & (bits)(condition)) | ((bits)(b) & ~(bits)(condition)))
#define ROOT_SINGLE(a) root_single(a)
#define LEAST_SINGLE(a, b) ((singles)CHOSEN(bits_of_singles, (a) < (b), a, b))
#define MOST_SINGLE(a, b) ((singles)CHOSEN(bits_of_singles, (a) > (b), a, b))
#define ROOT_DOUBLE(a) root_double(a)
#define LEAST_DOUBLE(a, b) ((doubles)CHOSEN(bits_of_doubles, (a) < (b), a, b))
#define MOST_DOUBLE(a, b) ((doubles)CHOSEN(bits_of_doubles, (a) > (b), a, b))
#include "precisions.h"
#endif

const struct pricing_variant pricing_baseline = {"baseline", blocks_single, blocks_double};
