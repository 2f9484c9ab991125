// The faulty client: a transport around another one.
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "fault.h"
#include "ofi_client.h"

// A request that is held back.
struct held {
    uint64_t id;
    uint64_t due;
    struct fabric_submission submission;
};

struct plan {
    struct fabric_fault fault;
    uint64_t due;  // of a response that is held back
    int struck;
};

struct fabric_faults {
    struct fabric_client_ops ops;           // ours
    const struct fabric_client_ops *inner;  // the transport's
    uint64_t struck;
    uint32_t first, held_count;  // a queue: what is behind a request that is late is late too
    struct held held[WIRE_SLOTS_MAX];
    uint32_t count;
    struct plan plans[];
};

static struct plan *find(struct fabric_faults *f, uint64_t id, uint32_t direction) {
    for (uint32_t i = 0; i < f->count; i++)
        if (f->plans[i].fault.id == id && f->plans[i].fault.direction == direction)
            return &f->plans[i];
    return NULL;
}

static void strike(struct fabric_faults *f, struct plan *plan) {
    if (!plan->struck)
        f->struck++;
    plan->struck = 1;
}

static int broken(struct fabric_client *c, const struct plan *plan) {
    snprintf(c->text, FABRIC_TEXT, "the connection was broken on purpose at the %s of invocation %llu",
             plan->fault.direction ? "response" : "request", (unsigned long long)plan->fault.id);
    return FABRIC_BROKEN;
}

// ---------------------------------------------------------------- requests

static int hold(struct fabric_faults *f, uint64_t id, const struct fabric_submission *s, uint64_t due) {
    f->held[(f->first + f->held_count++) % WIRE_SLOTS_MAX] = (struct held){id, due, *s};
    return FABRIC_OK;
}

// Sends what was held back and is due.
static int release(struct fabric_client *c) {
    struct fabric_faults *f = c->faults;
    while (f->held_count && clock_nanoseconds() >= f->held[f->first].due) {
        const struct held *held = &f->held[f->first];
        f->first = (f->first + 1) % WIRE_SLOTS_MAX;
        f->held_count--;
        int result = f->inner->submit(c, held->id, &held->submission);
        if (result < 0)
            return result;
    }
    return FABRIC_OK;
}

// Inverts a byte of the header that the transport will write. Only what stands in every header can
// be wrong: where payloads ride is the transport's own choice.
static void corrupt_request(uint64_t *id, struct fabric_submission *s, uint64_t offset) {
    uint8_t *field;
    if (offset < 8)
        field = (uint8_t *)id + offset;
    else if (offset < 12)
        field = (uint8_t *)&s->function + (offset - 8);
    else if (offset < 16)
        field = (uint8_t *)&s->input.region + (offset - 12);
    else if (offset < 24)
        field = (uint8_t *)&s->input.size + (offset - 16);
    else if (offset < 32)
        field = (uint8_t *)&s->output.size + (offset - 24);
    else if (offset < 40)
        field = (uint8_t *)&s->input.offset + (offset - 32);
    else
        field = (uint8_t *)&s->output.offset + (offset & 7);
    *field ^= 0xff;
}

static int faulty_submit(struct fabric_client *c, uint64_t id, const struct fabric_submission *s) {
    struct fabric_faults *f = c->faults;
    struct fabric_submission changed = *s;
    uint64_t changed_id = id;
    int result = release(c);
    if (result < 0)
        return result;
    struct plan *plan = find(f, id, 0);
    if (!plan)
        return f->held_count ? hold(f, id, s, 0) : f->inner->submit(c, id, s);
    strike(f, plan);
    switch (plan->fault.kind) {
    case FAULT_DROP:
        return FABRIC_OK;
    case FAULT_DELAY:
        return hold(f, id, s, clock_nanoseconds() + plan->fault.parameter);
    case FAULT_DUPLICATE:
        result = f->inner->submit(c, id, s);
        return result < 0 ? result : f->inner->submit(c, id, s);
    case FAULT_TRUNCATE:
        if (changed.input.size > plan->fault.parameter)
            changed.input.size = plan->fault.parameter;
        break;
    case FAULT_CORRUPT:
        corrupt_request(&changed_id, &changed, plan->fault.parameter);
        break;
    case FAULT_BREAK:
        return broken(c, plan);
    }
    result = f->inner->submit(c, changed_id, &changed);
    // What comes back is checked against what was asked for, not against what was sent.
    struct fabric_pending *pending = &c->pending[id & (c->slots - 1)];
    pending->output = s->output.address;
    pending->capacity = s->output.size;
    return result;
}

