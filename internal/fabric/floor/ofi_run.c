/* Ping-pong, and one way pipelined, between two ends that have met. */
#define _GNU_SOURCE
#include <stdio.h>
#include <string.h>

#include "ofi.h"

int floor_ofi_receive(struct floor_ofi *e) {
    ssize_t result = e->sends ? fi_recv(e->ep, floor_ofi_in(e, e->received++), e->size, fi_mr_desc(e->mr), FI_ADDR_UNSPEC, NULL)
                              : fi_recv(e->ep, NULL, 0, NULL, FI_ADDR_UNSPEC, NULL);
    return result ? floor_ofi_failed(e->text, "fi_recv", result) : FLOOR_OK;
}

static int poll_once(struct floor_ofi *e) {
    struct fi_cq_data_entry entries[FLOOR_RECEIVES];
    ssize_t count = fi_cq_read(e->cq, entries, FLOOR_RECEIVES);
    if (count == -FI_EAGAIN || count == -FI_EINTR)
        return FLOOR_OK;
    if (count < 0) {
        struct fi_cq_err_entry error = {0};
        if (count == -FI_EAVAIL && fi_cq_readerr(e->cq, &error, 0) >= 0)
            count = -error.err;
        return floor_ofi_failed(e->text, "an operation", count);
    }
    for (ssize_t i = 0; i < count; i++) {
        /* Not by FI_REMOTE_CQ_DATA: some providers' local completions carry it too. */
        if (!(entries[i].flags & (FI_REMOTE_WRITE | FI_RECV)))
            continue;
        e->arrivals[e->arrived++ % FLOOR_ARRIVALS] = (uint8_t)entries[i].data;
        if ((e->sends || e->posts_receives) && floor_ofi_receive(e) < 0)
            return FLOOR_FAILED;
    }
    return FLOOR_OK;
}

/* The message that comes next, or a failure. */
static int take(struct floor_ofi *e) {
    uint32_t turns = 0;
    uint64_t began = 0;
    while (e->taken == e->arrived) {
        if (poll_once(e) < 0)
            return FLOOR_FAILED;
        if (e->taken == e->arrived && !floor_spin(&turns, &began)) {
            snprintf(e->text, FLOOR_TEXT, "the other end of the floor over libfabric has been silent for %d s", FLOOR_PATIENCE);
            return FLOOR_FAILED;
        }
    }
    return e->arrivals[e->taken++ % FLOOR_ARRIVALS];
}

/* Posts the i-th payload, of size bytes; what is small is copied away at once. */
static int post(struct floor_ofi *e, uint64_t i, uint64_t size, enum floor_message message) {
    uint8_t *out = floor_ofi_out(e, i);
    const uint64_t to = e->peer_address + i % e->window * e->size;
    uint32_t turns = 0;
    uint64_t began = 0;
    for (;;) {
        const int signal = e->unsignalled + 1 >= e->signal_every;
        ssize_t result;
        if (size <= e->info->tx_attr->inject_size && !signal)
            result = e->sends ? fi_injectdata(e->ep, out, size, message, e->peer)
                              : fi_inject_writedata(e->ep, out, size, message, e->peer, to, e->peer_key);
        else {
            struct iovec local = {out, size};
            void *descriptor = fi_mr_desc(e->mr);
            struct fi_rma_iov remote = {.addr = to, .len = size, .key = e->peer_key};
            const uint64_t flags = FI_REMOTE_CQ_DATA | (signal ? FI_COMPLETION : 0);
            struct fi_msg_rma write = {&local, &descriptor, 1, e->peer, &remote, 1, NULL, message};
            struct fi_msg send = {&local, &descriptor, 1, e->peer, NULL, message};
            result = e->sends ? fi_sendmsg(e->ep, &send, flags) : fi_writemsg(e->ep, &write, flags);
        }
        if (result == 0) {
            e->unsignalled = signal ? 0 : e->unsignalled + 1;
            return FLOOR_OK;
        }
        if (result != -FI_EAGAIN)
            return floor_ofi_failed(e->text, "posting", result);
        if (poll_once(e) < 0)
            return FLOOR_FAILED;
        if (!floor_spin(&turns, &began)) {
            snprintf(e->text, FLOOR_TEXT, "the floor over libfabric could post nothing for %d s", FLOOR_PATIENCE);
            return FLOOR_FAILED;
        }
    }
}

