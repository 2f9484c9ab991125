// The ring: both ends of the shared-memory transport. A request costs the client one cache line
// to write and the executor one to read, a response the same the other way round.
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "doorbell.h"
#include "fabric.h"

// Makes the line at an address this core's own, to be written soon. It is a hint.
static inline void prefetch_to_write(const void *address) {
#if defined(__x86_64__)
    __asm__ volatile("prefetchw %0" : : "m"(*(const char *)address));
#else
    __builtin_prefetch(address, 1);
#endif
}

static inline struct wire_request *ring_request(void *memory, uint32_t slots, uint64_t id) {
    return (struct wire_request *)((uint8_t *)memory + WIRE_RING_PAGE) + (id & (slots - 1));
}

static inline struct wire_response *ring_response(void *memory, uint32_t slots, uint64_t id) {
    return (struct wire_response *)((uint8_t *)memory + wire_ring_responses(slots) +
                                    (id & (slots - 1)) * WIRE_RING_RESPONSE);
}

// ---------------------------------------------------------------- client

struct ring_client {
    struct fabric_client client;
    struct wire_ring *ring;
    int may_sleep;
    int hung_up;  // the executor has closed its end of the doorbell
};

static int ring_submit(struct fabric_client *client, uint64_t id, const struct fabric_submission *s) {
    struct ring_client *c = (struct ring_client *)client;
    struct wire_request *request = ring_request(c->ring, client->slots, id);
    struct fabric_pending *pending = &client->pending[id & (client->slots - 1)];
    uint32_t flags = 0;

    if (s->input.size <= WIRE_INLINE) {
        flags |= WIRE_INPUT_INLINE;
        if (s->input.size == 8)  // the commonest small size, worth a store of its own
            memcpy(request->inlined, s->input.address, 8);
        else if (s->input.size)
            memcpy(request->inlined, s->input.address, s->input.size);
    }
    if (s->output.size <= WIRE_INLINE)
        flags |= WIRE_OUTPUT_INLINE;
    if (flags != (WIRE_INPUT_INLINE | WIRE_OUTPUT_INLINE) || s->constants) {
        request->input = (struct wire_ref){.region = s->input.region, .offset = s->input.offset};
        request->output = (struct wire_ref){.region = s->output.region, .offset = s->output.offset};
        for (uint32_t i = 0; i < s->constants; i++)
            request->constant[i] = s->constant[i];
    }
    request->function = s->function;
    request->flags = (uint16_t)flags;
    request->constants = (uint16_t)s->constants;
    request->input_size = s->input.size;
    request->output_capacity = s->output.size;
    *pending = (struct fabric_pending){.output = s->output.address, .capacity = s->output.size, .flags = flags};
    atomic_store_explicit(&request->id, id, memory_order_release);

    if (c->may_sleep) {
        // Either the executor sees the request before it sleeps, or we see that it sleeps.
        atomic_thread_fence(memory_order_seq_cst);
        if (atomic_load_explicit(&c->ring->executor_sleeps, memory_order_relaxed))
            doorbell_wake(&c->ring->executor_sleeps);
    }
    return FABRIC_OK;
}

static int ring_hung_up(struct fabric_client *client) {
    snprintf(client->text, FABRIC_TEXT, "it has closed its doorbell");
    return FABRIC_BROKEN;
}

static int ring_ready(struct fabric_client *client, uint64_t id, struct wire_response **response) {
    struct ring_client *c = (struct ring_client *)client;
    *response = ring_response(c->ring, client->slots, id);
    if (atomic_load_explicit(&(*response)->id, memory_order_acquire) == id)
        return 1;
    return c->hung_up ? ring_hung_up(client) : 0;
}

static int ring_arm(struct fabric_client *client) {
    struct ring_client *c = (struct ring_client *)client;
    struct wire_response *response;
    atomic_store_explicit(&c->ring->client_sleeps, 1, memory_order_relaxed);
    atomic_thread_fence(memory_order_seq_cst);
    int ready = c->hung_up ? ring_hung_up(client) : 0;
    if (client->harvested < client->submitted)
        ready = ring_ready(client, client->harvested + 1, &response);
    if (ready == 0)
        return 1;
    client->ops->disarm(client);
    return ready < 0 ? ready : 0;
}

static void ring_disarm(struct fabric_client *client) {
    struct ring_client *c = (struct ring_client *)client;
    atomic_store_explicit(&c->ring->client_sleeps, 0, memory_order_relaxed);
    if (doorbell_answer(client->descriptor) < 0)
        c->hung_up = 1;
}

static void ring_close(struct fabric_client *client) { free(client); }

static const struct fabric_client_ops ring_client_ops = {
    .submit = ring_submit,
    .ready = ring_ready,
    .arm = ring_arm,
    .disarm = ring_disarm,
    .close = ring_close,
};

