// The function library of this package's tests and examples.
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

#include "sublet/function.h"

// rFaaS's kind: copies its input.
uint32_t echo(void *args, uint32_t size, void *res) {
    memcpy(res, args, size);
    return size;
}

// Squares its input, an array of doubles.
SUBLET_FUNCTION(square) {
    uint64_t n = call->input_size / sizeof(double);
    if (call->output_capacity < call->input_size)
        return sublet_need(call, call->input_size);
    const double *in = call->input;
    double *out = call->output;
    for (uint64_t i = 0; i < n; i++)
        out[i] = in[i] * in[i];
    call->output_size = n * sizeof(double);
    return 0;
}

// Adds the first constant, a vector, to its input.
SUBLET_FUNCTION(add) {
    uint64_t n = call->input_size / sizeof(double);
    if (call->constant_count < 1 || call->constants[0].size < call->input_size)
        return sublet_fail(call, 2, "the constant has too few values");
    if (call->output_capacity < call->input_size)
        return sublet_need(call, call->input_size);
    const double *in = call->input, *constant = call->constants[0].data;
    double *out = call->output;
    for (uint64_t i = 0; i < n; i++)
        out[i] = in[i] + constant[i];
    call->output_size = n * sizeof(double);
    return 0;
}

SUBLET_FUNCTION(fail) { return sublet_fail(call, 9, "as you wished"); }

SUBLET_FUNCTION(crash) {
    (void)call;
    abort();
}

// Computes for 40 ms without a pause, and copies its input.
SUBLET_FUNCTION(compute) {
    struct timespec start, now;
    clock_gettime(CLOCK_MONOTONIC, &start);
    do
        clock_gettime(CLOCK_MONOTONIC, &now);
    while ((now.tv_sec - start.tv_sec) * 1000000000L + now.tv_nsec - start.tv_nsec < 40000000L);
    if (call->output_capacity < call->input_size)
        return sublet_need(call, call->input_size);
    memcpy(call->output, call->input, call->input_size);
    call->output_size = call->input_size;
    return 0;
}

// Forks a child that stays, and one in a session of its own, and returns their numbers.
SUBLET_FUNCTION(leave_children) {
    int32_t children[2];
    for (int i = 0; i < 2; i++) {
        pid_t child = fork();
        if (child < 0)
            return sublet_fail(call, 1, "fork failed");
        if (child == 0) {
            if (i == 1)
                setsid();
            for (;;)
                pause();
        }
        children[i] = child;
    }
    if (call->output_capacity < sizeof children)
        return sublet_need(call, sizeof children);
    memcpy(call->output, children, sizeof children);
    call->output_size = sizeof children;
    return 0;
}

// Sleeps for the milliseconds in its first four bytes of input.
SUBLET_FUNCTION(nap) {
    uint32_t milliseconds;
    memcpy(&milliseconds, call->input, sizeof milliseconds);
    struct timespec time = {.tv_sec = milliseconds / 1000, .tv_nsec = (long)(milliseconds % 1000) * 1000000};
    nanosleep(&time, NULL);
    return 0;
}

// nap and echo in one.
SUBLET_FUNCTION(nap_and_echo) {
    if (nap(call))
        return 1;
    if (call->output_capacity < call->input_size)
        return sublet_need(call, call->input_size);
    memcpy(call->output, call->input, call->input_size);
    call->output_size = call->input_size;
    return 0;
}

// The value of the environment variable named by the input.
SUBLET_FUNCTION(environment) {
    char name[128] = {0};
    memcpy(name, call->input, call->input_size < sizeof name ? call->input_size : sizeof name - 1);
    const char *value = getenv(name);
    if (!value)
        return sublet_fail(call, 1, "%s is not set", name);
    call->output_size = strlen(value);
    if (call->output_size > call->output_capacity)
        return sublet_need(call, call->output_size);
    memcpy(call->output, value, call->output_size);
    return 0;
}

// For measuring what a large payload costs: says that it has as much output as input, and looks at
// neither.
SUBLET_FUNCTION(untouched) {
    if (call->output_capacity < call->input_size)
        return sublet_need(call, call->input_size);
    call->output_size = call->input_size;
    return 0;
}

// Reads all of its input: the output is the sum of its 64-bit words.
SUBLET_FUNCTION(read_all) {
    const uint64_t *words = call->input;
    uint64_t sum = 0;
    if (call->output_capacity < sizeof sum)
        return sublet_need(call, sizeof sum);
    for (uint64_t i = 0; i < call->input_size / sizeof *words; i++)
        sum += words[i];
    memcpy(call->output, &sum, sizeof sum);
    call->output_size = sizeof sum;
    return 0;
}

// Writes all of its output, with the first byte of the input.
SUBLET_FUNCTION(write_all) {
    memset(call->output, *(const unsigned char *)call->input, call->output_capacity);
    call->output_size = call->output_capacity;
    return 0;
}

// Work of adjustable cost: each item is 64 bits, of which the upper half says how many rounds its result takes.
SUBLET_FUNCTION(toil) {
    uint64_t n = call->input_size / sizeof(uint64_t);
    if (call->output_capacity < call->input_size)
        return sublet_need(call, call->input_size);
    const uint64_t *in = call->input;
    uint64_t *out = call->output;
    for (uint64_t i = 0; i < n; i++) {
        uint64_t x = in[i];
        for (uint64_t round = in[i] >> 32; round > 0; round--)
            x = (x ^ x >> 29) * 6364136223846793005u + 1442695040888963407u;
        out[i] = x;
    }
    call->output_size = call->input_size;
    return 0;
}
