// The executor's end over libfabric: what the loop calls, and the regions. Regions are registered
// by another thread than the loop's, and a third moves what is on its way while a function runs;
// what libfabric calls a domain is used by one thread at a time, so all take the lock, and the
// loop gives way.
#define _GNU_SOURCE
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "ofi_endpoint.h"

// ---------------------------------------------------------------- the loop's operations

static void take_turn(struct ofi_endpoint *e) { pthread_mutex_lock(&e->lock); }

static void end_turn(struct ofi_endpoint *e) { pthread_mutex_unlock(&e->lock); }

static void give_way(struct ofi_link *l) {
    struct ofi_endpoint *e = (struct ofi_endpoint *)((uint8_t *)l - offsetof(struct ofi_endpoint, link));
    if (!atomic_load_explicit(&e->waiting, memory_order_relaxed))
        return;
    end_turn(e);
    while (atomic_load_explicit(&e->waiting, memory_order_relaxed))
        sched_yield();
    take_turn(e);
}

int ofi_look(struct ofi_endpoint *e) {
    if (e->state != CONNECTED) {
        int result = ofi_meet(e);
        if (result < 0 || e->state == LISTENING)
            return result;
    }
    int result = ofi_poll(&e->link);
    if (result == FABRIC_OK && e->link.av && e->state == CONNECTED && e->link.greeted) {
        snprintf(e->endpoint.text, FABRIC_TEXT, "it ended the connection");
        return ofi_over(&e->link, FABRIC_BROKEN);
    }
    return result;
}

// Whether all of an input that rides with its request has come: behind it lies what an earlier
// message has left. (Over ofi-write nobody tells how much was written.)
static int has_payload(const struct ofi_endpoint *e, uint64_t slot, const struct wire_request *request) {
    const size_t size = e->link.inbox.sizes[slot];
    return !e->link.sends || (size >= sizeof *request && request->input_size <= size - sizeof *request);
}

static int ofi_next(struct fabric_endpoint *endpoint, uint64_t id, struct fabric_arrival *arrival) {
    struct ofi_endpoint *e = (struct ofi_endpoint *)endpoint;
    if (!ofi_has(&e->link, id)) {
        if (atomic_load_explicit(&e->waiting, memory_order_relaxed)) {
            sched_yield();
            return 0;
        }
        take_turn(e);
        int result = ofi_look(e);
        end_turn(e);
        if (result < 0)
            return result;
        if (!ofi_has(&e->link, id))
            return 0;
    }
    const uint64_t slot = id & (endpoint->slots - 1);
    const struct wire_request *request = (const struct wire_request *)(e->requests + slot * WIRE_REQUEST_STRIDE);
    if (e->link.sends)
        request = (const struct wire_request *)ofi_inbox_at(&e->link, id);
    if (atomic_load_explicit(&request->id, memory_order_acquire) != id) {
        snprintf(endpoint->text, FABRIC_TEXT, "request %llu was announced, but another lies in its slot", (unsigned long long)id);
        return FABRIC_PROTOCOL;
    }
    arrival->request = request;
    arrival->payload = has_payload(e, slot, request) ? (const uint8_t *)(request + 1) : NULL;
    arrival->response = (struct wire_response *)(e->responses + slot * WIRE_RESPONSE_STRIDE);
    arrival->room = WIRE_SLOT_PAYLOAD;
    return 1;
}

// The region that an output of that size lies in. The request may have changed since the function
// ran, so it is checked again.
static const struct fabric_region *find_output(struct ofi_endpoint *e, const struct wire_ref *output, uint64_t size) {
    const struct fabric_region *region = &e->endpoint.executor->regions[output->region < WIRE_REGIONS ? output->region : 0];
    if (atomic_load_explicit(&region->mapped, memory_order_acquire) && region->output && output->offset <= region->size &&
        size <= region->size - output->offset)
        return region;
    snprintf(e->endpoint.text, FABRIC_TEXT, "a request was changed while its function ran");
    return NULL;
}

