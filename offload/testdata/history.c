// The function of history_test.go: what it does is written in its input, and its output follows
// from every byte of it.
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "sublet/function.h"

enum { SUCCEED, FAIL, CRASH, EXIT };

struct order {
    uint64_t number;
    uint32_t action;
    uint32_t milliseconds;  // to take before it
};

SUBLET_FUNCTION(history) {
    struct order order;
    if (call->input_size < sizeof order)
        return sublet_fail(call, 3, "%llu bytes are no order", (unsigned long long)call->input_size);
    memcpy(&order, call->input, sizeof order);
    struct timespec time = {.tv_sec = order.milliseconds / 1000, .tv_nsec = (long)(order.milliseconds % 1000) * 1000000};
    nanosleep(&time, NULL);
    switch (order.action) {
    case FAIL:
        return sublet_fail(call, 7, "order %llu", (unsigned long long)order.number);
    case CRASH:
        abort();
    case EXIT:
        exit(3);
    }
    if (call->output_capacity < call->input_size)
        return sublet_need(call, call->input_size);
    const uint8_t *in = call->input;
    uint8_t *out = call->output;
    for (uint64_t i = 0; i < call->input_size; i++)
        out[i] = (uint8_t)(in[i] ^ (order.number + 31 * i));
    call->output_size = call->input_size;
    return 0;
}
