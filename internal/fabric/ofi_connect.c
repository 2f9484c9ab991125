// How a client meets its executor. Over endpoints that connect, the connection's data carry nonce,
// address and key there and back; over others two messages do, and either end removes what names
// both of them in the file system.
#define _GNU_SOURCE
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "clock.h"
#include "ofi_client.h"

enum { GOODBYE = 10 };  // milliseconds that a goodbye may take
enum { GLANCE = 20 };   // milliseconds from one look at whether to stop to the next

// ---------------------------------------------------------------- over endpoints that connect

static const char *refusal(uint32_t reason) {
    switch (reason) {
    case WIRE_REFUSED_NONCE:
        return "the executor refused the connection: it knows another nonce";
    case WIRE_REFUSED_VERSION:
        return "the executor refused the connection: it speaks another wire version";
    case WIRE_REFUSED_SLOTS:
        return "the executor refused the connection: it was told another number of slots";
    }
    return NULL;
}

static int connect_failed(struct ofi_link *l) {
    struct fi_eq_err_entry error = {0};
    if (fi_eq_readerr(l->eq, &error, 0) < 0)
        error.err = FI_EOTHER;
    uint32_t code = 0;
    if (error.err_data && error.err_data_size >= sizeof code)
        memcpy(&code, error.err_data, sizeof code);
    const char *reason = refusal(code);
    if (!reason)
        return ofi_failed(l->text, FABRIC_FAILED, "fi_connect", -error.err);
    snprintf(l->text, FABRIC_TEXT, "fi_connect: %s", reason);
    return FABRIC_FAILED;
}

// The executor may be gone, of which not every provider tells.
static int is_stopped(struct ofi_link *l) {
    if (!atomic_load_explicit(l->stop, memory_order_relaxed))
        return 0;
    snprintf(l->text, FABRIC_TEXT, "the executor is gone");
    return 1;
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
        if (is_stopped(l))
            return FABRIC_FAILED;
        uint64_t now = clock_nanoseconds();
        if (now >= deadline) {
            snprintf(l->text, FABRIC_TEXT, "fi_connect: no answer in %d ms", milliseconds);
            return FABRIC_FAILED;
        }
        struct fid *queue = &l->eq->fid;
        if (fi_trywait(l->fabric, &queue, 1) == 0) {
            struct pollfd wait = {.fd = l->eq_descriptor, .events = POLLIN};
            int rest = (int)((deadline - now) / 1000000u) + 1;
            poll(&wait, 1, rest < GLANCE ? rest : GLANCE);
        }
    }
}

static int connect_by_event(struct ofi_link *l, const struct fabric_ofi_options *o, const struct wire_connect *connect,
                            struct wire_accept *accept) {
    int result = fi_connect(l->ep, l->info->dest_addr, connect, sizeof *connect);
    if (result)
        return ofi_failed(l->text, FABRIC_FAILED, "fi_connect", result);
    result = await_accept(l, o->milliseconds, accept);
    l->connected = result == FABRIC_OK;
    return result;
}

// ---------------------------------------------------------------- over those that do not

static int await_answer(struct ofi_link *l, int milliseconds, struct wire_accept *accept) {
    const uint64_t deadline = clock_nanoseconds() + (uint64_t)milliseconds * 1000000u;
    while (!l->greeted) {
        int result = ofi_poll(l);
        if (result < 0 || is_stopped(l))
            return FABRIC_FAILED;
        if (clock_nanoseconds() >= deadline) {
            snprintf(l->text, FABRIC_TEXT, "the executor has not answered a greeting for %d ms", milliseconds);
            return FABRIC_FAILED;
        }
        ofi_ring(l);  // it may sleep, and have only half understood
        sched_yield();
    }
    struct wire_answer answer;
    if (l->greeted < sizeof answer) {
        snprintf(l->text, FABRIC_TEXT, "the executor's answer is too short");
        return FABRIC_FAILED;
    }
    memcpy(&answer, l->greeting_room, sizeof answer);
    const char *reason = refusal(answer.refused);
    if (reason) {
        snprintf(l->text, FABRIC_TEXT, "%s", reason);
        return FABRIC_FAILED;
    }
    *accept = answer.accept;
    return FABRIC_OK;
}

static int connect_by_message(struct ofi_link *l, const struct fabric_ofi_options *o, const struct wire_connect *connect, const uint8_t *name,
                              size_t name_size, struct wire_accept *accept) {
    struct wire_greeting greeting = {.connect = *connect};
    size_t size = 0;
    int result = ofi_name(l, &l->ep->fid, greeting.name, &size);
    if (result == FABRIC_OK)
        result = ofi_know(l, name, name_size, &l->peer);
    if (result == FABRIC_OK)
        result = ofi_find_locks(l, greeting.name, size, name, name_size);
    if (result == FABRIC_OK) {
        greeting.name_size = (uint32_t)size;
        result = ofi_greet(l, &greeting, sizeof greeting, l->peer, o->milliseconds);
    }
    if (result == FABRIC_OK)
        result = await_answer(l, o->milliseconds, accept);
    // Both have found each other, or the executor is gone. Only one that refuses us waits on.
    ofi_unlink(greeting.name, size);
    if (result == FABRIC_OK || !l->greeted)
        ofi_unlink(name, name_size);
    if (result == FABRIC_OK && l->sends)
        result = ofi_inbox_post(l);
    return result;
}

