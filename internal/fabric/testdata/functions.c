// The function library of this package's tests.
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "sublet/function.h"

// rFaaS's kind: copies its input.
uint32_t echo(void *args, uint32_t size, void *res) {
    memcpy(res, args, size);
    return size;
}

// rFaaS's kind: writes twice as much as it was given.
uint32_t twice(void *args, uint32_t size, void *res) {
    memcpy(res, args, size);
    memcpy((char *)res + size, args, size);
    return 2 * size;
}

uint32_t nothing(void *args, uint32_t size, void *res) {
    (void)args, (void)size, (void)res;
    return 0;
}

// Ours: adds one to each byte.
SUBLET_FUNCTION(increment) {
    if (call->output_capacity < call->input_size)
        return sublet_need(call, call->input_size);
    const unsigned char *in = call->input;
    unsigned char *out = call->output;
    for (uint64_t i = 0; i < call->input_size; i++)
        out[i] = (unsigned char)(in[i] + 1);
    call->output_size = call->input_size;
    return 0;
}

// Fails with the code in its first four bytes of input and a text.
SUBLET_FUNCTION(failing) {
    int32_t code = 7;
    if (call->input_size >= 4)
        memcpy(&code, call->input, 4);
    return sublet_fail(call, code, "code %d was asked for", code);
}

// Adds up its constants' bytes, in 8 bytes.
SUBLET_FUNCTION(add_constants) {
    uint64_t sum = 0;
    for (uint32_t i = 0; i < call->constant_count; i++)
        for (uint64_t j = 0; j < call->constants[i].size; j++)
            sum += ((const unsigned char *)call->constants[i].data)[j];
    memcpy(call->output, &sum, sizeof sum);
    call->output_size = sizeof sum;
    return 0;
}

// Counts its calls: an executor keeps its state.
SUBLET_FUNCTION(count_calls) {
    static uint64_t calls;
    calls++;
    memcpy(call->output, &calls, sizeof calls);
    call->output_size = sizeof calls;
    return 0;
}

// Sleeps for the milliseconds in its first four bytes of input.
SUBLET_FUNCTION(nap) {
    uint32_t milliseconds = 0;
    memcpy(&milliseconds, call->input, sizeof milliseconds);
    struct timespec time = {.tv_sec = milliseconds / 1000, .tv_nsec = (long)(milliseconds % 1000) * 1000000};
    nanosleep(&time, NULL);
    return 0;
}

SUBLET_FUNCTION(segfault) {
    volatile uintptr_t nowhere = 16;
    (void)call;
    *(volatile int *)nowhere = 1;
    return 0;
}

SUBLET_FUNCTION(write_input) {
    *(volatile char *)(uintptr_t)call->input = 1;
    return 0;
}

SUBLET_FUNCTION(abort_now) {
    (void)call;
    abort();
}

static int recurse(volatile char *below) {
    volatile char here[4096];
    here[0] = below ? below[0] : 0;
    return recurse(here) + here[1];
}

SUBLET_FUNCTION(overflow_stack) {
    (void)call;
    return recurse(NULL);
}

// A name that is a macro.
#define NAMED_BY_A_MACRO renamed
SUBLET_FUNCTION(NAMED_BY_A_MACRO) {
    call->output_size = 0;
    return 0;
}

// Says that it has written more than there is memory.
SUBLET_FUNCTION(boast) {
    call->output_size = ~UINT64_C(0);
    return 0;
}

SUBLET_FUNCTION(exit_now) {
    (void)call;
    exit(3);
}

static void die(void) { kill(getpid(), SIGKILL); }

// Opens the pipe that its input names, forks, and is killed before the child has run: they share a CPU, and who
// is new does not interrupt.
SUBLET_FUNCTION(fork_and_die) {
    const struct sched_param none = {0};
    cpu_set_t here;
    CPU_ZERO(&here);
    CPU_SET(sched_getcpu(), &here);
    if (open(call->input, O_WRONLY) < 0 || sched_setaffinity(0, sizeof here, &here) ||
        sched_setscheduler(0, SCHED_BATCH, &none) || pthread_atfork(NULL, die, NULL))
        return sublet_fail(call, 1, "no pipe, or no CPU");
    if (fork() == 0)
        for (;;)
            pause();
    return 0;
}
