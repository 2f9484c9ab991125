/* formula.h for both precisions. To be defined: BYTES of a vector, TARGET, and for each precision
 * MULTIPLY_ADD_SINGLE, ROOT_SINGLE, LEAST_SINGLE, MOST_SINGLE and MULTIPLY_ADD_DOUBLE and so on. */

typedef float singles __attribute__((vector_size(BYTES)));
typedef uint32_t bits_of_singles __attribute__((vector_size(BYTES)));
typedef double doubles __attribute__((vector_size(BYTES)));
typedef uint64_t bits_of_doubles __attribute__((vector_size(BYTES)));

#define DOUBLE 0
#define NAME(x) x##_single
#define scalar float
#define bits uint32_t
#define BLOCK struct block_single
#define V singles
#define U bits_of_singles
#define MULTIPLY_ADD MULTIPLY_ADD_SINGLE
#define ROOT ROOT_SINGLE
#define LEAST LEAST_SINGLE
#define MOST MOST_SINGLE
#include "formula.h"
#undef DOUBLE
#undef NAME
#undef scalar
#undef bits
#undef BLOCK
#undef V
#undef U
#undef MULTIPLY_ADD
#undef ROOT
#undef LEAST
#undef MOST

#define DOUBLE 1
#define NAME(x) x##_double
#define scalar double
#define bits uint64_t
#define BLOCK struct block_double
#define V doubles
#define U bits_of_doubles
#define MULTIPLY_ADD MULTIPLY_ADD_DOUBLE
#define ROOT ROOT_DOUBLE
#define LEAST LEAST_DOUBLE
#define MOST MOST_DOUBLE
#include "formula.h"
