// How an executor meets its client.
//
//	listening ── a client that knows the nonce ──▶ accepted ── FI_CONNECTED ──▶ connected
//	    └────────── a greeting with the nonce, over endpoints that do not connect ──▲
//
// The loop's thread does all of it, in next and sleep; others are refused, and it goes on
// listening.
#define _GNU_SOURCE
#include <stdio.h>
#include <string.h>

#include "ofi_endpoint.h"

enum { PATIENCE = 1000 };  // milliseconds that a client may take to receive an answer

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

static struct wire_accept accept_client(struct ofi_endpoint *e, const struct wire_connect *connect) {
    e->response_address = connect->response_address;
    e->response_key = connect->response_key;
    return (struct wire_accept){
        .version = WIRE_VERSION,
        .slots = e->endpoint.slots,
        .request_address = ofi_remote_address(&e->link, e->requests),
        .request_key = fi_mr_key(e->requests_mr),
    };
}

// ---------------------------------------------------------------- over endpoints that connect

static int meet_by_event(struct ofi_endpoint *e, union ofi_event *event, size_t size) {
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
        struct wire_accept accept = accept_client(e, &connect);
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

void ofi_stop_listening(struct ofi_endpoint *e) {
    if (e->passive)
        fi_close(&e->passive->fid);
    e->passive = NULL;
}

static int look_for_event(struct ofi_endpoint *e) {
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
            return meet_by_event(e, &event, (size_t)size);
        fi_reject(e->passive, event.entry.info->handle, NULL, 0);
        l->library->freeinfo(event.entry.info);
        return FABRIC_OK;
    case FI_CONNECTED:
        e->state = CONNECTED;
        l->connected = 1;
        ofi_stop_listening(e);
        return FABRIC_OK;
    case FI_SHUTDOWN:
        snprintf(l->text, FABRIC_TEXT, "it ended the connection");
        return FABRIC_BROKEN;
    }
    return FABRIC_OK;
}

// ---------------------------------------------------------------- over those that do not

// Answers a greeting. A stranger that is gone already is none of our concern.
static int meet_by_message(struct ofi_endpoint *e, const struct wire_greeting *greeting, size_t size) {
    struct ofi_link *l = &e->link;
    struct wire_answer answer = {.refused = WIRE_REFUSED_NONCE};
    fi_addr_t peer;
    if (size < sizeof *greeting || greeting->name_size > sizeof greeting->name || ofi_know(l, greeting->name, greeting->name_size, &peer) < 0)
        return ofi_await_greeting(l);
    answer.refused = examine(e, &greeting->connect, sizeof greeting->connect);
    if (answer.refused) {
        int result = ofi_await_greeting(l);
        if (result == FABRIC_OK) {
            ofi_greet(l, &answer, sizeof answer, peer, PATIENCE);
            fi_av_remove(l->av, &peer, 1, 0);
        }
        return result;
    }
    answer.accept = accept_client(e, &greeting->connect);
    l->peer = peer;
    // What comes next has to find a receive: the first request of ofi-send, or the goodbye.
    int result = l->sends ? ofi_inbox_post(l) : ofi_await_greeting(l);
    if (result == FABRIC_OK)
        result = ofi_greet(l, &answer, sizeof answer, peer, PATIENCE);
    // Each has the other's memory now: no name is needed any more, and none is left whoever is killed.
    ofi_unlink(e->name, e->name_size);
    ofi_unlink(greeting->name, greeting->name_size);
    if (result == FABRIC_OK)
        e->state = CONNECTED;
    return result;
}

static int look_for_greeting(struct ofi_endpoint *e) {
    struct ofi_link *l = &e->link;
    int result = ofi_poll(l);
    if (result < 0 || !l->greeted)
        return result;
    struct wire_greeting greeting;
    size_t size = l->greeted;
    memcpy(&greeting, l->greeting_room, sizeof greeting);
    l->greeted = 0;
    return meet_by_message(e, &greeting, size);
}

// ---------------------------------------------------------------- both

int ofi_meet(struct ofi_endpoint *e) { return e->link.av ? look_for_greeting(e) : look_for_event(e); }

static int listen_for_events(struct ofi_endpoint *e) {
    struct ofi_link *l = &e->link;
    int result = fi_passive_ep(l->fabric, l->info, &e->passive, NULL);
    if (result)
        return ofi_failed(l->text, FABRIC_FAILED, "fi_passive_ep", result);
    result = fi_pep_bind(e->passive, &l->eq->fid, 0);
    if (result)
        return ofi_failed(l->text, FABRIC_FAILED, "fi_pep_bind", result);
    result = fi_listen(e->passive);
    return result ? ofi_failed(l->text, FABRIC_FAILED, "fi_listen", result) : FABRIC_OK;
}

int ofi_listen(struct ofi_endpoint *e, uint8_t *name, size_t *name_size) {
    struct ofi_link *l = &e->link;
    const uint32_t slots = e->endpoint.slots;
    int result = ofi_register(l, e->requests, (uint64_t)slots * WIRE_REQUEST_STRIDE, FI_REMOTE_WRITE | FI_RECV, &e->requests_mr);
    if (result == FABRIC_OK && ofi_registers_locally(l))
        result = ofi_register(l, e->responses, (uint64_t)slots * WIRE_RESPONSE_STRIDE, FI_WRITE | FI_SEND, &e->responses_mr);
    if (result < 0)
        return result;
    ofi_inbox_open(l, e->requests, WIRE_REQUEST_STRIDE, slots, e->requests_mr);
    if (l->sends)
        ofi_fetch_open(e);
    result = l->av ? ofi_endpoint(l, l->info, slots) : listen_for_events(e);
    if (result == FABRIC_OK)
        result = ofi_name(l, l->av ? &l->ep->fid : &e->passive->fid, name, name_size);
    if (result == FABRIC_OK && l->av) {
        memcpy(e->name, name, *name_size);
        e->name_size = *name_size;
    }
    return result;
}
