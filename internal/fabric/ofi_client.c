// The client's end over libfabric. ofi-write: a request's header and payload are written into the
// executor's slot by one operation; its response comes the same way. A larger payload is written
// into the executor's mirror of the region that it lies in, ahead of the header or with it. ofi-send: header
// and payload are one message, and the executor reads and writes larger payloads itself.
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "ofi_client.h"

enum {
    GATHER = 4096,  // payloads above this are sent from where they lie, smaller ones copied behind the header
    ARM_ATTEMPTS = 16,
};

// The region that a payload can be written from, or NULL.
static struct ofi_region *find(struct ofi_client *c, const struct fabric_payload *payload) {
    if (payload->region == 0 || payload->region >= WIRE_REGIONS)
        return NULL;
    struct ofi_region *region = &c->regions[payload->region];
    if (!region->mirrored || payload->offset > region->size || payload->size > region->size - payload->offset)
        return NULL;
    return region;
}

static struct wire_ref reference(const struct ofi_region *region, const struct fabric_payload *payload) {
    // What is no region's names region 0, which the executor refuses.
    return (struct wire_ref){.region = region ? payload->region : 0, .offset = payload->offset};
}

// A response of which only part is written must not be filled up by the slot's last one: what is
// here instead is no response's.
static void wipe(uint8_t *response) {
    memset(response + sizeof(uint64_t), 0xff, sizeof(struct wire_response) - sizeof(uint64_t));
    memset(response, 0, sizeof(uint64_t));
}

static int ofi_submit(struct fabric_client *client, uint64_t id, const struct fabric_submission *s) {
    struct ofi_client *c = (struct ofi_client *)client;
    const uint64_t slot = id & (client->slots - 1);
    struct wire_request *request = (struct wire_request *)(c->requests + slot * WIRE_REQUEST_STRIDE);
    const struct ofi_region *input = find(c, &s->input), *output = find(c, &s->output);
    struct ofi_part parts[2] = {{.base = request, .size = sizeof *request, .mr = c->requests_mr}};
    int count = 1;
    uint32_t flags = 0;

    if (s->input.size <= WIRE_INLINE) {
        flags |= WIRE_INPUT_INLINE;
        if (s->input.size)
            memcpy(request->inlined, s->input.address, s->input.size);
    } else if (s->input.size <= WIRE_SLOT_PAYLOAD) {
        flags |= WIRE_INPUT_SLOT;
        if (ofi_goes_in_pieces(&c->link, sizeof *request + s->input.size))
            parts[count++] = (struct ofi_part){.base = s->input.address, .size = s->input.size};
        else if (input && s->input.size > GATHER && c->link.info->tx_attr->iov_limit > 1)
            parts[count++] = (struct ofi_part){.base = input->base + s->input.offset, .size = s->input.size, .mr = input->mr};
        else {
            memcpy(request + 1, s->input.address, s->input.size);
            parts[0].size += s->input.size;
        }
    }
    if (s->output.size <= WIRE_INLINE)
        flags |= WIRE_OUTPUT_INLINE;
    else if (s->output.size <= WIRE_SLOT_PAYLOAD)
        flags |= WIRE_OUTPUT_SLOT;
    if (flags == (WIRE_INPUT_INLINE | WIRE_OUTPUT_INLINE) && !s->constants)
        parts[0].size = WIRE_LINE;
    else {
        request->input = reference(input, &s->input);
        request->output = reference(output, &s->output);
        memcpy(request->constant, s->constant, sizeof request->constant);
    }
    request->function = s->function;
    request->flags = (uint16_t)flags;
    request->constants = (uint16_t)s->constants;
    request->input_size = s->input.size;
    request->output_capacity = s->output.size;
    atomic_store_explicit(&request->id, id, memory_order_relaxed);
    // The slot's last response has been harvested: its buffer takes another.
    if (c->link.sends && id > client->slots) {
        int result = ofi_inbox_free(&c->link, (uint32_t)slot);
        if (result < 0)
            return result;
    }
    if (!c->link.sends)
        wipe(c->responses + slot * WIRE_RESPONSE_STRIDE);
    client->pending[slot] = (struct fabric_pending){.output = s->output.address, .capacity = s->output.size, .flags = flags};

    if (!c->link.sends && !(flags & (WIRE_INPUT_INLINE | WIRE_INPUT_SLOT)) && input) {
        int result = ofi_add_payload(&c->link, &parts[1], &count, input->base + s->input.offset, s->input.size, input->mr,
                                     input->mirror_address + s->input.offset, input->mirror_key);
        if (result < 0)
            return result;
    }
    return ofi_message(&c->link, id, parts, count, c->request_address + slot * WIRE_REQUEST_STRIDE, c->request_key);
}

// Whether a message of ofi-send has all the bytes that its header announces: behind them lies what
// an earlier message has left.
static int is_whole(const struct ofi_client *c, uint64_t id, const struct wire_response *response) {
    const uint64_t slot = id & (c->client.slots - 1);
    const uint64_t behind = c->link.inbox.sizes[slot] - sizeof *response;
    if (c->link.inbox.sizes[slot] < sizeof *response)
        return 0;
    if (response->status != WIRE_OK)
        return response->text_size <= behind;
    return !(c->client.pending[slot].flags & WIRE_OUTPUT_SLOT) || response->size <= behind;
}

