// The executor's end of ofi-write.
//
//	listening ── a client that knows the nonce ──▶ accepted ── FI_CONNECTED ──▶ connected
//
// The loop's thread does all of it, in next and sleep; others are refused, and it goes on
// listening. Regions are registered by another thread meanwhile; what libfabric calls a domain
// is used by one thread at a time, so both take the lock, and the loop gives way.
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "ofi_endpoint.h"

// ---------------------------------------------------------------- meeting the client

// What is wrong with a request for connection, or 0. Takes equally long for every nonce.
static uint32_t examine(const struct ofi_endpoint *e, const struct wire_connect *connect, size_t size) {
    uint8_t difference = 0;
    if (size < sizeof *connect)
        return WIRE_REFUSED_NONCE;
    for (int i = 0; i < WIRE_NONCE; i++)
        difference |= connect->nonce[i] ^ e->nonce[i];
    if (difference)
        return WIRE_REFUSED_NONCE;
    if (connect->version != WIRE_VERSION)
        return WIRE_REFUSED_VERSION;
    return connect->slots == e->endpoint.slots ? 0 : WIRE_REFUSED_SLOTS;
}

static int meet(struct ofi_endpoint *e, union ofi_event *event, size_t size) {
    struct ofi_link *l = &e->link;
    struct fi_info *info = event->entry.info;
    struct wire_connect connect;
    size_t data = size > sizeof event->entry ? size - sizeof event->entry : 0;
    memcpy(&connect, event->room + sizeof event->entry, sizeof connect);
    uint32_t refused = examine(e, &connect, data);
    int result = FABRIC_OK;
    if (refused) {
        // If the stranger is gone already there is nobody to refuse.
        fi_reject(e->passive, info->handle, &refused, sizeof refused);
    } else {
        struct wire_accept accept = {
            .version = WIRE_VERSION,
            .slots = e->endpoint.slots,
            .request_address = ofi_remote_address(l, e->requests),
            .request_key = fi_mr_key(e->requests_mr),
        };
        e->response_address = connect.response_address;
        e->response_key = connect.response_key;
        result = ofi_endpoint(l, info, e->endpoint.slots);
        if (result == FABRIC_OK) {
            result = fi_accept(l->ep, &accept, sizeof accept);
            if (result)
                result = ofi_failed(l->text, FABRIC_BROKEN, "fi_accept", result);
        }
        if (result == FABRIC_OK)
            e->state = ACCEPTED;
    }
    l->library->freeinfo(info);
    return result;
}

static void stop_listening(struct ofi_endpoint *e) {
    if (e->passive)
        fi_close(&e->passive->fid);
    e->passive = NULL;
}

// Looks for one event of the meeting.
static int greet(struct ofi_endpoint *e) {
    struct ofi_link *l = &e->link;
    union ofi_event event = {0};
    uint32_t kind;
    ssize_t size = fi_eq_read(l->eq, &kind, &event, sizeof event, 0);
    if (size == -FI_EAGAIN || size == -FI_EINTR)
        return FABRIC_OK;
    if (size == -FI_EAVAIL) {
        int result = ofi_event_failed(l, "fi_accept");
        // A stranger that does not get as far as asking is none of our concern.
        return e->state == LISTENING ? FABRIC_OK : result;
    }
    if (size < 0)
        return ofi_failed(l->text, FABRIC_FAILED, "fi_eq_read", size);
    switch (kind) {
    case FI_CONNREQ:
        if (e->state == LISTENING)
            return meet(e, &event, (size_t)size);
        fi_reject(e->passive, event.entry.info->handle, NULL, 0);
        l->library->freeinfo(event.entry.info);
        return FABRIC_OK;
    case FI_CONNECTED:
        e->state = CONNECTED;
        l->connected = 1;
        stop_listening(e);
        return FABRIC_OK;
    case FI_SHUTDOWN:
        snprintf(l->text, FABRIC_TEXT, "it ended the connection");
        return FABRIC_BROKEN;
    }
    return FABRIC_OK;
}

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
        int result = greet(e);
        if (result < 0 || e->state == LISTENING)
            return result;
    }
    return ofi_poll(&e->link);
}

