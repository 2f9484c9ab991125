// The client's end of ofi-write: a request's header and payload are written into the executor's
// slot by one operation; its response comes the same way. A larger payload is written into the
// executor's mirror of the region that it lies in, ahead of the header.
#define _GNU_SOURCE
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "clock.h"
#include "ofi.h"

enum {
    GATHER = 4096,  // payloads above this are sent from where they lie, smaller ones copied behind the header
    ARM_ATTEMPTS = 16,
};

// A region as the client knows it.
struct ofi_region {
    uint8_t *base;
    uint64_t size;
    struct fid_mr *mr;
    int mirrored;  // the executor has it
    uint64_t mirror_address;
    uint64_t mirror_key;
};

struct ofi_client {
    struct fabric_client client;
    struct ofi_link link;
    uint8_t *requests;  // where requests are put together
    uint8_t *responses;
    struct fid_mr *requests_mr;  // NULL unless the provider needs it
    struct fid_mr *responses_mr;
    uint64_t request_address;  // the executor's slots
    uint64_t request_key;
    struct ofi_region regions[WIRE_REGIONS];
};

static int local_registration(const struct ofi_link *l) { return (l->info->domain_attr->mr_mode & FI_MR_LOCAL) != 0; }

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
        if (input && s->input.size > GATHER && c->link.info->tx_attr->iov_limit > 1)
            parts[count++] = (struct ofi_part){input->base + s->input.offset, s->input.size, input->mr};
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
    client->pending[slot] = (struct fabric_pending){.output = s->output.address, .capacity = s->output.size, .flags = flags};

    if (!(flags & (WIRE_INPUT_INLINE | WIRE_INPUT_SLOT)) && input) {
        int result = ofi_write(&c->link, input->base + s->input.offset, s->input.size, input->mr,
                               input->mirror_address + s->input.offset, input->mirror_key);
        if (result < 0)
            return result;
    }
    return ofi_message(&c->link, id, parts, count, c->request_address + slot * WIRE_REQUEST_STRIDE, c->request_key);
}

static int ofi_ready(struct fabric_client *client, uint64_t id, struct wire_response **response) {
    struct ofi_client *c = (struct ofi_client *)client;
    if (c->link.arrived < id) {
        int result = ofi_poll(&c->link);
        if (result < 0)
            return result;
        if (c->link.arrived < id)
            return 0;
    }
    *response = (struct wire_response *)(c->responses + (id & (client->slots - 1)) * WIRE_RESPONSE_STRIDE);
    return atomic_load_explicit(&(*response)->id, memory_order_acquire) == id ? 1 : FABRIC_PROTOCOL;
}

static int ofi_arm(struct fabric_client *client) {
    struct ofi_client *c = (struct ofi_client *)client;
    for (int i = 0; i < ARM_ATTEMPTS; i++) {
        if (ofi_poll(&c->link) < 0 || c->link.arrived > client->harvested)
            return 0;
        if (ofi_may_sleep(&c->link))
            return 1;
        if (c->link.over)
            return 0;
    }
    return 0;
}

static void ofi_disarm(struct fabric_client *client) { (void)client; }

static void ofi_client_close(struct fabric_client *client) {
    struct ofi_client *c = (struct ofi_client *)client;
    // The endpoint first: closing memory regions alone does not stop a write that is on its way.
    ofi_disconnect(&c->link);
    for (uint32_t i = 0; i < WIRE_REGIONS; i++)
        ofi_release(&c->regions[i].mr);
    ofi_release(&c->responses_mr);
    ofi_release(&c->requests_mr);
    ofi_close(&c->link);
    if (client->descriptor >= 0)
        close(client->descriptor);
    free(c);
}

