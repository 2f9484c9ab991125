// A link: opening and closing its objects, memory, writes, and what has arrived.
#define _GNU_SOURCE
#include <sched.h>
#include <stdio.h>
#include <string.h>

#include "ofi.h"

enum {
    COMPLETIONS = 16,       // read at once
    IDLE_POLLS = 1024,      // then the event queue is looked at
    COMPLETION_QUEUE = 1024,
    SPAN = 16 << 20,  // larger payloads go in parts on every provider, not only where they must
};

// ---------------------------------------------------------------- opening and closing

static int open_queues(struct ofi_link *l) {
    struct fi_eq_attr eq = {.wait_obj = FI_WAIT_FD};
    int result = fi_eq_open(l->fabric, &eq, &l->eq, NULL);
    if (result)
        return ofi_failed(l->text, FABRIC_FAILED, "fi_eq_open", result);
    struct fi_cq_attr cq = {.size = COMPLETION_QUEUE, .format = FI_CQ_FORMAT_DATA, .wait_obj = FI_WAIT_FD};
    result = fi_cq_open(l->domain, &cq, &l->cq, NULL);
    if (result)
        return ofi_failed(l->text, FABRIC_FAILED, "fi_cq_open", result);
    result = fi_control(&l->eq->fid, FI_GETWAIT, &l->eq_descriptor);
    if (!result)
        result = fi_control(&l->cq->fid, FI_GETWAIT, &l->cq_descriptor);
    if (result)
        return ofi_failed(l->text, FABRIC_FAILED, "fi_control for the descriptor to sleep on", result);
    return FABRIC_OK;
}

int ofi_open(struct ofi_link *l, struct fi_info *info) {
    l->library = ofi_load(l->text);
    l->info = info;
    l->next_key = 1;
    l->inject = info->tx_attr->inject_size;
    l->span = SPAN;
    if (l->span > info->ep_attr->max_msg_size)
        l->span = info->ep_attr->max_msg_size;
    if (l->span > info->ep_attr->max_order_waw_size)
        l->span = info->ep_attr->max_order_waw_size;
    // Now and then a write has to ask for a completion, or verbs never frees its send queue.
    l->signal_every = info->tx_attr->size > 8 ? (uint32_t)(info->tx_attr->size / 4) : 1;
    l->posts_receives = (info->mode & FI_RX_CQ_DATA) != 0;
    int result = l->library->fabric(info->fabric_attr, &l->fabric, NULL);
    if (result)
        return ofi_failed(l->text, FABRIC_FAILED, "fi_fabric", result);
    result = fi_domain(l->fabric, info, &l->domain, NULL);
    if (result)
        return ofi_failed(l->text, FABRIC_FAILED, "fi_domain", result);
    return open_queues(l);
}

int ofi_endpoint(struct ofi_link *l, struct fi_info *info, uint32_t slots) {
    int result = fi_endpoint(l->domain, info, &l->ep, NULL);
    if (result)
        return ofi_failed(l->text, FABRIC_FAILED, "fi_endpoint", result);
    result = fi_ep_bind(l->ep, &l->eq->fid, 0);
    if (!result)
        result = fi_ep_bind(l->ep, &l->cq->fid, FI_TRANSMIT | FI_SELECTIVE_COMPLETION);
    if (!result)  // apart: some providers apply the selection to whatever it is bound with
        result = fi_ep_bind(l->ep, &l->cq->fid, FI_RECV);
    if (result)
        return ofi_failed(l->text, FABRIC_FAILED, "fi_ep_bind", result);
    result = fi_enable(l->ep);
    if (result)
        return ofi_failed(l->text, FABRIC_FAILED, "fi_enable", result);
    for (uint32_t i = 0; l->posts_receives && i < slots; i++) {
        result = (int)fi_recv(l->ep, NULL, 0, NULL, FI_ADDR_UNSPEC, NULL);
        if (result)
            return ofi_failed(l->text, FABRIC_FAILED, "fi_recv", result);
    }
    return FABRIC_OK;
}

void ofi_disconnect(struct ofi_link *l) {
    if (l->ep)
        fi_close(&l->ep->fid);
    l->ep = NULL;
}

void ofi_close(struct ofi_link *l) {
    ofi_disconnect(l);
    if (l->cq)
        fi_close(&l->cq->fid);
    if (l->eq)
        fi_close(&l->eq->fid);
    if (l->domain)
        fi_close(&l->domain->fid);
    if (l->fabric)
        fi_close(&l->fabric->fid);
    if (l->info)
        l->library->freeinfo(l->info);
    l->cq = NULL;
    l->eq = NULL;
    l->domain = NULL;
    l->fabric = NULL;
    l->info = NULL;
}

// ---------------------------------------------------------------- memory

