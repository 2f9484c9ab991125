// The faulty endpoint: an executor whose responses are not what its loop has put together.
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "fault.h"
#include "ofi_endpoint.h"

struct fabric_endpoint_faults {
    struct fabric_endpoint_ops ops;           // ours
    const struct fabric_endpoint_ops *inner;  // the transport's
    int ofi;
    uint32_t count;
    struct fabric_fault faults[];
};

// Sends bytes over libfabric as they are, where ofi_respond would look at them first.
static int send_raw(struct fabric_endpoint *endpoint, uint64_t id, const void *bytes, size_t size) {
    struct ofi_endpoint *e = (struct ofi_endpoint *)endpoint;
    const struct ofi_part part = {.base = bytes, .size = size, .mr = e->responses_mr};
    const uint64_t slot = id & (endpoint->slots - 1);
    int result = FABRIC_OK;
    pthread_mutex_lock(&e->lock);
    if (e->link.sends)
        result = ofi_inbox_free(&e->link, (uint32_t)slot);
    if (result == FABRIC_OK)
        result = ofi_message(&e->link, id, &part, 1, e->response_address + slot * WIRE_RESPONSE_STRIDE, e->response_key);
    pthread_mutex_unlock(&e->lock);
    return result;
}

static int send_changed(struct fabric_endpoint *endpoint, uint64_t id, const struct fabric_arrival *arrival, const struct fabric_fault *fault) {
    struct fabric_endpoint_faults *f = endpoint->faults;
    struct wire_response *response = arrival->response;
    uint8_t *bytes = (uint8_t *)response;
    uint64_t number = id;
    size_t size = sizeof *response;
    // On the ring the client sees what we write: the number, which tells it that there is something to
    // take, must be the last, and stored by respond.
    if (fault->kind == FAULT_TRUNCATE) {
        if (fault->parameter < size) {
            memset(bytes + fault->parameter, 0, size - fault->parameter);
            if (fault->parameter < sizeof number)
                number &= ((uint64_t)1 << 8 * fault->parameter) - 1;
            size = fault->parameter;
        }
    } else {
        const size_t at = fault->parameter % sizeof *response;
        if (at < sizeof number)
            number ^= (uint64_t)0xff << 8 * at;
        else
            bytes[at] ^= 0xff;
    }
    if (!f->ofi)
        return f->inner->respond(endpoint, number, arrival);
    atomic_store(&response->id, number);
    return send_raw(endpoint, id, bytes, size);
}

static int faulty_respond(struct fabric_endpoint *endpoint, uint64_t id, const struct fabric_arrival *arrival) {
    struct fabric_endpoint_faults *f = endpoint->faults;
    const struct fabric_fault *fault = NULL;
    for (uint32_t i = 0; i < f->count; i++)
        if (f->faults[i].id == id && f->faults[i].direction == 1)
            fault = &f->faults[i];
    if (!fault)
        return f->inner->respond(endpoint, id, arrival);
    struct timespec pause = {(time_t)(fault->parameter / 1000000000), (long)(fault->parameter % 1000000000)};
    int result;
    switch (fault->kind) {
    case FAULT_DROP:
        return FABRIC_OK;
    case FAULT_DELAY:
        nanosleep(&pause, NULL);
        break;
    case FAULT_DUPLICATE:
        result = f->inner->respond(endpoint, id, arrival);
        if (result < 0)
            return result;
        return f->ofi ? send_raw(endpoint, id, arrival->response, sizeof *arrival->response) : f->inner->respond(endpoint, id, arrival);
    case FAULT_TRUNCATE:
    case FAULT_CORRUPT:
        return send_changed(endpoint, id, arrival, fault);
    case FAULT_BREAK:
        snprintf(endpoint->text, FABRIC_TEXT, "the connection was broken on purpose at the response of invocation %llu", (unsigned long long)id);
        return FABRIC_BROKEN;
    }
    return f->inner->respond(endpoint, id, arrival);
}

static void faulty_close(struct fabric_endpoint *endpoint) {
    struct fabric_endpoint_faults *f = endpoint->faults;
    f->inner->close(endpoint);
    free(f);
}

int fabric_fault_endpoint(struct fabric_endpoint *endpoint, int ofi, const struct fabric_fault *faults, uint32_t count) {
    struct fabric_endpoint_faults *f = calloc(1, sizeof *f + count * sizeof f->faults[0]);
    if (!f)
        return FABRIC_FAILED;
    f->inner = endpoint->ops;
    f->ops = *endpoint->ops;
    f->ops.respond = faulty_respond;
    f->ops.close = faulty_close;
    f->ofi = ofi;
    f->count = count;
    memcpy(f->faults, faults, count * sizeof *faults);
    endpoint->faults = f;
    endpoint->ops = &f->ops;
    return FABRIC_OK;
}
