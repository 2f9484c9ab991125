// What a link sends: messages, and payloads of any size by RMA.
#define _GNU_SOURCE
#include <sched.h>
#include <stdio.h>
#include <string.h>

#include "clock.h"
#include "ofi.h"

// What one failed attempt to post an operation means: FABRIC_FULL to try again.
static int not_posted(struct ofi_link *l, const char *step, ssize_t error) {
    if (error == -FI_EAGAIN)
        return FABRIC_FULL;
    if (ofi_events(l) < 0)
        return l->over;
    return ofi_over(l, ofi_failed(l->text, FABRIC_BROKEN, step, error));
}

// Whether the next operation has to ask for a completion, so that the send queue is freed.
static int must_signal(const struct ofi_link *l) { return l->unsignalled + 1 >= l->signal_every; }

static void posted(struct ofi_link *l, uint64_t flags) {
    l->unsignalled = flags & FI_COMPLETION ? 0 : l->unsignalled + 1;
    ofi_ring(l);
}

// ---------------------------------------------------------------- messages

// What fits is copied away at once, and never asks for a completion.
static int inject(struct ofi_link *l, uint64_t id, const struct ofi_part *part, uint64_t address, uint64_t key) {
    ssize_t result = l->sends ? fi_inject(l->ep, part->base, part->size, l->peer)
                              : fi_inject_writedata(l->ep, part->base, part->size, (uint32_t)id, l->peer, address, key);
    if (result)
        return not_posted(l, l->sends ? "fi_inject" : "fi_inject_writedata", result);
    posted(l, 0);
    return FABRIC_OK;
}

int ofi_try_message(struct ofi_link *l, uint64_t id, const struct ofi_part *parts, int count, uint64_t address, uint64_t key) {
    struct iovec vector[2];
    void *descriptors[2];
    struct fi_rma_iov remote[2] = {{.addr = address, .key = key}};
    size_t size = 0, remotes = 1;
    if (l->over)
        return l->over;
    for (int i = 0; i < count; i++) {
        vector[i] = (struct iovec){(void *)(uintptr_t)parts[i].base, parts[i].size};
        descriptors[i] = parts[i].mr ? fi_mr_desc(parts[i].mr) : NULL;
        size += parts[i].size;
        if (parts[i].apart)
            remote[remotes++] = (struct fi_rma_iov){.addr = parts[i].address, .len = parts[i].size, .key = parts[i].key};
        else
            remote[0].len += parts[i].size;
    }
    if (count == 1 && size <= l->inject && !must_signal(l))
        return inject(l, id, parts, address, key);

    // Where we can not be woken for it, we have to know whether it has ended.
    const int loose = l->bells.mine && size > l->inject;
    uint64_t flags = loose || must_signal(l) ? FI_COMPLETION : 0;
    ssize_t result;
    if (l->sends) {
        struct fi_msg message = {
            .msg_iov = vector,
            .desc = descriptors,
            .iov_count = (size_t)count,
            .addr = l->peer,
            .context = loose ? &l->loosely : NULL,
        };
        result = fi_sendmsg(l->ep, &message, flags);
    } else {
        struct fi_msg_rma message = {
            .msg_iov = vector,
            .desc = descriptors,
            .iov_count = (size_t)count,
            .addr = l->peer,
            .rma_iov = remote,
            .rma_iov_count = remotes,
            .context = loose ? &l->loosely : NULL,
            .data = (uint32_t)id,
        };
        flags |= FI_REMOTE_CQ_DATA;
        result = fi_writemsg(l->ep, &message, flags);
    }
    if (result)
        return not_posted(l, l->sends ? "fi_sendmsg" : "fi_writemsg", result);
    l->loose += (uint32_t)loose;
    posted(l, flags);
    return FABRIC_OK;
}

