// What has arrived, what has ended, and when one may sleep.
#define _GNU_SOURCE
#include <sched.h>
#include <stdio.h>
#include <string.h>

#include "doorbell.h"
#include "ofi.h"

enum {
    COMPLETIONS = 16,   // read at once
    IDLE_POLLS = 1024,  // then the event queue is looked at
};

int ofi_over(struct ofi_link *l, int result) { return l->over = result; }

// ---------------------------------------------------------------- the event queue

int ofi_event_failed(struct ofi_link *l, const char *step) {
    struct fi_eq_err_entry error = {0};
    if (fi_eq_readerr(l->eq, &error, 0) < 0)
        error.err = FI_EOTHER;
    return ofi_failed(l->text, FABRIC_BROKEN, step, -error.err);
}

int ofi_events(struct ofi_link *l) {
    union ofi_event event;
    uint32_t kind;
    if (l->over || !l->connected || !l->eq)
        return l->over;
    ssize_t size = fi_eq_read(l->eq, &kind, &event, sizeof event, 0);
    if (size == -FI_EAGAIN || size == -FI_EINTR)
        return FABRIC_OK;
    if (size == -FI_EAVAIL)
        return ofi_over(l, ofi_event_failed(l, "the connection failed"));
    if (size < 0)
        return ofi_over(l, ofi_failed(l->text, FABRIC_BROKEN, "fi_eq_read", size));
    if (kind == FI_SHUTDOWN) {
        snprintf(l->text, FABRIC_TEXT, "it ended the connection");
        return ofi_over(l, FABRIC_BROKEN);
    }
    if (kind == FI_CONNREQ)  // came before the listening ended; there is nobody to tell it
        l->library->freeinfo(event.entry.info);
    return FABRIC_OK;
}

// ---------------------------------------------------------------- the inbox

void ofi_inbox_open(struct ofi_link *l, void *buffers, size_t stride, uint32_t slots, struct fid_mr *mr) {
    l->inbox.buffers = buffers;
    l->inbox.stride = stride;
    l->inbox.slots = slots;
    l->inbox.mr = mr;
    for (uint32_t i = 0; i < slots; i++)
        l->inbox.receives[i] = (struct ofi_operation){.kind = OFI_MESSAGE, .index = i};
}

static int post_receive(struct ofi_link *l, uint32_t buffer) {
    struct ofi_inbox *in = &l->inbox;
    for (;;) {
        ssize_t result = fi_recv(l->ep, in->buffers + buffer * in->stride, in->stride, in->mr ? fi_mr_desc(in->mr) : NULL, FI_ADDR_UNSPEC,
                                 &in->receives[buffer]);
        if (result == 0)
            return FABRIC_OK;
        if (result != -FI_EAGAIN)
            return ofi_over(l, ofi_failed(l->text, FABRIC_BROKEN, "fi_recv", result));
        int failed = ofi_wait_a_little(l);
        if (failed < 0)
            return failed;
    }
}

int ofi_inbox_post(struct ofi_link *l) {
    int result = FABRIC_OK;
    for (uint32_t i = 0; result == FABRIC_OK && i < l->inbox.slots; i++)
        result = post_receive(l, i);
    return result;
}

int ofi_inbox_free(struct ofi_link *l, uint32_t slot) { return post_receive(l, l->inbox.held[slot]); }

// A message of ofi-send lies in a buffer. It begins with its id.
static int message_came(struct ofi_link *l, uint32_t buffer, size_t size) {
    struct ofi_inbox *in = &l->inbox;
    uint64_t id = 0;
    if (size >= sizeof id)
        memcpy(&id, in->buffers + buffer * in->stride, sizeof id);
    if (size == sizeof(struct wire_goodbye) && id == 0) {
        snprintf(l->text, FABRIC_TEXT, "it ended the connection");
        return ofi_over(l, FABRIC_BROKEN);
    }
    const uint32_t slot = (uint32_t)(id & (in->slots - 1));
    const uint64_t next = in->seen[slot] ? in->seen[slot] + in->slots : slot ? slot : in->slots;
    if (size < WIRE_LINE || id != next) {
        snprintf(l->text, FABRIC_TEXT, "a message of %zu bytes came with the number %llu", size, (unsigned long long)id);
        return ofi_over(l, FABRIC_PROTOCOL);
    }
    in->seen[slot] = id;
    in->held[slot] = buffer;
    in->sizes[slot] = size;
    if (l->message_came)
        return l->message_came(l, slot);
    atomic_store_explicit(&in->came[slot], id, memory_order_release);
    return FABRIC_OK;
}

