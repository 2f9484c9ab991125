/* Several pairs of cache lines: as many operations are in flight as there are pairs. */
#include "floor.h"

#include <stdio.h>
#include <string.h>

enum { MOST_PAIRS = 64 };

static uint64_t pages(uint64_t size) { return (size + FLOOR_PAGE - 1) & ~(uint64_t)(FLOOR_PAGE - 1); }

/* Where a pair's input is, and its output. */
static uint8_t *payload(void *shared, struct floor_pair *pair, uint64_t index, uint64_t window, uint64_t size, int out) {
    if (size <= FLOOR_INLINE)
        return out ? pair->response.inlined : pair->request.inlined;
    return (uint8_t *)shared + pages(window * sizeof *pair) + (2 * index + (uint64_t)out) * pages(size);
}

size_t floor_pairs_size(uint64_t size, uint64_t window) {
    return pages(window * sizeof(struct floor_pair)) + 2 * window * pages(size);
}

static void put(struct floor_line *line, uint64_t id, uint64_t size) {
    line->size = size;
    atomic_store_explicit(&line->id, id, memory_order_release);
}

static int await(struct floor_line *line, uint64_t id) {
    uint32_t turns = 0;
    uint64_t began = 0;
    while (atomic_load_explicit(&line->id, memory_order_acquire) != id)
        if (!floor_spin(&turns, &began))
            return FLOOR_FAILED;
    return FLOOR_OK;
}

/* Operation i has id first + i, and the pair of that id. */
static int run(void *shared, uint64_t first, const struct floor_block *b) {
    struct floor_pair *pairs = shared;
    const uint64_t window = (uint64_t)b->window;
    uint64_t sent[MOST_PAIRS], before = floor_nanoseconds();

    for (uint64_t i = 0; i < b->count + window; i++) {
        const uint64_t index = (first + i) % window;
        struct floor_pair *pair = &pairs[index];
        if (i >= window) {
            if (await(&pair->response, first + i - window) < 0)
                return FLOOR_FAILED;
            if (b->touch)
                floor_copy(b->destination, payload(shared, pair, index, window, b->size, 1), b->size);
            if (!b->batch)
                b->samples[i - window] = floor_nanoseconds() - sent[index];
        }
        if (i >= b->count)
            continue;
        if (!b->batch)
            sent[index] = floor_nanoseconds();
        if (b->touch) {
            if (b->size >= sizeof i) /* fresh */
                memcpy((void *)(uintptr_t)b->source, &i, sizeof i);
            floor_copy(payload(shared, pair, index, window, b->size, 0), b->source, b->size);
        }
        put(&pair->request, first + i, b->size);
        if (b->batch && (i + 1) % b->batch == 0) {
            uint64_t now = floor_nanoseconds();
            b->samples[i / b->batch] = now - before;
            before = now;
        }
    }
    return FLOOR_OK;
}

int floor_pairs_run(void *shared, uint64_t *last, const struct floor_block *b) {
    struct floor_pair *pairs = shared;
    int result = FLOOR_FAILED;
    if (b->window < 1 || b->window > MOST_PAIRS) {
        snprintf(b->text, FLOOR_TEXT, "the floor has 1 to %d operations in flight", MOST_PAIRS);
        return FLOOR_FAILED;
    }
    /* A block of fewer operations than pairs would wait for what it has not sent. */
    if (b->count >= (uint64_t)b->window)
        result = run(shared, *last + 1, b);
    if (result == FLOOR_OK) {
        *last += b->count + 1;
        struct floor_pair *pair = &pairs[*last % (uint64_t)b->window];
        put(&pair->request, *last, FLOOR_STOP);
        result = await(&pair->response, *last);
    }
    if (result < 0)
        snprintf(b->text, FLOOR_TEXT, "the executor's end of the floor has been silent for %d s", FLOOR_PATIENCE);
    return result;
}

int floor_pairs_serve(void *shared, const struct floor_pairs_call *call, char *text) {
    struct floor_pair *pairs = shared;
    for (uint64_t id = call->last + 1;; id++) {
        const uint64_t index = id % call->window;
        struct floor_pair *pair = &pairs[index];
        if (await(&pair->request, id) < 0) {
            snprintf(text, FLOOR_TEXT, "the rank's end of the floor has been silent for %d s", FLOOR_PATIENCE);
            return FLOOR_FAILED;
        }
        const uint64_t size = pair->request.size;
        if (size != FLOOR_STOP && call->touch)
            floor_copy(payload(shared, pair, index, call->window, size, 1), payload(shared, pair, index, call->window, size, 0), size);
        put(&pair->response, id, size);
        if (size == FLOOR_STOP)
            return FLOOR_OK;
    }
}
