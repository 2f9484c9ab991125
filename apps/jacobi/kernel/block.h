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

/* Checks what the invocation brings against the block's header: the constant must be a block of the
 * given kind, whose rest the caller checks, input and output must fit. *lo and *hi are then the rows that
 * are meant, counted from the block's first: as many as the output has room for, after as many as the
 * input has numbers behind x. */
static inline int32_t check_call(sublet_call *call, uint64_t magic, const char *kind, size_t *lo, size_t *hi) {
    if (call->constant_count != 1)
        return sublet_fail(call, 1, "needs 1 constant, the block of rows; got %u", call->constant_count);
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
    const uint64_t numbers = call->input_size / sizeof(double), room = call->output_capacity / sizeof(double);
    if (call->input_size % sizeof(double) || numbers < h->stride || numbers - h->stride > h->rows)
        return sublet_fail(call, 3, "x has %llu bytes; the block needs %llu, and 8 for each of its %llu rows that is skipped",
                           (unsigned long long)call->input_size, (unsigned long long)(h->stride * sizeof(double)),
                           (unsigned long long)h->rows);
    if (call->output_capacity % sizeof(double))
        return sublet_fail(call, 4, "the output has %llu bytes, which are no whole rows", (unsigned long long)call->output_capacity);
    *lo = numbers - h->stride;
    *hi = room < h->rows - *lo ? *lo + room : h->rows;
    return 0;
}

#endif