static int ofi_ready(struct fabric_client *client, uint64_t id, struct wire_response **response) {
    struct ofi_client *c = (struct ofi_client *)client;
    if (!ofi_has(&c->link, id)) {
        int result = ofi_poll(&c->link);
        if (result < 0)
            return result;
        if (!ofi_has(&c->link, id))
            return 0;
    }
    if (c->link.sends) {
        *response = (struct wire_response *)ofi_inbox_at(&c->link, id);
        return is_whole(c, id, *response) ? 1 : FABRIC_PROTOCOL;
    }
    *response = (struct wire_response *)(c->responses + (id & (client->slots - 1)) * WIRE_RESPONSE_STRIDE);
    return atomic_load_explicit(&(*response)->id, memory_order_acquire) == id ? 1 : FABRIC_PROTOCOL;
}

static void unwatch(struct ofi_client *c) {
    while (c->watched)
        epoll_ctl(c->client.descriptor, EPOLL_CTL_DEL, c->watching[--c->watched], NULL);
}

// The rank's runtime may have the descriptor in a set of its own all the time. If that told of every
// completion, each would wake a thread, on the very core that spins.
static int watch(struct ofi_client *c, const struct ofi_sleep *sleep) {
    unwatch(c);
    for (int i = 0; i < sleep->count; i++) {
        const struct pollfd *one = &sleep->descriptors[i];
        struct epoll_event event = {.events = (uint32_t)one->events};  // epoll's are poll's
        if (epoll_ctl(c->client.descriptor, EPOLL_CTL_ADD, one->fd, &event) != 0) {
            snprintf(c->link.text, FABRIC_TEXT, "epoll: %m");
            return ofi_over(&c->link, FABRIC_BROKEN);
        }
        c->watching[c->watched++] = one->fd;
    }
    return FABRIC_OK;
}

static int ofi_arm(struct fabric_client *client) {
    struct ofi_client *c = (struct ofi_client *)client;
    const uint64_t next = client->harvested + 1;
    struct ofi_sleep sleep;
    for (int i = 0; i < ARM_ATTEMPTS; i++) {
        if (ofi_poll(&c->link) < 0 || ofi_has(&c->link, next))
            break;
        if (ofi_may_sleep(&c->link, &sleep)) {
            if (ofi_has(&c->link, next) || watch(c, &sleep) < 0)
                break;
            return ofi_nap(&c->link) < 0 ? 1 : 2;
        }
        if (c->link.over)
            break;
    }
    ofi_awake(&c->link);
    return c->link.over < 0 && !ofi_has(&c->link, next) ? c->link.over : 0;
}

static void ofi_disarm(struct fabric_client *client) {
    struct ofi_client *c = (struct ofi_client *)client;
    unwatch(c);
    ofi_awake(&c->link);
}

static void ofi_client_close(struct fabric_client *client) {
    struct ofi_client *c = (struct ofi_client *)client;
    ofi_say_goodbye(c);
    // The endpoint first: closing memory regions alone does not stop a write that is on its way.
    ofi_disconnect(&c->link);
    for (uint32_t i = 0; i < WIRE_REGIONS; i++)
        ofi_release(&c->regions[i].mr);
    ofi_release(&c->responses_mr);
    ofi_release(&c->requests_mr);
    ofi_close(&c->link);
    if (client->descriptor >= 0 && !c->link.bells.mine)
        close(client->descriptor);
    free(c);
}

const struct fabric_client_ops ofi_client_ops = {
    .submit = ofi_submit,
    .ready = ofi_ready,
    .arm = ofi_arm,
    .disarm = ofi_disarm,
    .close = ofi_client_close,
};

// ---------------------------------------------------------------- regions

int fabric_ofi_attach(struct fabric_client *client, uint32_t region, void *base, uint64_t size, int writable, uint64_t *address, uint64_t *key) {
    struct ofi_client *c = (struct ofi_client *)client;
    struct ofi_region *r = &c->regions[region];
    int result = ofi_register(&c->link, base, size, FI_WRITE | FI_REMOTE_READ | (writable ? FI_REMOTE_WRITE : 0), &r->mr);
    if (result < 0)
        return result;
    r->base = base;
    r->size = size;
    r->mirrored = 0;
    *address = ofi_remote_address(&c->link, base);
    *key = fi_mr_key(r->mr);
    return FABRIC_OK;
}

int fabric_ofi_attached(struct fabric_client *client, uint32_t region, uint64_t address, uint64_t key) {
    struct ofi_region *r = &((struct ofi_client *)client)->regions[region];
    r->mirror_address = address;
    r->mirror_key = key;
    r->mirrored = 1;
    return FABRIC_OK;
}

int fabric_ofi_push(struct fabric_client *client, uint32_t region) {
    struct ofi_client *c = (struct ofi_client *)client;
    const struct ofi_region *r = &c->regions[region];
    return ofi_write_and_wait(&c->link, r->base, r->size, r->mr, r->mirror_address, r->mirror_key);
}

int fabric_ofi_detach(struct fabric_client *client, uint32_t region) {
    struct ofi_region *r = &((struct ofi_client *)client)->regions[region];
    ofi_release(&r->mr);
    memset(r, 0, sizeof *r);
    return FABRIC_OK;
}
