/* The executors' half of a sweep over sparse rows.
 *
 * jacobi_sweep_sparse: as jacobi_sweep, for a block of compressed rows.
 *
 * The ranks compute their own rows in Go. Sums are formed here in the same order: even and odd
 * coefficients apart.
 */
#include "block.h"

#define MAGIC UINT64_C(0x49424f43414a0002)

enum { GROUP = 32 }; /* rows that are checked before they are computed, while they are in the cache */

struct rows {
    const int64_t *starts;
    const double *values;
    const int32_t *columns;
};

/* Are the coefficients of the rows from lo up to hi within those of the block, and their columns
 * within n? Of row lo it is known where it begins. */
static int sound(const struct rows *r, size_t lo, size_t hi, int64_t entries, uint64_t n) {
    for (size_t i = lo; i < hi; i++)
        if (r->starts[i + 1] < r->starts[i] || r->starts[i + 1] > entries)
            return 0;
    /* Without a branch, several at once: the top bit tells a column below 0 or beyond the last. */
    const uint32_t last = (uint32_t)(n - 1);
    uint32_t wrong = 0;
    for (int64_t k = r->starts[lo]; k < r->starts[hi]; k++) {
        const uint32_t column = (uint32_t)r->columns[k];
        wrong |= (last - column) | column;
    }
    return wrong >> 31 == 0;
}

static inline double product(const struct rows *r, size_t i, const double *x) {
    double even = 0, odd = 0;
    int64_t k = r->starts[i];
    const int64_t end = r->starts[i + 1];
    for (; k + 2 <= end; k += 2) {
        even += r->values[k] * x[r->columns[k]];
        odd += r->values[k + 1] * x[r->columns[k + 1]];
    }
    if (k < end)
        even += r->values[k] * x[r->columns[k]];
    return even + odd;
}

SUBLET_FUNCTION(jacobi_sweep_sparse) {
    size_t first = 0, last = 0;
    const int32_t refused = check_call(call, MAGIC, "sparse", &first, &last);
    if (refused)
        return refused;
    const struct header *h = call->constants[0].data;
    const size_t words = call->constants[0].size / sizeof(double), rows = h->rows, entries = h->entries;
    const size_t b_words = padded(rows), start_words = padded(rows + 1);
    if (call->constants[0].size % sizeof(double) || entries > words ||
        words != sizeof *h / sizeof(double) + 2 * b_words + start_words + padded(entries) + padded((entries + 1) / 2))
        return sublet_fail(call, 2, "the block has %llu bytes, which is not what its %llu rows with %llu coefficients need",
                           (unsigned long long)call->constants[0].size, (unsigned long long)rows,
                           (unsigned long long)h->entries);

    const double *b = (const double *)(h + 1), *diagonal = b + b_words;
    struct rows r;
    r.starts = (const int64_t *)(diagonal + b_words);
    r.values = (const double *)(r.starts + start_words);
    r.columns = (const int32_t *)(r.values + padded(entries));
    const double *x = call->input, *own = x + h->first;
    double *next = call->output;
    if (r.starts[0] != 0 || r.starts[rows] != (int64_t)entries || r.starts[first] < 0)
        return sublet_fail(call, 2, "the block's rows are not its coefficients");
    for (size_t lo = first; lo < last; lo += GROUP) {
        const size_t hi = lo + GROUP < last ? lo + GROUP : last;
        if (!sound(&r, lo, hi, (int64_t)entries, h->n))
            return sublet_fail(call, 2, "among the block's rows %llu to %llu a coefficient is outside of the matrix",
                               (unsigned long long)lo, (unsigned long long)(hi - 1));
        for (size_t i = lo; i < hi; i++)
            next[i - first] = next_of(own[i], b[i], product(&r, i, x), diagonal[i]);
    }
    call->output_size = (last - first) * sizeof(double);
    return 0;
}