// Writes what one operation can not copy away at once in several that can, the last piece first.
static int inject_pieces(struct ofi_link *l, const uint8_t *base, size_t size, uint64_t address, uint64_t key) {
    while (size) {
        const size_t piece = size % l->inject ? size % l->inject : l->inject;
        const size_t at = size - piece;
        if (l->over)
            return l->over;
        ssize_t error = fi_inject_write(l->ep, base + at, piece, l->peer, address + at, key);
        int result = error ? not_posted(l, "fi_inject_write", error) : FABRIC_OK;
        if (result == FABRIC_FULL)
            result = ofi_wait_a_little(l);
        else if (result == FABRIC_OK)
            size = at;
        if (result < 0)
            return result;
    }
    return FABRIC_OK;
}

// Posts all of a message but what the completion tells of, which is its beginning: that comes last.
static int begin_in_pieces(struct ofi_link *l, struct ofi_part *first, const struct ofi_part *second, uint64_t address, uint64_t key) {
    int result = FABRIC_OK;
    if (second && second->apart)
        result = inject_pieces(l, second->base, second->size, second->address, second->key);
    else if (second)
        result = inject_pieces(l, second->base, second->size, address + first->size, key);
    if (result == FABRIC_OK && first->size > l->inject) {
        result = inject_pieces(l, (const uint8_t *)first->base + l->inject, first->size - l->inject, address + l->inject, key);
        first->size = l->inject;
    }
    return result;
}

int ofi_message(struct ofi_link *l, uint64_t id, const struct ofi_part *parts, int count, uint64_t address, uint64_t key) {
    struct ofi_part first = parts[0];
    const size_t size = first.size + (count > 1 ? parts[1].size : 0);
    if (ofi_goes_in_pieces(l, size)) {
        int result = begin_in_pieces(l, &first, count > 1 ? &parts[1] : NULL, address, key);
        if (result < 0)
            return result;
        parts = &first;
        count = 1;
    }
    for (;;) {
        int result = ofi_try_message(l, id, parts, count, address, key);
        if (result != FABRIC_FULL)
            return result;
        result = ofi_wait_a_little(l);
        if (result < 0)
            return result;
    }
}

int ofi_greet(struct ofi_link *l, const void *message, size_t size, fi_addr_t to, int milliseconds) {
    const uint64_t deadline = clock_nanoseconds() + (uint64_t)milliseconds * 1000000u;
    for (;;) {
        ssize_t result = fi_inject(l->ep, message, size, to);
        ofi_ring(l);
        if (result == 0)
            return FABRIC_OK;
        if (result != -FI_EAGAIN)
            return ofi_failed(l->text, FABRIC_FAILED, "fi_inject", result);
        int failed = ofi_poll(l);
        if (failed < 0)
            return failed;
        if (atomic_load_explicit(l->stop, memory_order_relaxed)) {
            snprintf(l->text, FABRIC_TEXT, "fi_inject: the peer is gone");
            return FABRIC_FAILED;
        }
        if (clock_nanoseconds() >= deadline) {
            snprintf(l->text, FABRIC_TEXT, "fi_inject: the peer takes nothing for %d ms", milliseconds);
            return FABRIC_FAILED;
        }
        sched_yield();
    }
}

int ofi_await_greeting(struct ofi_link *l) {
    l->greeted = 0;
    ssize_t result = fi_recv(l->ep, l->greeting_room, sizeof l->greeting_room, NULL, FI_ADDR_UNSPEC, &l->greeting);
    return result ? ofi_failed(l->text, FABRIC_FAILED, "fi_recv", result) : FABRIC_OK;
}

// ---------------------------------------------------------------- payloads

// Posts one write, as soon as there is room for it.
static int post(struct ofi_link *l, const struct fi_msg_rma *message, uint64_t flags) {
    if (must_signal(l))
        flags |= FI_COMPLETION;
    for (;;) {
        if (l->over)
            return l->over;
        // An RDMA device takes part after part, without our having to wait for room.
        if (ofi_abandoned(l))
            return l->over;
        ssize_t result = fi_writemsg(l->ep, message, flags);
        if (result == 0)
            break;
        int failed = not_posted(l, "fi_writemsg", result);
        if (failed == FABRIC_FULL)
            failed = ofi_wait_a_little(l);
        if (failed < 0)
            return failed;
    }
    posted(l, flags);
    return FABRIC_OK;
}