int ofi_register(struct ofi_link *l, void *base, uint64_t size, uint64_t access, struct fid_mr **mr) {
    int result = fi_mr_reg(l->domain, base, size ? size : 1, access, 0, l->next_key, 0, mr, NULL);
    if (result) {
        *mr = NULL;
        char step[96];
        snprintf(step, sizeof step, "fi_mr_reg of %llu bytes (for RDMA see ulimit -l)", (unsigned long long)size);
        return ofi_failed(l->text, FABRIC_FAILED, step, result);
    }
    l->next_key++;
    return FABRIC_OK;
}

void ofi_release(struct fid_mr **mr) {
    if (*mr)
        fi_close(&(*mr)->fid);
    *mr = NULL;
}

uint64_t ofi_remote_address(const struct ofi_link *l, const void *base) {
    return l->info->domain_attr->mr_mode & FI_MR_VIRT_ADDR ? (uint64_t)(uintptr_t)base : 0;
}

// ---------------------------------------------------------------- what has arrived

int ofi_event_failed(struct ofi_link *l, const char *step) {
    struct fi_eq_err_entry error = {0};
    if (fi_eq_readerr(l->eq, &error, 0) < 0)
        error.err = FI_EOTHER;
    return ofi_failed(l->text, FABRIC_BROKEN, step, -error.err);
}

static int over(struct ofi_link *l, int result) { return l->over = result; }

int ofi_events(struct ofi_link *l) {
    union ofi_event event;
    uint32_t kind;
    if (l->over || !l->connected)
        return l->over;
    ssize_t size = fi_eq_read(l->eq, &kind, &event, sizeof event, 0);
    if (size == -FI_EAGAIN || size == -FI_EINTR)
        return FABRIC_OK;
    if (size == -FI_EAVAIL)
        return over(l, ofi_event_failed(l, "the connection failed"));
    if (size < 0)
        return over(l, ofi_failed(l->text, FABRIC_BROKEN, "fi_eq_read", size));
    if (kind == FI_SHUTDOWN) {
        snprintf(l->text, FABRIC_TEXT, "it ended the connection");
        return over(l, FABRIC_BROKEN);
    }
    if (kind == FI_CONNREQ)  // came before the listening ended; there is nobody to tell it
        l->library->freeinfo(event.entry.info);
    return FABRIC_OK;
}

static int completion_failed(struct ofi_link *l, ssize_t result) {
    if (result != -FI_EAVAIL)
        return over(l, ofi_failed(l->text, FABRIC_BROKEN, "fi_cq_read", result));
    // The event queue knows better why, if it is the peer's end.
    if (ofi_events(l) < 0)
        return l->over;
    struct fi_cq_err_entry error = {0};
    if (fi_cq_readerr(l->cq, &error, 0) < 0)
        error.err = FI_EOTHER;
    return over(l, ofi_failed(l->text, FABRIC_BROKEN, "an operation failed", -error.err));
}

static int note(struct ofi_link *l, const struct fi_cq_data_entry *entry) {
    // Not by FI_REMOTE_CQ_DATA: some providers' local completions carry it too.
    if (!(entry->flags & (FI_REMOTE_WRITE | FI_RECV))) {
        if (entry->op_context == l)
            l->flushed++;
        return FABRIC_OK;
    }
    if ((uint32_t)entry->data != (uint32_t)(l->arrived + 1)) {
        snprintf(l->text, FABRIC_TEXT, "message %llu came with the number %u", (unsigned long long)l->arrived + 1, (uint32_t)entry->data);
        return over(l, FABRIC_PROTOCOL);
    }
    l->arrived++;
    if (!l->posts_receives)
        return FABRIC_OK;
    int result = (int)fi_recv(l->ep, NULL, 0, NULL, FI_ADDR_UNSPEC, NULL);
    return result ? over(l, ofi_failed(l->text, FABRIC_BROKEN, "fi_recv", result)) : FABRIC_OK;
}

int ofi_poll(struct ofi_link *l) {
    struct fi_cq_data_entry entries[COMPLETIONS];
    if (l->over)
        return l->over;
    ssize_t count = fi_cq_read(l->cq, entries, COMPLETIONS);
    if (count == -FI_EAGAIN || count == -FI_EINTR) {
        if (++l->idle % IDLE_POLLS == 0)
            return ofi_events(l);
        return FABRIC_OK;
    }
    if (count < 0)
        return completion_failed(l, count);
    for (ssize_t i = 0; i < count; i++) {
        int result = note(l, &entries[i]);
        if (result < 0)
            return result;
    }
    return FABRIC_OK;
}

int ofi_may_sleep(struct ofi_link *l) {
    struct fid *queues[] = {&l->cq->fid, &l->eq->fid};
    if (fi_trywait(l->fabric, queues, 2) == 0)
        return 1;
    ofi_events(l);  // the next poll reports what it finds
    return 0;
}

// ---------------------------------------------------------------- writing

