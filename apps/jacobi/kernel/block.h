/* What all blocks of rows begin with; package linear lays them out. */
#ifndef JACOBI_BLOCK_H
#define JACOBI_BLOCK_H

#include <stddef.h>

#include <sublet/function.h>

enum { ALIGN = 8 }; /* words that parts are rounded up to: a cache line */

struct header {
    uint64_t magic, n, stride, first, rows, entries, unused[2];
};

static inline size_t padded(size_t n) { return (n + ALIGN - 1) / ALIGN * ALIGN; }

static inline double next_of(double x, double b, double product, double diagonal) {
    return x + (b - product) / diagonal;
}

/* The rows of the system that an invocation is for: lo up to hi. The optional second constant. */
struct selection {
    uint64_t lo, hi;
};

/* Checks what the invocation brings against the block's header: the first constant must be a block of
 * the given kind, whose rest the caller checks; a second one says which of its rows are meant, else
 * all are; input and output must fit. *lo and *hi are then those rows, counted from the block's first. */
static inline int32_t check_call(sublet_call *call, uint64_t magic, const char *kind, size_t *lo, size_t *hi) {
    if (call->constant_count != 1 && call->constant_count != 2)
        return sublet_fail(call, 1, "needs 1 constant, the block of rows, or 2, with the rows that are meant; got %u",
                           call->constant_count);
    const sublet_bytes *block = &call->constants[0];
    const struct header *h = block->data;
    if (block->size < sizeof *h || h->magic != magic)
        return sublet_fail(call, 2, "the constant is not a block of %s rows", kind);
    /* 2^31 bounds the products that are formed of these. */
    const uint64_t most = UINT64_C(1) << 31;
    if (h->n == 0 || h->n > most || h->stride != padded(h->n) || h->rows > most || h->first > h->n ||
        h->rows > h->n - h->first)
        return sublet_fail(call, 2, "the block says that it has %llu rows from row %llu on of a system of %llu",
                           (unsigned long long)h->rows, (unsigned long long)h->first, (unsigned long long)h->n);
    if (call->input_size != h->stride * sizeof(double))
        return sublet_fail(call, 3, "x has %llu bytes; the block needs %llu", (unsigned long long)call->input_size,
                           (unsigned long long)(h->stride * sizeof(double)));
    *lo = 0;
    *hi = h->rows;
    if (call->constant_count == 2) {
        const struct selection *meant = call->constants[1].data;
        if (call->constants[1].size != sizeof *meant)
            return sublet_fail(call, 4, "the second constant has %llu bytes; it is two numbers, the first row and that behind the last",
                               (unsigned long long)call->constants[1].size);
        if (meant->lo < h->first || meant->hi < meant->lo || meant->hi > h->first + h->rows)
            return sublet_fail(call, 4, "rows %llu up to %llu are not in the block, which has %llu up to %llu",
                               (unsigned long long)meant->lo, (unsigned long long)meant->hi,
                               (unsigned long long)h->first, (unsigned long long)(h->first + h->rows));
        *lo = meant->lo - h->first;
        *hi = meant->hi - h->first;
    }
    if (call->output_capacity < (*hi - *lo) * sizeof(double))
        return sublet_need(call, (*hi - *lo) * sizeof(double));
    return 0;
}

#endif
