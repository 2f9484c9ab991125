/* The executors' half of a sweep of the Jacobi method: a function library.
 *
 * jacobi_sweep: the input is x, stride numbers; the first constant a block of rows as package
 * linear lays it out; the output next = x + (b - A·x) / diagonal, for the block's rows.
 * Executors keep a block while others compute some of its rows. So an output with room for fewer
 * numbers gets those of the first rows only, and input behind x, of any content, says by its size how
 * many rows come before them.
 *
 * The ranks compute their own rows with gonum. Sums are formed here in the same order as gonum
 * forms them on x86-64, even and odd columns apart, so that it does not matter who computes which
 * rows. Four rows at a time keep the adders busy; what makes this kernel as fast as memory allows
 * is that it fetches what it will read 4 KiB later.
 */
#include "block.h"

enum { AHEAD = 512 }; /* numbers of each row that are fetched in advance: four times that fit into L1 */

#define MAGIC UINT64_C(0x49424f43414a0001)

/* Two numbers that need not be aligned to more than one. */
typedef double pair __attribute__((vector_size(16), aligned(8)));

static inline pair at(const double *p) { return *(const pair *)p; }

static inline double sum(pair p) { return p[0] + p[1]; }

/* Adds the columns from lo up to hi of four rows times x to sums, and fetches in advance what lies
 * that many numbers ahead in memory. */
static inline void four_rows(const double *row, const double *x, size_t stride, size_t lo, size_t hi,
                             ptrdiff_t ahead, pair sums[4]) {
    const double *r0 = row, *r1 = r0 + stride, *r2 = r1 + stride, *r3 = r2 + stride;
    pair s0 = sums[0], s1 = sums[1], s2 = sums[2], s3 = sums[3];
    for (size_t j = lo; j < hi; j += ALIGN) {
        __builtin_prefetch(r0 + j + ahead);
        __builtin_prefetch(r1 + j + ahead);
        __builtin_prefetch(r2 + j + ahead);
        __builtin_prefetch(r3 + j + ahead);
        for (size_t k = j; k < j + ALIGN; k += 2) {
            pair v = at(x + k);
            s0 += v * at(r0 + k);
            s1 += v * at(r1 + k);
            s2 += v * at(r2 + k);
            s3 += v * at(r3 + k);
        }
    }
    sums[0] = s0;
    sums[1] = s1;
    sums[2] = s2;
    sums[3] = s3;
}

static inline double one_row(const double *row, const double *x, size_t stride) {
    pair s = {0, 0};
    for (size_t k = 0; k < stride; k += 2)
        s += at(x + k) * at(row + k);
    return sum(s);
}

SUBLET_FUNCTION(jacobi_sweep) {
    size_t lo = 0, hi = 0;
    const int32_t refused = check_call(call, MAGIC, "dense", &lo, &hi);
    if (refused)
        return refused;
    const sublet_bytes *block = &call->constants[0];
    const struct header *h = block->data;
    const size_t stride = h->stride, rows = h->rows, b_words = padded(rows);
    if ((block->size - sizeof *h) / sizeof(double) != 2 * b_words + rows * stride)
        return sublet_fail(call, 2, "the block has %llu bytes, which is not what its %llu rows of %llu need",
                           (unsigned long long)block->size, (unsigned long long)rows, (unsigned long long)stride);

    const double *b = (const double *)(h + 1), *diagonal = b + b_words, *matrix = diagonal + b_words;
    const double *x = call->input, *own = x + h->first;
    double *next = call->output;
    const size_t cut = stride > AHEAD ? stride - AHEAD : 0;
    size_t i = lo;
    for (; i + 4 <= hi; i += 4) {
        const double *row = matrix + i * stride;
        /* The next four rows; behind the last come the first, which the next call wants. */
        const double *following = i + 8 <= hi ? row + 4 * stride : matrix + lo * stride;
        pair sums[4] = {{0, 0}, {0, 0}, {0, 0}, {0, 0}};
        four_rows(row, x, stride, 0, cut, AHEAD, sums);
        four_rows(row, x, stride, cut, stride, following - row - (ptrdiff_t)cut, sums);
        for (size_t k = 0; k < 4; k++)
            next[i - lo + k] = next_of(own[i + k], b[i + k], sum(sums[k]), diagonal[i + k]);
    }
    for (; i < hi; i++)
        next[i - lo] = next_of(own[i], b[i], one_row(matrix + i * stride, x, stride), diagonal[i]);
    call->output_size = (hi - lo) * sizeof(double);
    return 0;
}