void ofi_say_goodbye(struct ofi_client *c) {
    struct ofi_link *l = &c->link;
    struct wire_goodbye goodbye = {0};
    if (!l->av || !l->ep || !c->met)
        return;
    if (l->bells.left) {
        // Not by a message: an executor that was killed may have left the way to it locked.
        atomic_store(l->bells.left, 1);
        ofi_ring(l);
        return;
    }
    if (l->over || atomic_load(&c->client.abandonment.asked))
        return;
    ofi_greet(l, &goodbye, sizeof goodbye, l->peer, GOODBYE);  // if it is gone, so be it
}

// ---------------------------------------------------------------- both

static int connect_link(struct ofi_client *c, const struct fabric_ofi_options *o, const uint8_t *name, size_t name_size) {
    struct ofi_link *l = &c->link;
    int result = ofi_register(l, o->responses, (uint64_t)o->slots * WIRE_RESPONSE_STRIDE, FI_REMOTE_WRITE | FI_RECV, &c->responses_mr);
    if (result == FABRIC_OK && ofi_registers_locally(l))
        result = ofi_register(l, o->requests, (uint64_t)o->slots * WIRE_REQUEST_STRIDE, FI_WRITE | FI_SEND, &c->requests_mr);
    if (result < 0)
        return result;
    ofi_inbox_open(l, o->responses, WIRE_RESPONSE_STRIDE, o->slots, c->responses_mr);
    result = ofi_endpoint(l, l->info, o->slots);
    if (result < 0)
        return result;
    struct wire_accept accept = {0};
    struct wire_connect connect = {
        .version = WIRE_VERSION,
        .slots = o->slots,
        .response_address = ofi_remote_address(l, o->responses),
        .response_key = fi_mr_key(c->responses_mr),
    };
    memcpy(connect.nonce, o->nonce, WIRE_NONCE);
    result = l->av ? connect_by_message(l, o, &connect, name, name_size, &accept) : connect_by_event(l, o, &connect, &accept);
    if (result < 0)
        return result;
    if (accept.version != WIRE_VERSION || accept.slots != o->slots) {
        snprintf(l->text, FABRIC_TEXT, "the executor has wire version %u and %u slots, this program version %d and %u", accept.version,
                 accept.slots, WIRE_VERSION, o->slots);
        return FABRIC_FAILED;
    }
    c->request_address = accept.request_address;
    c->request_key = accept.request_key;
    c->met = 1;
    return FABRIC_OK;
}

// One descriptor that tells of both queues: a provider may announce the peer's end on either. It
// tells of completions only while somebody sleeps on it (ofi_arm).
static int join_descriptors(struct ofi_client *c) {
    if (c->link.bells.mine) {
        c->client.descriptor = c->link.bells.bell;
        return FABRIC_OK;
    }
    c->client.descriptor = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN};
    if (c->client.descriptor < 0 || (c->link.eq && epoll_ctl(c->client.descriptor, EPOLL_CTL_ADD, c->link.eq_descriptor, &event) != 0)) {
        snprintf(c->link.text, FABRIC_TEXT, "epoll: %m");
        return FABRIC_FAILED;
    }
    return FABRIC_OK;
}

struct fabric_client *fabric_ofi_connect(struct fabric_ofi_options *o, const uint8_t *name, size_t name_size, char *provider, char *text) {
    struct fi_info *info;
    if (name_size <= sizeof(uint32_t)) {
        snprintf(text, FABRIC_TEXT, "the executor's name is too short");
        return NULL;
    }
    if (ofi_find(o->provider, o->sends, NULL, name, name_size, &info, text) < 0)
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
    c->link.abandonment = &o->abandonment;
    c->link.stop = &o->abandonment.asked;
    int result = ofi_open(&c->link, info, o, 0);
    if (result == FABRIC_OK)
        result = connect_link(c, o, name, name_size);
    ofi_hand_over(&o->abandonment, &c->client.abandonment);
    c->link.abandonment = &c->client.abandonment;
    c->link.stop = &c->client.abandonment.asked;
    if (result == FABRIC_OK)
        result = join_descriptors(c);
    if (result < 0) {
        memcpy(text, c->client.text, FABRIC_TEXT);
        c->client.ops->close(&c->client);
        return NULL;
    }
    snprintf(provider, FABRIC_OFI_PROVIDER, "%s", c->link.info->fabric_attr->prov_name);
    return &c->client;
}