static int ofi_next(struct fabric_endpoint *endpoint, uint64_t id, struct fabric_arrival *arrival) {
    struct ofi_endpoint *e = (struct ofi_endpoint *)endpoint;
    if (e->link.arrived < id) {
        if (atomic_load_explicit(&e->waiting, memory_order_relaxed)) {
            sched_yield();
            return 0;
        }
        take_turn(e);
        int result = ofi_look(e);
        end_turn(e);
        if (result < 0)
            return result;
        if (e->link.arrived < id)
            return 0;
    }
    const uint64_t slot = id & (endpoint->slots - 1);
    const struct wire_request *request = (const struct wire_request *)(e->requests + slot * WIRE_REQUEST_STRIDE);
    if (atomic_load_explicit(&request->id, memory_order_acquire) != id) {
        snprintf(endpoint->text, FABRIC_TEXT, "request %llu was announced, but another lies in its slot", (unsigned long long)id);
        return FABRIC_PROTOCOL;
    }
    arrival->request = request;
    arrival->payload = (const uint8_t *)(request + 1);
    arrival->response = (struct wire_response *)(e->responses + slot * WIRE_RESPONSE_STRIDE);
    return 1;
}

// Writes an output that lies in a region's mirror into the client's memory. The request may have
// changed since the function ran, so it is checked again.
static int write_output(struct ofi_endpoint *e, const struct wire_request *request, uint64_t size) {
    const struct wire_ref output = request->output;
    const struct fabric_region *region = &e->endpoint.executor->regions[output.region < WIRE_REGIONS ? output.region : 0];
    if (!atomic_load_explicit(&region->mapped, memory_order_acquire) || !region->output || output.offset > region->size ||
        size > region->size - output.offset) {
        snprintf(e->endpoint.text, FABRIC_TEXT, "a request was changed while its function ran");
        return FABRIC_PROTOCOL;
    }
    return ofi_write(&e->link, region->output + output.offset, size, region->handle, region->remote_address + output.offset, region->remote_key);
}

static int ofi_respond(struct fabric_endpoint *endpoint, uint64_t id, const struct fabric_arrival *arrival) {
    struct ofi_endpoint *e = (struct ofi_endpoint *)endpoint;
    struct wire_response *response = arrival->response;
    const uint32_t flags = arrival->request->flags;
    const int worked = response->status == WIRE_OK;
    struct ofi_part part = {response, sizeof *response + response->text_size, e->responses_mr};
    int result = FABRIC_OK;

    if (worked && (flags & WIRE_OUTPUT_SLOT))
        part.size += response->size < WIRE_SLOT_PAYLOAD ? response->size : WIRE_SLOT_PAYLOAD;
    atomic_store_explicit(&response->id, id, memory_order_relaxed);
    take_turn(e);
    if (worked && response->size && !(flags & (WIRE_OUTPUT_INLINE | WIRE_OUTPUT_SLOT)))
        result = write_output(e, arrival->request, response->size);
    if (result == FABRIC_OK)
        result = ofi_message(&e->link, id, &part, 1, e->response_address + (id & (endpoint->slots - 1)) * WIRE_RESPONSE_STRIDE, e->response_key);
    end_turn(e);
    return result;
}

