// The executor's end of ofi-send beyond messages: a large input is read from the client's memory as
// soon as its request has come, also while a function runs, and a large output written there; the
// response is sent when it has landed. No order of writes is relied on.
//
//	request came ── input fits behind it ─────────────────────────▶ complete ──▶ the loop takes it
//	     └── reading ── all parts have ended ─────────────────────────▲
//
//	answered ── no large output ──▶ sent
//	    └── writing ── all parts have landed ──▶ sent
//
// What the provider has no room for is tried again whenever somebody polls.
#define _GNU_SOURCE
#include <string.h>

#include "ofi_endpoint.h"

// Indices of operations: inputs are the slots, outputs come behind them.
enum { OUTPUTS = WIRE_SLOTS_MAX };

static struct ofi_endpoint *owner(struct ofi_link *l) {
    return (struct ofi_endpoint *)((uint8_t *)l - offsetof(struct ofi_endpoint, link));
}

static void complete(struct ofi_link *l, uint32_t slot) {
    atomic_store_explicit(&l->inbox.came[slot], l->inbox.seen[slot], memory_order_release);
}

// The region that a request's large input lies in, or NULL: execute will say what is wrong.
static const struct fabric_region *find_input(struct ofi_endpoint *e, const struct wire_request *request) {
    const struct wire_ref *input = &request->input;
    if (input->region == 0 || input->region >= WIRE_REGIONS)
        return NULL;
    const struct fabric_region *region = &e->endpoint.executor->regions[input->region];
    if (!atomic_load_explicit(&region->mapped, memory_order_acquire) || input->offset > region->size ||
        request->input_size > region->size - input->offset)
        return NULL;
    return region;
}

static int request_came(struct ofi_link *l, uint32_t slot) {
    struct ofi_endpoint *e = owner(l);
    const struct wire_request *request = (const struct wire_request *)ofi_inbox_at(l, l->inbox.seen[slot]);
    const struct fabric_region *region = NULL;
    if (!(request->flags & (WIRE_INPUT_INLINE | WIRE_INPUT_SLOT)))
        region = find_input(e, request);
    if (!region || !request->input_size) {
        complete(l, slot);
        return FABRIC_OK;
    }
    e->input[slot] = (struct ofi_transfer){
        .operation = {.kind = OFI_TRANSFER, .index = slot},
        .base = (uint8_t *)(uintptr_t)region->input + request->input.offset,
        .mr = region->handle,
        .left = request->input_size,
        .address = region->remote_address + request->input.offset,
        .key = region->remote_key,
    };
    e->reading |= UINT64_C(1) << slot;
    return FABRIC_OK;  // the pump posts it
}

static void part_ended(struct ofi_link *l, uint32_t index) {
    struct ofi_endpoint *e = owner(l);
    struct ofi_transfer *t = index < OUTPUTS ? &e->input[index] : &e->output[index - OUTPUTS];
    if (--t->posted || t->left)
        return;
    if (index < OUTPUTS)
        complete(l, index);
    else
        e->answering |= UINT64_C(1) << (index - OUTPUTS);
}

static int pump(struct ofi_link *l) {
    struct ofi_endpoint *e = owner(l);
    for (uint64_t left = e->reading; left; left &= left - 1) {
        const uint32_t slot = (uint32_t)__builtin_ctzll(left);
        int result = ofi_transfer(l, &e->input[slot], 0);
        if (result == FABRIC_FULL)
            break;
        if (result < 0)
            return result;
        e->reading &= ~(UINT64_C(1) << slot);
    }
    for (uint64_t left = e->answering; left; left &= left - 1) {
        const uint32_t slot = (uint32_t)__builtin_ctzll(left);
        int result = ofi_try_message(l, e->answered[slot], &e->answer[slot], 1, 0, 0);
        if (result == FABRIC_FULL)
            break;
        if (result < 0)
            return result;
        e->answering &= ~(UINT64_C(1) << slot);
    }
    l->unposted = (e->reading | e->answering) != 0;
    return FABRIC_OK;
}

void ofi_fetch_open(struct ofi_endpoint *e) {
    e->link.message_came = request_came;
    e->link.transferred = part_ended;
    e->link.pump = pump;
}

int ofi_answer(struct ofi_endpoint *e, uint64_t id, const struct ofi_part *part, const struct fabric_region *region, uint64_t offset, uint64_t size) {
    struct ofi_link *l = &e->link;
    const uint32_t slot = (uint32_t)(id & (e->endpoint.slots - 1));
    // The request has been read: its buffer takes the one that the client sends after this answer.
    int result = ofi_inbox_free(l, slot);
    if (result < 0)
        return result;
    if (!region)
        return ofi_message(l, id, part, 1, 0, 0);
    e->answer[slot] = *part;
    e->answered[slot] = id;
    struct ofi_transfer *t = &e->output[slot];
    *t = (struct ofi_transfer){
        .operation = {.kind = OFI_TRANSFER, .index = OUTPUTS + slot},
        .base = region->output + offset,
        .mr = region->handle,
        .left = size,
        .address = region->remote_address + offset,
        .key = region->remote_key,
    };
    for (;;) {
        result = ofi_transfer(l, t, 1);
        if (result != FABRIC_FULL)
            return result;
        result = ofi_wait_a_little(l);
        if (result < 0)
            return result;
    }
}