static int write_spans(struct ofi_link *l, const void *base, uint64_t size, struct fid_mr *mr, uint64_t address, uint64_t key, uint64_t flags,
                       struct ofi_operation *operation) {
    void *descriptor = mr ? fi_mr_desc(mr) : NULL;
    for (uint64_t done = 0; done < size;) {
        uint64_t length = size - done < l->span ? size - done : l->span;
        struct iovec vector = {(uint8_t *)(uintptr_t)base + done, length};
        struct fi_rma_iov remote = {.addr = address + done, .len = length, .key = key};
        struct fi_msg_rma message = {
            .msg_iov = &vector,
            .desc = &descriptor,
            .iov_count = 1,
            .addr = l->peer,
            .rma_iov = &remote,
            .rma_iov_count = 1,
            .context = operation,
        };
        int result = post(l, &message, flags);
        if (result < 0)
            return result;
        if (operation)
            l->loose++;
        if (operation == &l->flush)
            l->flushes++;
        done += length;
    }
    return FABRIC_OK;
}

int ofi_write(struct ofi_link *l, const void *base, uint64_t size, struct fid_mr *mr, uint64_t address, uint64_t key) {
    if (l->bells.mine)
        return write_spans(l, base, size, mr, address, key, FI_COMPLETION, &l->loosely);
    return write_spans(l, base, size, mr, address, key, 0, NULL);
}

int ofi_add_payload(struct ofi_link *l, struct ofi_part *part, int *count, const void *base, uint64_t size, struct fid_mr *mr, uint64_t address,
                    uint64_t key) {
    if (!l->together || size > l->span)
        return ofi_write(l, base, size, mr, address, key);
    *part = (struct ofi_part){.base = base, .size = size, .mr = mr, .apart = 1, .address = address, .key = key};
    ++*count;
    return FABRIC_OK;
}

// Where bytes are said to be sent when the kernel has them, a completion has to wait for the peer
// to have them. A write over RDMA is complete when the peer's adapter has acknowledged it.
static uint64_t when_landed(const struct ofi_link *l) {
    return l->info->ep_attr->protocol == FI_PROTO_RDMA_CM_IB_RC ? FI_COMPLETION : FI_COMPLETION | FI_DELIVERY_COMPLETE;
}

int ofi_write_and_wait(struct ofi_link *l, const void *base, uint64_t size, struct fid_mr *mr, uint64_t address, uint64_t key) {
    int result = write_spans(l, base, size, mr, address, key, when_landed(l), &l->flush);
    while (result == FABRIC_OK && l->flushed < l->flushes)
        result = ofi_wait_a_little(l);
    return result;
}

int ofi_transfer(struct ofi_link *l, struct ofi_transfer *t, int write) {
    void *descriptor = t->mr ? fi_mr_desc(t->mr) : NULL;
    while (t->left) {
        uint64_t length = t->left < l->span ? t->left : l->span;
        struct iovec vector = {t->base, length};
        struct fi_rma_iov remote = {.addr = t->address, .len = length, .key = t->key};
        struct fi_msg_rma message = {
            .msg_iov = &vector,
            .desc = &descriptor,
            .iov_count = 1,
            .addr = l->peer,
            .rma_iov = &remote,
            .rma_iov_count = 1,
            .context = &t->operation,
        };
        if (l->over)
            return l->over;
        ssize_t result = write ? fi_writemsg(l->ep, &message, when_landed(l)) : fi_readmsg(l->ep, &message, FI_COMPLETION);
        if (result)
            return not_posted(l, write ? "fi_writemsg" : "fi_readmsg", result);
        posted(l, FI_COMPLETION);
        l->loose++;
        t->posted++;
        t->base += length;
        t->address += length;
        t->left -= length;
    }
    return FABRIC_OK;
}