static int ofi_respond(struct fabric_endpoint *endpoint, uint64_t id, const struct fabric_arrival *arrival) {
    struct ofi_endpoint *e = (struct ofi_endpoint *)endpoint;
    struct wire_response *response = arrival->response;
    const uint32_t flags = arrival->request->flags;
    const int worked = response->status == WIRE_OK;
    const struct wire_ref output = arrival->request->output;
    const struct fabric_region *region = NULL;
    struct ofi_part parts[2] = {{.base = response, .size = sizeof *response + response->text_size, .mr = e->responses_mr}};
    int result = FABRIC_OK, count = 1;

    if (worked && (flags & WIRE_OUTPUT_SLOT))
        parts[0].size += response->size < WIRE_SLOT_PAYLOAD ? response->size : WIRE_SLOT_PAYLOAD;
    atomic_store_explicit(&response->id, id, memory_order_relaxed);
    if (worked && response->size && !(flags & (WIRE_OUTPUT_INLINE | WIRE_OUTPUT_SLOT))) {
        region = find_output(e, &output, response->size);
        if (!region)
            return FABRIC_PROTOCOL;
    }
    take_turn(e);
    if (e->link.sends)
        result = ofi_answer(e, id, parts, region, output.offset, response->size);
    else {
        if (region)
            result = ofi_add_payload(&e->link, &parts[1], &count, region->output + output.offset, response->size, region->handle,
                                     region->remote_address + output.offset, region->remote_key);
        if (result == FABRIC_OK)
            result = ofi_message(&e->link, id, parts, count, e->response_address + (id & (endpoint->slots - 1)) * WIRE_RESPONSE_STRIDE,
                                 e->response_key);
    }
    end_turn(e);
    return result;
}

static int ofi_sleep(struct fabric_endpoint *endpoint, uint64_t id) {
    struct ofi_endpoint *e = (struct ofi_endpoint *)endpoint;
    struct ofi_sleep sleep;
    // Bytes that are only part of a message, or that leave, wake us too: go on until there is a
    // whole one.
    while (!ofi_has(&e->link, id) && !atomic_load(&endpoint->executor->stop)) {
        take_turn(e);
        int result = ofi_look(e);
        int may = result == FABRIC_OK && !ofi_has(&e->link, id) && ofi_may_sleep(&e->link, &sleep) && !ofi_has(&e->link, id) && !atomic_load(&endpoint->executor->stop);
        end_turn(e);
        if (may && ofi_sleep_on(&e->link, &sleep, e->doorbell)) {
            uint64_t count;
            while (read(e->doorbell, &count, sizeof count) < 0 && errno == EINTR)
                ;
        }
        ofi_awake(&e->link);
        if (result < 0)
            return result;
    }
    return FABRIC_OK;
}

static void ofi_wake(struct fabric_endpoint *endpoint) {
    struct ofi_endpoint *e = (struct ofi_endpoint *)endpoint;
    uint64_t one = 1;
    while (write(e->doorbell, &one, sizeof one) < 0 && errno == EINTR)
        ;
    ofi_wake_own(&e->link);
}

static void ofi_endpoint_close(struct fabric_endpoint *endpoint) {
    struct ofi_endpoint *e = (struct ofi_endpoint *)endpoint;
    ofi_progress_close(e);
    ofi_stop_listening(e);
    ofi_disconnect(&e->link);
    for (uint32_t i = 1; i < WIRE_REGIONS; i++)
        fabric_ofi_unmirror(endpoint, i);
    ofi_release(&e->requests_mr);
    ofi_release(&e->responses_mr);
    ofi_close(&e->link);
    if (e->doorbell >= 0)
        close(e->doorbell);
    pthread_mutex_destroy(&e->lock);
    free(e);
}

static const struct fabric_endpoint_ops ofi_endpoint_ops = {
    .next = ofi_next,
    .respond = ofi_respond,
    .computing = ofi_computing,
    .sleep = ofi_sleep,
    .wake = ofi_wake,
    .close = ofi_endpoint_close,
};