// ---------------------------------------------------------------- responses

static struct ofi_link *link_of(struct fabric_client *c) {
    return c->faults->inner == &ofi_client_ops ? &((struct ofi_client *)c)->link : NULL;
}

static void truncate_response(struct fabric_client *c, uint64_t id, struct wire_response *response, uint64_t left) {
    struct ofi_link *l = link_of(c);
    if (l && l->sends)
        l->inbox.sizes[id & (l->inbox.slots - 1)] = left;
    if (left < sizeof *response)
        memset((uint8_t *)response + left, 0, sizeof *response - left);
}

static int faulty_ready(struct fabric_client *c, uint64_t id, struct wire_response **response) {
    struct fabric_faults *f = c->faults;
    int ready = release(c);
    if (ready == FABRIC_OK)
        ready = f->inner->ready(c, id, response);
    struct plan *plan = ready == 1 ? find(f, id, 1) : NULL;
    if (!plan)
        return ready;
    const int again = plan->struck;
    strike(f, plan);
    switch (plan->fault.kind) {
    case FAULT_DROP:
        return 0;
    case FAULT_DELAY:
        if (!again)
            plan->due = clock_nanoseconds() + plan->fault.parameter;
        return clock_nanoseconds() >= plan->due;
    case FAULT_DUPLICATE:  // on the ring it is the same bytes in the same place
        if (!again && link_of(c))
            ofi_came_again(link_of(c), id);
        return 1;
    case FAULT_TRUNCATE:
        if (!again)
            truncate_response(c, id, *response, plan->fault.parameter);
        break;
    case FAULT_CORRUPT:
        if (!again)
            ((uint8_t *)*response)[plan->fault.parameter % sizeof **response] ^= 0xff;
        break;
    case FAULT_BREAK:
        return broken(c, plan);
    }
    return f->inner->ready(c, id, response);
}

// ---------------------------------------------------------------- sleeping

static int faulty_arm(struct fabric_client *c) {
    struct fabric_faults *f = c->faults;
    int result = release(c);
    if (result < 0)
        return 0;  // the next harvest says why
    const struct plan *plan = find(f, c->harvested + 1, 1);
    const int withheld = plan && plan->struck && (plan->fault.kind == FAULT_DROP || plan->fault.kind == FAULT_DELAY);
    if (withheld || f->held_count)
        return 2;  // nobody rings when it is due
    return f->inner->arm(c);
}

static void faulty_close(struct fabric_client *c) {
    struct fabric_faults *f = c->faults;
    f->inner->close(c);
    free(f);
}

int fabric_fault_client(struct fabric_client *c, const struct fabric_fault *faults, uint32_t count) {
    struct fabric_faults *f = calloc(1, sizeof *f + count * sizeof f->plans[0]);
    if (!f)
        return FABRIC_FAILED;
    f->inner = c->ops;
    f->ops = *c->ops;
    f->ops.submit = faulty_submit;
    f->ops.ready = faulty_ready;
    f->ops.arm = faulty_arm;
    f->ops.close = faulty_close;
    f->count = count;
    for (uint32_t i = 0; i < count; i++)
        f->plans[i].fault = faults[i];
    c->faults = f;
    c->ops = &f->ops;
    return FABRIC_OK;
}

uint64_t fabric_fault_struck(const struct fabric_client *c) { return c->faults ? c->faults->struck : 0; }
