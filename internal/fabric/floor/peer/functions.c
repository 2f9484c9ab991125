/* The function library that sublet-bench leases executors with: functions that do as good as
 * nothing, so that the invocation itself is what is measured, and the executor's ends of the
 * floors. */
#include <stdio.h>
#include <string.h>
#include <sublet/function.h>

#include "../floor.h"
#include "sockets.h"

/* Copies its input to its output. */
SUBLET_FUNCTION(echo) {
    if (call->output_capacity < call->input_size)
        return sublet_need(call, call->input_size);
    if (call->input_size == 8)
        memcpy(call->output, call->input, 8);
    else if (call->input_size)
        memcpy(call->output, call->input, call->input_size);
    call->output_size = call->input_size;
    return 0;
}

/* Touches nothing; its output, whatever it is, is as large as its buffer. */
SUBLET_FUNCTION(skip) {
    call->output_size = call->output_capacity;
    return 0;
}

/* Computes as many items as its input says. */
SUBLET_FUNCTION(work) {
    uint64_t items;
    double sum;
    if (call->input_size != sizeof items || call->output_capacity < sizeof sum)
        return sublet_fail(call, 1, "work: takes 8 bytes and gives 8");
    memcpy(&items, call->input, sizeof items);
    sum = floor_work(items);
    memcpy(call->output, &sum, sizeof sum);
    call->output_size = sizeof sum;
    return 0;
}

static int32_t ended(sublet_call *call, int result, const char *text) {
    call->output_size = 0;
    return result == FLOOR_OK ? 0 : sublet_fail(call, 1, "%s", text);
}

/* Takes the core over for a block of lines, which lie in its output. */
SUBLET_FUNCTION(serve_lines) {
    struct floor_lines_call block;
    char text[FLOOR_TEXT] = "";
    if (call->input_size != sizeof block || call->output_capacity < sizeof(struct floor_lines))
        return sublet_fail(call, 1, "serve_lines: this is not sublet-bench");
    memcpy(&block, call->input, sizeof block);
    return ended(call, floor_lines_serve(call->output, &block, text), text);
}

/* The same for a block of pairs. */
SUBLET_FUNCTION(serve_pairs) {
    struct floor_pairs_call block;
    char text[FLOOR_TEXT] = "";
    if (call->input_size != sizeof block || call->output_capacity < sizeof(struct floor_pair))
        return sublet_fail(call, 1, "serve_pairs: this is not sublet-bench");
    memcpy(&block, call->input, sizeof block);
    if (block.window < 1 || floor_pairs_size(0, block.window) > call->output_capacity)
        return sublet_fail(call, 1, "serve_pairs: this is not sublet-bench");
    return ended(call, floor_pairs_serve(call->output, &block, text), text);
}

/* The executor's end of a libfabric floor; there is one at a time. */
static struct floor_ofi *end_of_ofi;
static int met;

SUBLET_FUNCTION(open_ofi) {
    struct floor_ofi_card card;
    char text[FLOOR_TEXT] = "";
    if (call->input_size != sizeof card || call->output_capacity < sizeof card)
        return sublet_fail(call, 1, "open_ofi: this is not sublet-bench");
    memcpy(&card, call->input, sizeof card);
    if (end_of_ofi)
        floor_ofi_close(end_of_ofi);
    met = 0;
    end_of_ofi = floor_ofi_open(&card, 1, NULL, text);
    if (!end_of_ofi)
        return sublet_fail(call, 1, "%s", text);
    memcpy(call->output, &card, sizeof card);
    call->output_size = sizeof card;
    return 0;
}

/* Takes the core over for a block; the input is the rank's card, and whether output is copied. */
SUBLET_FUNCTION(serve_ofi) {
    struct floor_ofi_card card;
    char text[FLOOR_TEXT] = "";
    uint32_t touch;
    if (call->input_size != sizeof card + sizeof touch || !end_of_ofi)
        return sublet_fail(call, 1, "serve_ofi: this is not sublet-bench");
    memcpy(&card, call->input, sizeof card);
    memcpy(&touch, (const char *)call->input + sizeof card, sizeof touch);
    int result = FLOOR_OK;
    if (!met)
        result = floor_ofi_meet(end_of_ofi, &card, text);
    met = 1;
    if (result == FLOOR_OK)
        result = floor_ofi_serve(end_of_ofi, touch, text);
    return ended(call, result, text);
}

/* Connects to the rank's port on the loopback interface, and answers what it gets until the rank
 * hangs up: bytes by as many bytes, a request of HTTP by a response with the same body. The input is
 * the port and the bytes of a message. */
static int32_t serve_socket(sublet_call *call, int (*serve)(int, uint64_t, char *)) {
    uint64_t input[2];
    char text[FLOOR_TEXT] = "";
    if (call->input_size != sizeof input)
        return sublet_fail(call, 1, "a floor over a socket: this is not sublet-bench");
    memcpy(input, call->input, sizeof input);
    return ended(call, socket_serve((uint16_t)input[0], input[1], serve, text), text);
}

SUBLET_FUNCTION(serve_tcp) { return serve_socket(call, socket_echo); }

SUBLET_FUNCTION(serve_http) { return serve_socket(call, socket_http); }