// ---------------------------------------------------------------- regions

static void take_lock(struct ofi_endpoint *e) {
    atomic_fetch_add(&e->waiting, 1);
    pthread_mutex_lock(&e->lock);
    atomic_fetch_sub(&e->waiting, 1);
}

int fabric_ofi_mirror(struct fabric_endpoint *endpoint, uint32_t region, void *base, uint64_t size, int read_only, uint64_t client_address,
                      uint64_t client_key, uint64_t *address, uint64_t *key, char *text) {
    struct ofi_endpoint *e = (struct ofi_endpoint *)endpoint;
    struct fabric_region *r = &endpoint->executor->regions[region];
    struct fid_mr *mr;
    if (size > WIRE_SLOT_PAYLOAD && ofi_progress_start(e, text) < 0)
        return FABRIC_FAILED;
    take_lock(e);
    int result = ofi_register(&e->link, base, size, FI_REMOTE_WRITE | FI_WRITE | FI_READ, &mr);
    if (result < 0)
        memcpy(text, e->link.text, FABRIC_TEXT);
    else {
        *address = ofi_remote_address(&e->link, base);
        *key = fi_mr_key(mr);
        r->input = base;
        r->output = read_only ? NULL : base;
        r->size = size;
        r->remote_address = client_address;
        r->remote_key = client_key;
        r->handle = mr;
        atomic_store_explicit(&r->mapped, 1, memory_order_release);
    }
    pthread_mutex_unlock(&e->lock);
    return result;
}

void fabric_ofi_unmirror(struct fabric_endpoint *endpoint, uint32_t region) {
    struct ofi_endpoint *e = (struct ofi_endpoint *)endpoint;
    struct fabric_region *r = &endpoint->executor->regions[region];
    if (!r->handle)
        return;
    take_lock(e);
    atomic_store_explicit(&r->mapped, 0, memory_order_release);
    struct fid_mr *mr = r->handle;
    r->handle = NULL;
    ofi_release(&mr);
    pthread_mutex_unlock(&e->lock);
}

// ---------------------------------------------------------------- opening

struct fabric_endpoint *fabric_ofi_listen(struct fabric_executor *executor, const struct fabric_ofi_options *o, const char *address,
                                          uint8_t *name, size_t *name_size, char *provider, char *text) {
    struct fi_info *info;
    if (ofi_find(o->provider, o->sends, address, NULL, 0, &info, text) < 0)
        return NULL;
    struct ofi_endpoint *e = calloc(1, sizeof *e);
    if (!e) {
        ofi_load(text)->freeinfo(info);
        snprintf(text, FABRIC_TEXT, "out of memory");
        return NULL;
    }
    pthread_mutex_init(&e->lock, NULL);
    e->endpoint.ops = &ofi_endpoint_ops;
    e->endpoint.executor = executor;
    e->endpoint.slots = o->slots;
    e->requests = o->requests;
    e->responses = o->responses;
    memcpy(e->nonce, o->nonce, WIRE_NONCE);
    e->link.text = e->endpoint.text;
    e->link.stop = &executor->stop;
    e->link.give_way = give_way;
    e->link.bells = (struct ofi_bells){.bell = -1};
    e->progress.bell = -1;
    e->doorbell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    int result = ofi_open(&e->link, info, o, 1);
    if (result == FABRIC_OK && e->doorbell < 0) {
        snprintf(e->endpoint.text, FABRIC_TEXT, "eventfd: %m");
        result = FABRIC_FAILED;
    }
    if (result == FABRIC_OK)
        result = ofi_progress_open(e);
    if (result == FABRIC_OK)
        result = ofi_listen(e, name, name_size);
    if (result < 0) {
        memcpy(text, e->endpoint.text, FABRIC_TEXT);
        ofi_endpoint_close(&e->endpoint);
        return NULL;
    }
    snprintf(provider, FABRIC_OFI_PROVIDER, "%s", e->link.info->fabric_attr->prov_name);
    return &e->endpoint;
}
