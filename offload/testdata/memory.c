// Functions that allocate, for tests of an executor's memory.
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sublet/function.h"

enum { PIECE = 1 << 20 };

// Touches a piece and returns it, or NULL.
static char *take(size_t size) {
    char *memory = malloc(size);
    if (memory)
        memset(memory, 1, size);
    return memory;
}

// Allocates until it dies.
SUBLET_FUNCTION(devour) {
    (void)call;
    for (;;) {
        char *memory = malloc(PIECE);
        memset(memory, 1, PIECE);
    }
}

static void *devour_all(void *unused) {
    for (;;)
        memset(malloc(PIECE), 1, PIECE);
    return unused;
}

// The same in a thread of its own.
SUBLET_FUNCTION(devour_aside) {
    pthread_t thread;
    if (pthread_create(&thread, NULL, devour_all, NULL) != 0)
        return sublet_fail(call, 1, "no thread");
    pthread_join(thread, NULL);
    return 0;
}

// Allocates what its input says at once, and writes to it without a look.
SUBLET_FUNCTION(gulp) {
    uint64_t size;
    memcpy(&size, call->input, sizeof size);
    volatile char *memory = malloc(size);
    memory[0] = 1;
    free((void *)memory);
    return 0;
}

// Exits as many programs do.
SUBLET_FUNCTION(give_up) {
    (void)call;
    for (;;)
        if (!take(PIECE)) {
            fprintf(stderr, "out of memory, as the test wants\n");
            exit(3);
        }
}

// Allocates until it can not, gives everything back, and returns how many MiB there were.
SUBLET_FUNCTION(measure) {
    void *last = NULL;
    uint64_t count = 0;
    for (char *memory; (memory = take(PIECE)); count++) {
        memcpy(memory, &last, sizeof last);
        last = memory;
    }
    while (last) {
        void *before;
        memcpy(&before, last, sizeof before);
        free(last);
        last = before;
    }
    if (call->output_capacity < sizeof count)
        return sublet_need(call, sizeof count);
    memcpy(call->output, &count, sizeof count);
    call->output_size = sizeof count;
    return 0;
}

// Keeps all that it can get, to the last bytes.
SUBLET_FUNCTION(hoard) {
    (void)call;
    for (size_t piece = PIECE; piece >= 16; piece /= 4)
        while (take(piece))
            ;
    return 0;
}

// Crashes with memory left.
SUBLET_FUNCTION(crash) {
    (void)call;
    abort();
}
