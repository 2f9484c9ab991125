// The client's end, whatever the transport: slots, and the spinning for responses.
#define _GNU_SOURCE
#include <string.h>

#include "clock.h"
#include "fabric.h"
#include "spin.h"

int fabric_submit(struct fabric_client *c, const struct fabric_submission *s) {
    uint64_t id = c->submitted + 1;
    if (id - c->harvested > c->slots)
        return FABRIC_FULL;
    int result = c->ops->submit(c, id, s);
    if (result == FABRIC_OK)
        c->submitted = id;
    return result;
}

// Copies the response's header once, then checks the copy: the executor can write the original
// at any time. An output that rides with the response is copied to where the client wants it.
static int take(struct fabric_client *c, const struct wire_response *response, struct fabric_response *out) {
    const struct fabric_pending *pending = &c->pending[out->id & (c->slots - 1)];
    const volatile struct wire_response *shared = response;
    out->status = shared->status;
    out->text_size = 0;
    out->size = shared->size;
    out->nanoseconds = shared->nanoseconds;

    if (out->status == WIRE_OK) {
        if (out->size > pending->capacity)
            return FABRIC_PROTOCOL;
        if (out->size && (pending->flags & WIRE_OUTPUT_INLINE)) {
            if (out->size == 8)
                memcpy(pending->output, response->inlined, 8);
            else
                memcpy(pending->output, response->inlined, out->size);
        } else if (out->size && (pending->flags & WIRE_OUTPUT_SLOT))
            memcpy(pending->output, response + 1, out->size);
        return FABRIC_OK;
    }
    out->text_size = shared->text_size;
    if (out->text_size > WIRE_TEXT)
        return FABRIC_PROTOCOL;
    memcpy(out->text, response + 1, out->text_size);
    return FABRIC_OK;
}

int fabric_harvest(struct fabric_client *c, uint64_t until, uint64_t nanoseconds, const uint32_t *wanted,
                   struct fabric_response *out, int max) {
    uint64_t deadline = 0;
    struct spin spin = {.patience = c->patience};
    int count = 0;
    if (until > c->submitted)
        until = c->submitted;
    for (;;) {
        while (count < max && c->harvested < c->submitted) {
            struct wire_response *response;
            int ready = c->ops->ready(c, c->harvested + 1, &response);
            if (ready < 0)
                return count ? count : ready;
            if (!ready)
                break;
            out[count].id = c->harvested + 1;
            int result = take(c, response, &out[count]);
            if (result < 0)
                return count ? count : result;
            c->harvested++;
            count++;
        }
        if (c->harvested >= until || count == max || !nanoseconds)
            return count;
        if (__atomic_load_n(wanted, __ATOMIC_RELAXED))
            return count;
        if (!spin_turn(&spin))
            continue;
        c->patience = spin.patience;
        uint64_t now = clock_nanoseconds();
        if (!deadline)
            deadline = now + nanoseconds;
        else if (now >= deadline)
            return count;
    }
}

int fabric_cross(uintptr_t address) {
    struct fabric_crossing *x = (struct fabric_crossing *)address;
    struct fabric_client *c = x->client;
    const uint32_t *wanted = (const uint32_t *)x->wanted;
    const struct fabric_submission *next = x->submissions;
    uint64_t until = x->count ? c->submitted + x->count : x->until;
    int got = 0, result = 0;
    while (x->count) {
        result = fabric_submit(c, next);
        if (result == FABRIC_OK) {
            next++;
            x->count--;
            continue;
        }
        if (result != FABRIC_FULL || !x->waits)
            break;
        // A slot is free when its response has been harvested. Half of them at once: each look at a
        // response that has not come takes its line away from the executor.
        result = fabric_harvest(c, c->submitted - c->slots / 2, x->nanoseconds, wanted, x->responses + got, x->max - got);
        if (result <= 0)
            break;
        got += result;
        if (got == x->max)
            return got;
    }
    if (!x->count && x->max) {
        if (next != x->submissions && c->submitted - c->harvested == 1)
            for (uint32_t i = 0; i < c->grace; i++)
                clock_pause();
        result = fabric_harvest(c, until, x->nanoseconds, wanted, x->responses + got, x->max - got);
        if (result > 0)
            got += result;
    }
    return got ? got : result;
}

int fabric_arm(struct fabric_client *c) { return c->ops->arm(c); }

void fabric_disarm(struct fabric_client *c) { c->ops->disarm(c); }

void fabric_close(struct fabric_client *c) { c->ops->close(c); }
