/* Two cache lines, one per direction, and memcpy in and out. */
#define _GNU_SOURCE
#include "floor.h"

#include <linux/futex.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static uint8_t *input_of(void *shared) { return (uint8_t *)shared + sizeof(struct floor_lines); }

static uint8_t *output_of(void *shared, uint64_t size) {
    return input_of(shared) + ((size + FLOOR_PAGE - 1) & ~(uint64_t)(FLOOR_PAGE - 1));
}

static uint32_t *word(_Atomic uint64_t *id) { return (uint32_t *)id; } /* its lower half, on little-endian machines */

static void put(struct floor_line *line, uint64_t id, uint64_t size, int doze) {
    line->size = size;
    atomic_store_explicit(&line->id, id, memory_order_release);
    if (!doze)
        return;
    /* Either the reader sees the id before it sleeps, or we see that it sleeps. */
    atomic_thread_fence(memory_order_seq_cst);
    if (atomic_load_explicit(&line->sleeps, memory_order_relaxed))
        syscall(SYS_futex, word(&line->id), FUTEX_WAKE, 1, NULL, NULL, 0);
}

static void sleep_on(struct floor_line *line, uint64_t id) {
    struct timespec patience = {.tv_sec = FLOOR_PATIENCE};
    atomic_store_explicit(&line->sleeps, 1, memory_order_relaxed);
    atomic_thread_fence(memory_order_seq_cst);
    if (atomic_load_explicit(&line->id, memory_order_acquire) != id)
        syscall(SYS_futex, word(&line->id), FUTEX_WAIT, (uint32_t)(id - 1), &patience, NULL, 0);
    atomic_store_explicit(&line->sleeps, 0, memory_order_relaxed);
}

/* hot: nanoseconds before it sleeps, or 0. */
static int await(struct floor_line *line, uint64_t id, uint64_t hot) {
    uint32_t turns = 0;
    uint64_t began = 0, since = hot ? floor_nanoseconds() : 0;
    while (atomic_load_explicit(&line->id, memory_order_acquire) != id) {
        if (!floor_spin(&turns, &began))
            return FLOOR_FAILED;
        if (hot && turns % 64 == 0 && floor_nanoseconds() - since > hot)
            sleep_on(line, id);
    }
    return FLOOR_OK;
}

int floor_lines_run(void *shared, uint64_t *last, int doze, const struct floor_block *b) {
    struct floor_lines *lines = shared;
    const int rides = b->size <= FLOOR_INLINE;
    const uint64_t stride = (b->size + FLOOR_PAGE - 1) & ~(uint64_t)(FLOOR_PAGE - 1);
    uint8_t *input = rides ? lines->request.inlined : input_of(shared);
    const uint8_t *output = rides ? lines->response.inlined : output_of(shared, b->size);
    uint64_t id = *last, before = floor_nanoseconds();
    int result = FLOOR_OK;

    for (uint64_t i = 0; i < b->count && result == FLOOR_OK; i++) {
        if (b->gap) {
            floor_pause(b->gap);
            before = floor_nanoseconds();
        }
        if (b->touch) {
            if (b->size >= sizeof i) /* fresh */
                memcpy((void *)(uintptr_t)b->source, &i, sizeof i);
            floor_copy(b->window && !rides ? input + i % (uint64_t)b->window * stride : input, b->source, b->size);
        }
        put(&lines->request, ++id, b->size, doze);
        result = await(&lines->response, id, 0);
        if (b->touch && !b->window)
            floor_copy(b->destination, output, b->size);
        uint64_t now = floor_nanoseconds();
        b->samples[i] = now - before;
        before = now;
    }
    if (result == FLOOR_OK) {
        put(&lines->request, ++id, FLOOR_STOP, doze);
        result = await(&lines->response, id, 0);
    }
    *last = id;
    if (result < 0)
        snprintf(b->text, FLOOR_TEXT, "the executor's end of the floor has been silent for %d s", FLOOR_PATIENCE);
    return result;
}

int floor_lines_serve(void *shared, const struct floor_lines_call *call, char *text) {
    struct floor_lines *lines = shared;
    for (uint64_t id = call->last + 1;; id++) {
        if (await(&lines->request, id, call->hot) < 0) {
            snprintf(text, FLOOR_TEXT, "the rank's end of the floor has been silent for %d s", FLOOR_PATIENCE);
            return FLOOR_FAILED;
        }
        const uint64_t size = lines->request.size;
        if (size != FLOOR_STOP && call->touch) {
            if (size <= FLOOR_INLINE)
                floor_copy(lines->response.inlined, lines->request.inlined, size);
            else
                memcpy(output_of(shared, size), input_of(shared), size);
        }
        put(&lines->response, id, size, 0);
        if (size == FLOOR_STOP)
            return FLOOR_OK;
    }
}