// Between two attempts of an operation that the provider has no room for, or two looks for
// something to end. Ends when the peer does, or when it is told to stop.
static int wait_a_little(struct ofi_link *l) {
    int result = ofi_poll(l);
    if (result < 0)
        return result;
    if (atomic_load_explicit(l->stop, memory_order_relaxed)) {
        snprintf(l->text, FABRIC_TEXT, "it was given up");
        return over(l, FABRIC_BROKEN);
    }
    if (l->give_way)
        l->give_way(l);
    sched_yield();
    return FABRIC_OK;
}

// What one failed attempt to post an operation means: FABRIC_OK to try again.
static int not_posted(struct ofi_link *l, const char *step, ssize_t error) {
    if (error == -FI_EAGAIN)
        return wait_a_little(l);
    if (ofi_events(l) < 0)
        return l->over;
    return over(l, ofi_failed(l->text, FABRIC_BROKEN, step, error));
}

static int post(struct ofi_link *l, const struct fi_msg_rma *message, uint64_t flags) {
    if (!(flags & FI_COMPLETION) && ++l->unsignalled >= l->signal_every)
        flags |= FI_COMPLETION;
    for (;;) {
        if (l->over)
            return l->over;
        ssize_t result = fi_writemsg(l->ep, message, flags);
        if (result == 0)
            break;
        int failed = not_posted(l, "fi_writemsg", result);
        if (failed < 0)
            return failed;
    }
    if (flags & FI_COMPLETION)
        l->unsignalled = 0;
    return FABRIC_OK;
}

int ofi_message(struct ofi_link *l, uint64_t id, const struct ofi_part *parts, int count, uint64_t address, uint64_t key) {
    struct iovec vector[2];
    void *descriptors[2];
    size_t size = 0;
    for (int i = 0; i < count; i++) {
        vector[i] = (struct iovec){(void *)(uintptr_t)parts[i].base, parts[i].size};
        descriptors[i] = parts[i].mr ? fi_mr_desc(parts[i].mr) : NULL;
        size += parts[i].size;
    }
    if (count == 1 && size <= l->inject && l->unsignalled + 1 < l->signal_every) {
        for (;;) {
            if (l->over)
                return l->over;
            ssize_t result = fi_inject_writedata(l->ep, parts[0].base, size, (uint32_t)id, FI_ADDR_UNSPEC, address, key);
            if (result == 0)
                break;
            int failed = not_posted(l, "fi_inject_writedata", result);
            if (failed < 0)
                return failed;
        }
        l->unsignalled++;
        return FABRIC_OK;
    }
    struct fi_rma_iov remote = {.addr = address, .len = size, .key = key};
    struct fi_msg_rma message = {
        .msg_iov = vector,
        .desc = descriptors,
        .iov_count = (size_t)count,
        .rma_iov = &remote,
        .rma_iov_count = 1,
        .data = (uint32_t)id,
    };
    return post(l, &message, FI_REMOTE_CQ_DATA);
}

static int write_spans(struct ofi_link *l, const void *base, uint64_t size, struct fid_mr *mr, uint64_t address, uint64_t key,
                       uint64_t last_flags, void *last_context) {
    void *descriptor = mr ? fi_mr_desc(mr) : NULL;
    for (uint64_t done = 0; done < size;) {
        uint64_t length = size - done < l->span ? size - done : l->span;
        struct iovec vector = {(uint8_t *)(uintptr_t)base + done, length};
        struct fi_rma_iov remote = {.addr = address + done, .len = length, .key = key};
        struct fi_msg_rma message = {
            .msg_iov = &vector,
            .desc = &descriptor,
            .iov_count = 1,
            .rma_iov = &remote,
            .rma_iov_count = 1,
        };
        done += length;
        uint64_t flags = 0;
        if (done == size) {
            flags = last_flags;
            message.context = last_context;
        }
        int result = post(l, &message, flags);
        if (result < 0)
            return result;
    }
    return FABRIC_OK;
}

int ofi_write(struct ofi_link *l, const void *base, uint64_t size, struct fid_mr *mr, uint64_t address, uint64_t key) {
    return write_spans(l, base, size, mr, address, key, 0, NULL);
}

int ofi_write_and_wait(struct ofi_link *l, const void *base, uint64_t size, struct fid_mr *mr, uint64_t address, uint64_t key) {
    if (!size)
        return FABRIC_OK;
    // Where bytes are said to be sent when the kernel has them, wait for the peer to have them. A
    // write over RDMA is complete when the peer's adapter has acknowledged it.
    uint64_t flags = FI_COMPLETION;
    if (l->info->ep_attr->protocol == FI_PROTO_SOCK_TCP)
        flags |= FI_DELIVERY_COMPLETE;
    l->flushes++;
    int result = write_spans(l, base, size, mr, address, key, flags, l);
    while (result == FABRIC_OK && l->flushed < l->flushes)
        result = wait_a_little(l);
    return result;
}