// ---------------------------------------------------------------- completions

static int completion_failed(struct ofi_link *l, ssize_t result) {
    if (result != -FI_EAVAIL)
        return ofi_over(l, ofi_failed(l->text, FABRIC_BROKEN, "fi_cq_read", result));
    // The event queue knows better why, if it is the peer's end.
    if (ofi_events(l) < 0)
        return l->over;
    struct fi_cq_err_entry error = {0};
    if (fi_cq_readerr(l->cq, &error, 0) < 0)
        error.err = FI_EOTHER;
    return ofi_over(l, ofi_failed(l->text, FABRIC_BROKEN, "an operation failed", -error.err));
}

// A message of ofi-write lies in its slot.
static int written(struct ofi_link *l, uint32_t number) {
    const uint64_t next = atomic_load_explicit(&l->arrived, memory_order_relaxed) + 1;
    if (number != (uint32_t)next) {
        snprintf(l->text, FABRIC_TEXT, "message %llu came with the number %u", (unsigned long long)next, number);
        return ofi_over(l, FABRIC_PROTOCOL);
    }
    atomic_store_explicit(&l->arrived, next, memory_order_release);
    if (l->posts_receives)
        l->receives--;
    return FABRIC_OK;
}

int ofi_receive_writes(struct ofi_link *l) {
    while (l->receives < l->receives_most) {
        ssize_t result = fi_recv(l->ep, NULL, 0, NULL, FI_ADDR_UNSPEC, NULL);
        if (result)
            return ofi_over(l, ofi_failed(l->text, FABRIC_BROKEN, "fi_recv", result));
        l->receives++;
    }
    return FABRIC_OK;
}

// Receives are posted again while there is nothing else to do, but before the peer could have used
// them up: it has as many messages on their way as there are slots.
static int must_receive(const struct ofi_link *l, int idle) {
    return l->posts_receives && l->receives < (idle ? l->receives_most : (l->slots + l->receives_most) / 2);
}

void ofi_came_again(struct ofi_link *l, uint64_t id) {
    if (l->sends)
        message_came(l, l->inbox.held[id & (l->inbox.slots - 1)], l->inbox.sizes[id & (l->inbox.slots - 1)]);
    else
        written(l, (uint32_t)id);
}

static int note(struct ofi_link *l, const struct fi_cq_data_entry *entry) {
    const struct ofi_operation *operation = entry->op_context;
    // Not by FI_REMOTE_CQ_DATA: some providers' local completions carry it too.
    const uint64_t remote = entry->flags & (FI_REMOTE_WRITE | FI_RECV);
    if (remote && ((remote & FI_REMOTE_WRITE) || !operation))
        return l->sends ? FABRIC_OK : written(l, (uint32_t)entry->data);
    if (!operation)
        return FABRIC_OK;
    switch (operation->kind) {
    case OFI_FLUSH:
        l->flushed++;
        l->loose--;
        break;
    case OFI_LOOSE:
        l->loose--;
        break;
    case OFI_TRANSFER:
        l->loose--;
        l->transferred(l, operation->index);
        break;
    case OFI_GREETING:
        l->greeted = entry->len;
        break;
    case OFI_MESSAGE:
        return message_came(l, operation->index, entry->len);
    }
    return FABRIC_OK;
}

// Whether the client has said goodbye; we are the executor then.
static int has_left(const struct ofi_link *l) {
    return l->bells.left && !l->abandonment && atomic_load_explicit(l->bells.left, memory_order_relaxed);
}

