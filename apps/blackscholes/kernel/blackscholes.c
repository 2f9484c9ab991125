/* The executors' part of pricing options: a function library. What computes is in apps/internal/pricing, where the
 * ranks have it from as well.
 *
 * blackscholes_single, blackscholes_double, blackscholes_parsec: the input is blocks of 16 options, the output
 * a price for each.
 */
#include <sublet/function.h>

#include "../../internal/pricing/pricing.h"

static int32_t check_call(sublet_call *call, size_t block, size_t price) {
    if (call->input_size % block != 0)
        return sublet_fail(call, 1, "the input has %llu bytes, which are no blocks of %d options of %llu bytes each",
                           (unsigned long long)call->input_size, LANES, (unsigned long long)block);
    const uint64_t needed = call->input_size / block * LANES * price;
    if (call->output_capacity < needed)
        return sublet_need(call, needed);
    call->output_size = needed;
    return 0;
}

SUBLET_FUNCTION(blackscholes_single) {
    const int32_t refused = check_call(call, sizeof(struct block_single), sizeof(float));
    if (!refused)
        pricing_single(call->input, call->output, call->input_size / sizeof(struct block_single));
    return refused;
}

SUBLET_FUNCTION(blackscholes_double) {
    const int32_t refused = check_call(call, sizeof(struct block_double), sizeof(double));
    if (!refused)
        pricing_double(call->input, call->output, call->input_size / sizeof(struct block_double));
    return refused;
}

SUBLET_FUNCTION(blackscholes_parsec) {
    const int32_t refused = check_call(call, sizeof(struct block_single), sizeof(float));
    if (!refused)
        pricing_parsec(call->input, call->output, call->input_size / sizeof(struct block_single));
    return refused;
}
