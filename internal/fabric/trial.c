// A client's end of a libfabric connection whose provider is played by a test: what comes, and what
// the completions say, is what the test wants, and everything behind that is the client's own code.
// Also requests that are not the client's own work. No program uses this.
#define _GNU_SOURCE
#include <stdlib.h>
#include <string.h>

#include "ofi_client.h"

enum { RECEIVES = 2 * WIRE_SLOTS_MAX };

struct trial {
    struct ofi_client client;
    struct fabric_client_ops ops;
    struct fi_info info;
    struct fi_tx_attr tx;
    struct fi_ops_cq cq_ops;
    struct fi_ops_msg msg;
    struct fi_ops_rma rma;
    struct fid_cq cq;
    struct fid_ep ep;
    struct fi_cq_data_entry completion;
    int completed;  // the completion waits to be read
    struct {
        void *buffer;
        void *context;
    } receives[RECEIVES];
    size_t posted, used;
};

// ---------------------------------------------------------------- the provider

static ssize_t read_completion(struct fid_cq *cq, void *entries, size_t count) {
    struct trial *t = (struct trial *)((uint8_t *)cq - offsetof(struct trial, cq));
    if (!t->completed || !count)
        return -FI_EAGAIN;
    memcpy(entries, &t->completion, sizeof t->completion);
    t->completed = 0;
    return 1;
}

static ssize_t receive(struct fid_ep *ep, void *buffer, size_t size, void *desc, fi_addr_t from, void *context) {
    struct trial *t = (struct trial *)((uint8_t *)ep - offsetof(struct trial, ep));
    (void)size, (void)desc, (void)from;
    if (t->posted - t->used == RECEIVES)
        return -FI_ENOMEM;
    t->receives[t->posted % RECEIVES].buffer = buffer;
    t->receives[t->posted++ % RECEIVES].context = context;
    return 0;
}

static ssize_t inject(struct fid_ep *ep, const void *buffer, size_t size, fi_addr_t to) {
    (void)ep, (void)buffer, (void)size, (void)to;
    return 0;
}

static ssize_t inject_write(struct fid_ep *ep, const void *buffer, size_t size, uint64_t data, fi_addr_t to, uint64_t address, uint64_t key) {
    (void)data, (void)address, (void)key;
    return inject(ep, buffer, size, to);
}

static void close_trial(struct fabric_client *client) {
    struct trial *t = (struct trial *)client;
    free(t->client.requests);
    free(t->client.responses);
    free(t);
}

// ---------------------------------------------------------------- the trial

struct fabric_client *fabric_trial_client(int sends, uint32_t slots) {
    struct trial *t = calloc(1, sizeof *t);
    if (!t)
        return NULL;
    struct ofi_client *c = &t->client;
    struct ofi_link *l = &c->link;
    t->ops = ofi_client_ops;
    t->ops.close = close_trial;
    t->cq_ops.read = read_completion;
    t->msg.recv = receive;
    t->msg.inject = inject;
    t->rma.injectdata = inject_write;
    t->cq.ops = &t->cq_ops;
    t->ep.msg = &t->msg;
    t->ep.rma = &t->rma;
    t->tx.iov_limit = 1;
    t->info.tx_attr = &t->tx;
    c->client.ops = &t->ops;
    c->client.slots = slots;
    c->client.descriptor = -1;
    c->requests = calloc(slots, WIRE_REQUEST_STRIDE);
    c->responses = calloc(slots, WIRE_RESPONSE_STRIDE);
    l->info = &t->info;
    l->cq = &t->cq;
    l->ep = &t->ep;
    l->sends = sends;
    l->bells.bell = -1;
    l->inject = SIZE_MAX;
    l->signal_every = UINT32_MAX;
    l->abandonment = &c->client.abandonment;
    l->stop = &c->client.abandonment.asked;
    l->text = c->client.text;
    ofi_inbox_open(l, c->responses, WIRE_RESPONSE_STRIDE, slots, NULL);
    if (!c->requests || !c->responses || (sends && ofi_inbox_post(l) < 0)) {
        close_trial(&c->client);
        return NULL;
    }
    return &c->client;
}

int fabric_trial_arrives(struct fabric_client *client, uint32_t number, const void *bytes, size_t size) {
    struct trial *t = (struct trial *)client;
    if (t->completed || size > WIRE_RESPONSE_STRIDE)
        return 0;
    void *place = t->client.responses + (number & (client->slots - 1)) * WIRE_RESPONSE_STRIDE;
    t->completion = (struct fi_cq_data_entry){.flags = FI_REMOTE_WRITE | FI_REMOTE_CQ_DATA, .data = number};
    if (t->client.link.sends) {
        if (t->used == t->posted)
            return 0;
        place = t->receives[t->used % RECEIVES].buffer;
        t->completion = (struct fi_cq_data_entry){.flags = FI_RECV, .len = size, .op_context = t->receives[t->used++ % RECEIVES].context};
    }
    memcpy(place, bytes, size);
    t->completed = 1;
    return 1;
}

int fabric_ofi_submit_raw(struct fabric_client *client, const void *request, size_t size) {
    struct ofi_client *c = (struct ofi_client *)client;
    const uint64_t id = client->submitted + 1, slot = id & (client->slots - 1);
    uint8_t *place = c->requests + slot * WIRE_REQUEST_STRIDE;
    if (id - client->harvested > client->slots || size > WIRE_REQUEST_STRIDE)
        return FABRIC_FULL;
    memcpy(place, request, size);
    atomic_store_explicit(&((struct wire_request *)place)->id, id, memory_order_relaxed);
    if (c->link.sends && id > client->slots) {
        int result = ofi_inbox_free(&c->link, (uint32_t)slot);
        if (result < 0)
            return result;
    }
    client->pending[slot] = (struct fabric_pending){.capacity = UINT64_MAX};
    const struct ofi_part part = {.base = place, .size = size, .mr = c->requests_mr};
    int result = ofi_message(&c->link, id, &part, 1, c->request_address + slot * WIRE_REQUEST_STRIDE, c->request_key);
    if (result == FABRIC_OK)
        client->submitted = id;
    return result;
}