static void fill(const struct floor_ofi *e, const struct floor_block *b, uint64_t i) {
    if (!b->touch)
        return;
    if (b->size >= sizeof i) /* fresh */
        memcpy((void *)(uintptr_t)b->source, &i, sizeof i);
    memcpy(floor_ofi_out(e, i), b->source, b->size);
}

static int ping_pong(struct floor_ofi *e, const struct floor_block *b) {
    uint64_t before = floor_nanoseconds();
    for (uint64_t i = 0; i < b->count; i++) {
        if (b->gap) {
            floor_pause(b->gap);
            before = floor_nanoseconds();
        }
        fill(e, b, i);
        if (post(e, 0, b->size ? b->size : 1, FLOOR_PING) < 0 || take(e) < 0)
            return FLOOR_FAILED;
        if (b->touch)
            memcpy(b->destination, floor_ofi_in(e, 0), b->size);
        uint64_t now = floor_nanoseconds();
        b->samples[i] = now - before;
        before = now;
    }
    return FLOOR_OK;
}

static int one_way(struct floor_ofi *e, const struct floor_block *b) {
    uint64_t before = floor_nanoseconds(), posted = 0;
    for (uint64_t answered = 0; answered < b->count; answered++) {
        for (; posted < b->count && posted - answered < (uint64_t)b->window; posted++) {
            fill(e, b, posted);
            if (post(e, posted, b->size ? b->size : 1, FLOOR_PUSH) < 0)
                return FLOOR_FAILED;
        }
        if (take(e) < 0)
            return FLOOR_FAILED;
        uint64_t now = floor_nanoseconds();
        b->samples[answered] = now - before;
        before = now;
    }
    return FLOOR_OK;
}

/* A block begins with a message that says how many bytes its payloads have. */
static int announce(struct floor_ofi *e, uint64_t size) {
    memcpy(floor_ofi_out(e, 0), &size, sizeof size);
    return post(e, 0, sizeof size, FLOOR_END) < 0 ? FLOOR_FAILED : take(e);
}

int floor_ofi_run(struct floor_ofi *e, const struct floor_block *b) {
    e->text = b->text;
    int result = announce(e, b->size ? b->size : 1);
    floor_ofi_unlink(e);
    if (result >= 0)
        result = b->window ? one_way(e, b) : ping_pong(e, b);
    if (result >= 0)
        result = post(e, 0, 1, FLOOR_END);
    if (result >= 0)
        result = take(e);
    return result < 0 ? FLOOR_FAILED : FLOOR_OK;
}

int floor_ofi_serve(struct floor_ofi *e, uint32_t touch, char *text) {
    uint64_t size = 0;
    int opened = 0;
    e->text = text;
    for (;;) {
        int message = take(e);
        int result = message;
        if (message == FLOOR_PING) {
            if (touch)
                memcpy(floor_ofi_out(e, 0), floor_ofi_in(e, 0), size);
            result = post(e, 0, size, FLOOR_PING);
        } else if (message == FLOOR_PUSH)
            result = post(e, 0, 1, FLOOR_PUSH);
        else if (message == FLOOR_END) {
            if (!opened)
                memcpy(&size, floor_ofi_in(e, e->sends ? e->taken - 1 : 0), sizeof size); /* receives are taken in their order */
            result = post(e, 0, 1, FLOOR_END);
            if (opened++ && result >= 0)
                return FLOOR_OK;
        }
        if (result < 0)
            return FLOOR_FAILED;
    }
}