// No response comes earlier than a request and a response take from core to core; who looks at its
// line before takes it away from the executor, which wants to write it.
enum { GRACE_NANOSECONDS = 100 };

// How many pauses that is. They take 14 ns on one processor, and 50 on another.
static uint32_t measure_grace(void) {
    enum { PAUSES = 64 };
    uint64_t shortest = UINT64_MAX;
    for (int i = 0; i < 3; i++) {
        const uint64_t before = clock_nanoseconds();
        for (int j = 0; j < PAUSES; j++)
            clock_pause();
        const uint64_t took = clock_nanoseconds() - before;
        if (took < shortest)
            shortest = took;
    }
    const uint64_t pauses = (uint64_t)GRACE_NANOSECONDS * PAUSES / (shortest + 1);
    return pauses > GRACE_NANOSECONDS ? GRACE_NANOSECONDS : (uint32_t)pauses;
}

struct fabric_client *fabric_ring_client(void *memory, uint32_t slots, int doorbell, int may_sleep) {
    struct ring_client *c = calloc(1, sizeof *c);
    if (!c)
        return NULL;
    c->client.ops = &ring_client_ops;
    c->client.slots = slots;
    c->client.descriptor = doorbell;
    c->ring = memory;
    c->may_sleep = may_sleep;
    c->client.grace = measure_grace();
    c->ring->magic = WIRE_MAGIC;
    c->ring->version = WIRE_VERSION;
    c->ring->slots = slots;
    return &c->client;
}

// ---------------------------------------------------------------- executor

struct ring_endpoint {
    struct fabric_endpoint endpoint;
    struct wire_ring *ring;
    int doorbell;
};

static inline int ring_next(struct fabric_endpoint *endpoint, uint64_t id, struct fabric_arrival *arrival) {
    struct ring_endpoint *e = (struct ring_endpoint *)endpoint;
    arrival->request = ring_request(e->ring, endpoint->slots, id);
    if (atomic_load_explicit(&arrival->request->id, memory_order_acquire) != id)
        return 0;
    arrival->payload = NULL;
    arrival->room = 0;
    arrival->response = ring_response(e->ring, endpoint->slots, id);
    prefetch_to_write(arrival->response);  // the client does not look at it yet
    return 1;
}

static inline int ring_respond(struct fabric_endpoint *endpoint, uint64_t id, const struct fabric_arrival *arrival) {
    struct ring_endpoint *e = (struct ring_endpoint *)endpoint;
    atomic_store_explicit(&arrival->response->id, id, memory_order_release);
    atomic_thread_fence(memory_order_seq_cst);
    if (atomic_load_explicit(&e->ring->client_sleeps, memory_order_relaxed))
        doorbell_ring(e->doorbell);
    return FABRIC_OK;
}

static int ring_sleep(struct fabric_endpoint *endpoint, uint64_t id) {
    struct ring_endpoint *e = (struct ring_endpoint *)endpoint;
    struct fabric_arrival arrival;
    for (;;) {
        atomic_store_explicit(&e->ring->executor_sleeps, 1, memory_order_relaxed);
        atomic_thread_fence(memory_order_seq_cst);
        if (ring_next(endpoint, id, &arrival) || atomic_load(&endpoint->executor->stop))
            break;
        if (doorbell_sleep(&e->ring->executor_sleeps, DOORBELL_LOOK) && doorbell_answer(e->doorbell) < 0) {
            snprintf(endpoint->text, FABRIC_TEXT, "it has closed its doorbell");
            return FABRIC_BROKEN;
        }
    }
    atomic_store_explicit(&e->ring->executor_sleeps, 0, memory_order_relaxed);
    return FABRIC_OK;
}

static void ring_wake(struct fabric_endpoint *endpoint) {
    doorbell_wake(&((struct ring_endpoint *)endpoint)->ring->executor_sleeps);
}

static void ring_endpoint_close(struct fabric_endpoint *endpoint) { free(endpoint); }

const struct fabric_endpoint_ops fabric_ring_endpoint_ops = {
    .next = ring_next,
    .respond = ring_respond,
    .sleep = ring_sleep,
    .wake = ring_wake,
    .close = ring_endpoint_close,
};

struct fabric_endpoint *fabric_ring_endpoint(struct fabric_executor *executor, void *memory, uint32_t slots, int doorbell) {
    struct ring_endpoint *e = calloc(1, sizeof *e);
    if (!e)
        return NULL;
    e->endpoint.ops = &fabric_ring_endpoint_ops;
    e->endpoint.executor = executor;
    e->endpoint.slots = slots;
    e->ring = memory;
    e->doorbell = doorbell;
    return &e->endpoint;
}