static int ofi_sleep(struct fabric_endpoint *endpoint, uint64_t id) {
    struct ofi_endpoint *e = (struct ofi_endpoint *)endpoint;
    // Bytes that are only part of a message, or that leave, wake us too: go on until there is a
    // whole one.
    while (e->link.arrived < id && !atomic_load(&endpoint->executor->stop)) {
        take_turn(e);
        int result = ofi_look(e);
        int may = result == FABRIC_OK && e->link.arrived < id && ofi_may_sleep(&e->link);
        end_turn(e);
        if (result < 0)
            return result;
        if (!may)
            continue;
        struct pollfd wait[] = {
            {.fd = e->link.cq_descriptor, .events = POLLIN},
            {.fd = e->link.eq_descriptor, .events = POLLIN},
            {.fd = e->doorbell, .events = POLLIN},
        };
        poll(wait, 3, -1);
        if (wait[2].revents) {
            uint64_t count;
            while (read(e->doorbell, &count, sizeof count) < 0 && errno == EINTR)
                ;
        }
    }
    return FABRIC_OK;
}

static void ofi_wake(struct fabric_endpoint *endpoint) {
    uint64_t one = 1;
    while (write(((struct ofi_endpoint *)endpoint)->doorbell, &one, sizeof one) < 0 && errno == EINTR)
        ;
}

static void ofi_endpoint_close(struct fabric_endpoint *endpoint) {
    struct ofi_endpoint *e = (struct ofi_endpoint *)endpoint;
    ofi_progress_close(e);
    stop_listening(e);
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
    int result = ofi_register(&e->link, base, size, FI_REMOTE_WRITE | FI_WRITE, &mr);
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

// ---------------------------------------------------------------- listening

static int listen_at(struct ofi_endpoint *e, uint8_t *name, size_t *name_size) {
    struct ofi_link *l = &e->link;
    int result = ofi_register(l, e->requests, (uint64_t)e->endpoint.slots * WIRE_REQUEST_STRIDE, FI_REMOTE_WRITE, &e->requests_mr);
    if (result == FABRIC_OK && (l->info->domain_attr->mr_mode & FI_MR_LOCAL))
        result = ofi_register(l, e->responses, (uint64_t)e->endpoint.slots * WIRE_RESPONSE_STRIDE, FI_WRITE, &e->responses_mr);
    if (result < 0)
        return result;
    result = fi_passive_ep(l->fabric, l->info, &e->passive, NULL);
    if (result)
        return ofi_failed(l->text, FABRIC_FAILED, "fi_passive_ep", result);
    result = fi_pep_bind(e->passive, &l->eq->fid, 0);
    if (result)
        return ofi_failed(l->text, FABRIC_FAILED, "fi_pep_bind", result);
    result = fi_listen(e->passive);
    if (result)
        return ofi_failed(l->text, FABRIC_FAILED, "fi_listen", result);
    // A name is the address's format and the address.
    uint32_t format = l->info->addr_format;
    *name_size = FABRIC_OFI_NAME - sizeof format;
    memcpy(name, &format, sizeof format);
    result = fi_getname(&e->passive->fid, name + sizeof format, name_size);
    if (result)
        return ofi_failed(l->text, FABRIC_FAILED, "fi_getname", result);
    *name_size += sizeof format;
    return FABRIC_OK;
}

struct fabric_endpoint *fabric_ofi_listen(struct fabric_executor *executor, const struct fabric_ofi_options *o, const char *address,
                                          uint8_t *name, size_t *name_size, char *provider, char *text) {
    struct fi_info *info;
    if (ofi_find(o->provider, address, NULL, 0, &info, text) < 0)
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
    e->progress.bell = -1;
    e->doorbell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    int result = ofi_open(&e->link, info);
    if (result == FABRIC_OK && e->doorbell < 0) {
        snprintf(e->endpoint.text, FABRIC_TEXT, "eventfd: %m");
        result = FABRIC_FAILED;
    }
    if (result == FABRIC_OK)
        result = ofi_progress_open(e);
    if (result == FABRIC_OK)
        result = listen_at(e, name, name_size);
    if (result < 0) {
        memcpy(text, e->endpoint.text, FABRIC_TEXT);
        ofi_endpoint_close(&e->endpoint);
        return NULL;
    }
    snprintf(provider, FABRIC_OFI_PROVIDER, "%s", e->link.info->fabric_attr->prov_name);
    return &e->endpoint;
}