static const struct fabric_client_ops ofi_client_ops = {
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
    int result = ofi_register(&c->link, base, size, FI_WRITE | (writable ? FI_REMOTE_WRITE : 0), &r->mr);
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

// ---------------------------------------------------------------- connecting

static const char *refusal(const struct fi_eq_err_entry *error) {
    uint32_t reason;
    if (error->err_data && error->err_data_size >= sizeof reason) {
        memcpy(&reason, error->err_data, sizeof reason);
        if (reason == WIRE_REFUSED_NONCE)
            return "the executor refused the connection: it knows another nonce";
        if (reason == WIRE_REFUSED_VERSION)
            return "the executor refused the connection: it speaks another wire version";
        if (reason == WIRE_REFUSED_SLOTS)
            return "the executor refused the connection: it was told another number of slots";
    }
    return NULL;
}

static int connect_failed(struct ofi_link *l) {
    struct fi_eq_err_entry error = {0};
    if (fi_eq_readerr(l->eq, &error, 0) < 0)
        error.err = FI_EOTHER;
    const char *reason = refusal(&error);
    if (!reason)
        return ofi_failed(l->text, FABRIC_FAILED, "fi_connect", -error.err);
    snprintf(l->text, FABRIC_TEXT, "fi_connect: %s", reason);
    return FABRIC_FAILED;
}

// Waits for the executor's answer.
static int await_accept(struct ofi_link *l, int milliseconds, struct wire_accept *accept) {
    const uint64_t deadline = clock_nanoseconds() + (uint64_t)milliseconds * 1000000u;
    for (;;) {
        union ofi_event event;
        uint32_t kind;
        ssize_t size = fi_eq_read(l->eq, &kind, &event, sizeof event, 0);
        if (size == -FI_EAVAIL)
            return connect_failed(l);
        if (size >= 0 && kind == FI_CONNECTED) {
            if ((size_t)size < sizeof event.entry + sizeof *accept) {
                snprintf(l->text, FABRIC_TEXT, "fi_connect: the executor's answer is too short");
                return FABRIC_FAILED;
            }
            memcpy(accept, event.room + sizeof event.entry, sizeof *accept);
            return FABRIC_OK;
        }
        if (size >= 0 && kind == FI_SHUTDOWN) {
            snprintf(l->text, FABRIC_TEXT, "fi_connect: the executor ended the connection");
            return FABRIC_FAILED;
        }
        if (size < 0 && size != -FI_EAGAIN && size != -FI_EINTR)
            return ofi_failed(l->text, FABRIC_FAILED, "fi_eq_read", size);
        uint64_t now = clock_nanoseconds();
        if (now >= deadline) {
            snprintf(l->text, FABRIC_TEXT, "fi_connect: no answer in %d ms", milliseconds);
            return FABRIC_FAILED;
        }
        struct fid *queue = &l->eq->fid;
        if (fi_trywait(l->fabric, &queue, 1) == 0) {
            struct pollfd wait = {.fd = l->eq_descriptor, .events = POLLIN};
            poll(&wait, 1, (int)((deadline - now) / 1000000u) + 1);
        }
    }
}

static int connect_link(struct ofi_client *c, const struct fabric_ofi_options *o) {
    struct ofi_link *l = &c->link;
    int result = ofi_register(l, o->responses, (uint64_t)o->slots * WIRE_RESPONSE_STRIDE, FI_REMOTE_WRITE, &c->responses_mr);
    if (result == FABRIC_OK && local_registration(l))
        result = ofi_register(l, o->requests, (uint64_t)o->slots * WIRE_REQUEST_STRIDE, FI_WRITE, &c->requests_mr);
    if (result == FABRIC_OK)
        result = ofi_endpoint(l, l->info, o->slots);
    if (result < 0)
        return result;
    struct wire_connect connect = {
        .version = WIRE_VERSION,
        .slots = o->slots,
        .response_address = ofi_remote_address(l, o->responses),
        .response_key = fi_mr_key(c->responses_mr),
    };
    memcpy(connect.nonce, o->nonce, WIRE_NONCE);
    result = fi_connect(l->ep, l->info->dest_addr, &connect, sizeof connect);
    if (result)
        return ofi_failed(l->text, FABRIC_FAILED, "fi_connect", result);
    struct wire_accept accept = {0};
    result = await_accept(l, o->milliseconds, &accept);
    if (result < 0)
        return result;
    if (accept.version != WIRE_VERSION || accept.slots != o->slots) {
        snprintf(l->text, FABRIC_TEXT, "the executor has wire version %u and %u slots, this program version %d and %u", accept.version,
                 accept.slots, WIRE_VERSION, o->slots);
        return FABRIC_FAILED;
    }
    c->request_address = accept.request_address;
    c->request_key = accept.request_key;
    l->connected = 1;
    return FABRIC_OK;
}

// One descriptor that tells of both queues: a provider may announce the peer's end on either.
static int join_descriptors(struct ofi_client *c) {
    c->client.descriptor = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN};
    if (c->client.descriptor < 0 || epoll_ctl(c->client.descriptor, EPOLL_CTL_ADD, c->link.cq_descriptor, &event) != 0 ||
        epoll_ctl(c->client.descriptor, EPOLL_CTL_ADD, c->link.eq_descriptor, &event) != 0) {
        snprintf(c->link.text, FABRIC_TEXT, "epoll: %m");
        return FABRIC_FAILED;
    }
    return FABRIC_OK;
}

struct fabric_client *fabric_ofi_connect(const struct fabric_ofi_options *o, const uint8_t *name, size_t name_size, char *provider, char *text) {
    struct fi_info *info;
    if (name_size <= sizeof(uint32_t)) {
        snprintf(text, FABRIC_TEXT, "the executor's name is too short");
        return NULL;
    }
    if (ofi_find(o->provider, NULL, name, name_size, &info, text) < 0)
        return NULL;
    struct ofi_client *c = calloc(1, sizeof *c);
    if (!c) {
        ofi_load(text)->freeinfo(info);
        snprintf(text, FABRIC_TEXT, "out of memory");
        return NULL;
    }
    c->client.ops = &ofi_client_ops;
    c->client.slots = o->slots;
    c->client.descriptor = -1;
    c->requests = o->requests;
    c->responses = o->responses;
    c->link.text = c->client.text;
    c->link.stop = &c->client.abandoned;
    int result = ofi_open(&c->link, info);
    if (result == FABRIC_OK)
        result = connect_link(c, o);
    if (result == FABRIC_OK)
        result = join_descriptors(c);
    if (result < 0) {
        memcpy(text, c->client.text, FABRIC_TEXT);
        ofi_client_close(&c->client);
        return NULL;
    }
    snprintf(provider, FABRIC_OFI_PROVIDER, "%s", c->link.info->fabric_attr->prov_name);
    return &c->client;
}