int ofi_poll(struct ofi_link *l) {
    struct fi_cq_data_entry entries[COMPLETIONS];
    if (l->over)
        return l->over;
    ssize_t count = fi_cq_read(l->cq, entries, COMPLETIONS);
    if (count == -FI_EAGAIN || count == -FI_EINTR) {
        if (++l->idle % IDLE_POLLS == 0 && ofi_events(l) < 0)
            return l->over;
        if (l->bells.hung_up || has_left(l)) {  // and all that it has sent has come
            snprintf(l->text, FABRIC_TEXT, "it ended the connection");
            return ofi_over(l, FABRIC_BROKEN);
        }
        count = 0;
    }
    if (count < 0)
        return completion_failed(l, count);
    l->brought = (int)count;
    for (ssize_t i = 0; i < count; i++) {
        int result = note(l, &entries[i]);
        if (result < 0)
            return result;
    }
    if (must_receive(l, !count) && ofi_receive_writes(l) < 0)
        return l->over;
    // What has not ended may need the peer's polling as often as ours.
    if (l->loose)
        ofi_ring(l);
    return l->pump ? l->pump(l) : FABRIC_OK;
}

int ofi_abandoned(struct ofi_link *l) {
    if (!atomic_load_explicit(l->stop, memory_order_relaxed))
        return 0;
    snprintf(l->text, FABRIC_TEXT, "it was abandoned");
    return ofi_over(l, FABRIC_BROKEN);
}

int ofi_wait_a_little(struct ofi_link *l) {
    int result = ofi_poll(l);
    if (result < 0)
        return result;
    if (ofi_abandoned(l))
        return l->over;
    ofi_ring(l);
    if (l->give_way)
        l->give_way(l);
    sched_yield();
    return FABRIC_OK;
}

// ---------------------------------------------------------------- sleeping

int ofi_may_sleep(struct ofi_link *l, struct ofi_sleep *sleep) {
    sleep->count = 0;
    if (l->unposted)
        return 0;
    if (l->bells.mine) {
        // Either the peer sees that we sleep, or we see what it has posted.
        atomic_store_explicit(l->bells.mine, 1, memory_order_relaxed);
        atomic_thread_fence(memory_order_seq_cst);
        // A poll that finds completions may look no further.
        do
            if (ofi_poll(l) < 0)
                return 0;
        while (l->brought);
        return !l->unposted;
    }
    struct fid *queues[] = {&l->cq->fid, &l->eq->fid};
    if (fi_trywait(l->fabric, queues, l->eq ? 2 : 1) == 0)
        return ofi_descriptors(l, sleep) == FABRIC_OK;
    ofi_events(l);  // the next poll reports what it finds
    return 0;
}

void ofi_awake(struct ofi_link *l) {
    if (!l->bells.mine)
        return;
    atomic_store_explicit(l->bells.mine, 0, memory_order_relaxed);
    if (!l->bells.on_flag && doorbell_answer(l->bells.bell) < 0)
        l->bells.hung_up = 1;
}

int ofi_sleep_on(struct ofi_link *l, const struct ofi_sleep *sleep, int more) {
    if (l->bells.mine) {
        const int nap = ofi_nap(l);
        if (doorbell_sleep(l->bells.mine, nap < 0 ? DOORBELL_LOOK : (uint32_t)nap) && doorbell_answer(l->bells.bell) < 0)
            l->bells.hung_up = 1;
        return 0;
    }
    struct pollfd wait[2 + OFI_DESCRIPTORS] = {{.fd = more, .events = POLLIN}, {.fd = l->eq_descriptor, .events = POLLIN}};
    memcpy(wait + 2, sleep->descriptors, (size_t)sleep->count * sizeof *wait);
    return poll(wait, (nfds_t)(2 + sleep->count), -1) > 0 && wait[0].revents;
}

void ofi_wake_own(struct ofi_link *l) {
    if (l->bells.mine)
        doorbell_wake(l->bells.mine);
}

void ofi_ring(struct ofi_link *l) {
    if (!l->bells.theirs)
        return;
    atomic_thread_fence(memory_order_seq_cst);
    if (!atomic_load_explicit(l->bells.theirs, memory_order_relaxed))
        return;
    if (l->bells.on_flag)
        doorbell_ring(l->bells.bell);
    else
        doorbell_wake(l->bells.theirs);
}
