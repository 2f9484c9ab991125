/* The executors' half of a sweep of the Jacobi method: a function library.
 *
 * jacobi_sweep: the input is x, stride numbers; the first constant a block of rows as package
 * linear lays it out; the output next = x + (b - A·x) / diagonal, for the block's rows.
 *
 * The ranks compute their own rows with gonum. Sums are formed here in the same order as gonum
 * forms them on x86-64, even and odd columns apart, so that it does not matter who computes which
 * rows. Four rows at a time keep the adders busy, and what makes this kernel as fast as memory
 * allows is that it fetches the next four meanwhile.
 */
#include <stddef.h>

#include <sublet/function.h>

enum { ALIGN = 8 };
#define MAGIC UINT64_C(0x49424f43414a0001)

struct header {
    uint64_t magic, n, stride, first, rows, unused[3];
};

/* Two numbers that need not be aligned to more than one. */
typedef double pair __attribute__((vector_size(16), aligned(8)));

static inline pair at(const double *p) { return *(const pair *)p; }

static inline double sum(pair p) { return p[0] + p[1]; }

static inline double next_of(double x, double b, double product, double diagonal) {
    return x + (b - product) / diagonal;
}

/* product[0..3] = four rows times x; fetches the four rows that start at ahead. */
static inline void four_rows(const double *row, const double *ahead, const double *x, size_t stride,
                             double product[4]) {
    const double *r0 = row, *r1 = r0 + stride, *r2 = r1 + stride, *r3 = r2 + stride;
    pair s0 = {0, 0}, s1 = s0, s2 = s0, s3 = s0;
    for (size_t j = 0; j < stride; j += ALIGN, ahead += 4 * ALIGN) {
        __builtin_prefetch(ahead);
        __builtin_prefetch(ahead + ALIGN);
        __builtin_prefetch(ahead + 2 * ALIGN);
        __builtin_prefetch(ahead + 3 * ALIGN);
        for (size_t k = j; k < j + ALIGN; k += 2) {
            pair v = at(x + k);
            s0 += v * at(r0 + k);
            s1 += v * at(r1 + k);
            s2 += v * at(r2 + k);
            s3 += v * at(r3 + k);
        }
    }
    product[0] = sum(s0);
    product[1] = sum(s1);
    product[2] = sum(s2);
    product[3] = sum(s3);
}

static inline double one_row(const double *row, const double *x, size_t stride) {
    pair s = {0, 0};
    for (size_t k = 0; k < stride; k += 2)
        s += at(x + k) * at(row + k);
    return sum(s);
}

SUBLET_FUNCTION(jacobi_sweep) {
    if (call->constant_count != 1)
        return sublet_fail(call, 1, "needs 1 constant, the block of rows; got %u", call->constant_count);
    const sublet_bytes *block = &call->constants[0];
    const struct header *h = block->data;
    if (block->size < sizeof *h || h->magic != MAGIC)
        return sublet_fail(call, 2, "the constant is not a block of rows");
    /* 2^31 bounds the products below; the divisions keep them from being formed too large. */
    const uint64_t most = UINT64_C(1) << 31;
    if (h->n == 0 || h->n > most || h->stride != (h->n + ALIGN - 1) / ALIGN * ALIGN || h->rows > most ||
        h->first > h->n || h->rows > h->n - h->first)
        return sublet_fail(call, 2, "the block says that it has %llu rows from row %llu on of a system of %llu",
                           (unsigned long long)h->rows, (unsigned long long)h->first, (unsigned long long)h->n);
    const size_t stride = h->stride, rows = h->rows, padded = (rows + ALIGN - 1) / ALIGN * ALIGN;
    if ((block->size - sizeof *h) / sizeof(double) != 2 * padded + rows * stride)
        return sublet_fail(call, 2, "the block has %llu bytes, which is not what its %llu rows of %llu need",
                           (unsigned long long)block->size, (unsigned long long)rows, (unsigned long long)stride);
    if (call->input_size != stride * sizeof(double))
        return sublet_fail(call, 3, "x has %llu bytes; the block needs %llu", (unsigned long long)call->input_size,
                           (unsigned long long)(stride * sizeof(double)));
    if (call->output_capacity < rows * sizeof(double))
        return sublet_need(call, rows * sizeof(double));

    const double *b = (const double *)(h + 1), *diagonal = b + padded, *matrix = diagonal + padded;
    const double *x = call->input, *own = x + h->first;
    double *next = call->output;
    size_t i = 0;
    for (; i + 4 <= rows; i += 4) {
        const double *row = matrix + i * stride;
        /* The last four rows are followed by the first, which the next call wants. */
        const double *ahead = i + 8 <= rows ? row + 4 * stride : matrix;
        double product[4];
        four_rows(row, ahead, x, stride, product);
        for (size_t k = 0; k < 4; k++)
            next[i + k] = next_of(own[i + k], b[i + k], product[k], diagonal[i + k]);
    }
    for (; i < rows; i++)
        next[i] = next_of(own[i], b[i], one_row(matrix + i * stride, x, stride), diagonal[i]);
    call->output_size = rows * sizeof(double);
    return 0;
}
