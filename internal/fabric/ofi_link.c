// A link: opening and closing its objects, its memory, and names.
#define _GNU_SOURCE
#include <stdio.h>
#include <string.h>

#include "ofi.h"

enum {
    COMPLETION_QUEUE = 1024,
    SPAN = 16 << 20,  // larger payloads go in parts on every provider, not only where they must
};

// ---------------------------------------------------------------- opening and closing

static int open_event_queue(struct ofi_link *l) {
    struct fi_eq_attr eq = {.wait_obj = FI_WAIT_FD};
    int result = fi_eq_open(l->fabric, &eq, &l->eq, NULL);
    if (result)
        return ofi_failed(l->text, FABRIC_FAILED, "fi_eq_open", result);
    result = fi_control(&l->eq->fid, FI_GETWAIT, &l->eq_descriptor);
    if (result)
        return ofi_failed(l->text, FABRIC_FAILED, "fi_control for the descriptor to sleep on", result);
    return FABRIC_OK;
}

static int open_addresses(struct ofi_link *l) {
    struct fi_av_attr av = {.type = l->info->domain_attr->av_type, .count = 2};
    int result = fi_av_open(l->domain, &av, &l->av, NULL);
    return result ? ofi_failed(l->text, FABRIC_FAILED, "fi_av_open", result) : FABRIC_OK;
}

static void hang_bells(struct ofi_link *l, const struct fabric_ofi_options *o, int executor) {
    l->bells = (struct ofi_bells){.bell = -1};
    if (!o->bells)
        return;
    l->bells = (struct ofi_bells){
        .mine = executor ? &o->bells->executor_sleeps : &o->bells->client_sleeps,
        .theirs = executor ? &o->bells->client_sleeps : &o->bells->executor_sleeps,
        .left = &o->bells->client_left,
        .bell = o->doorbell,
        .on_flag = executor,
    };
}

int ofi_open(struct ofi_link *l, struct fi_info *info, const struct fabric_ofi_options *o, int executor) {
    l->library = ofi_load(l->text);
    l->info = info;
    l->cq_descriptor = l->eq_descriptor = -1;
    l->peer = FI_ADDR_UNSPEC;
    l->sends = o->sends;
    hang_bells(l, o, executor);
    l->flush.kind = OFI_FLUSH;
    l->loosely.kind = OFI_LOOSE;
    l->greeting.kind = OFI_GREETING;
    l->next_key = 1;
    l->inject = info->tx_attr->inject_size;
    l->span = SPAN;
    if (l->span > info->ep_attr->max_msg_size)
        l->span = info->ep_attr->max_msg_size;
    if (!l->sends && l->span > info->ep_attr->max_order_waw_size)
        l->span = info->ep_attr->max_order_waw_size;
    if (!l->sends && !strcmp(info->fabric_attr->prov_name, "shm")) {
        // Its target copies what is not injected, by a system call and with its queue locked.
        l->pieces = 2 * l->inject + sizeof(struct wire_request);
        l->together = info->tx_attr->iov_limit > 1 && info->tx_attr->rma_iov_limit > 1 && info->ep_attr->max_msg_size > l->span + sizeof(struct wire_request);
    }
    // Now and then a write has to ask for a completion, or verbs never frees its send queue.
    l->signal_every = info->tx_attr->size > 8 ? (uint32_t)(info->tx_attr->size / 4) : 1;
    l->posts_receives = !l->sends && (info->mode & FI_RX_CQ_DATA) != 0;
    int result = l->library->fabric(info->fabric_attr, &l->fabric, NULL);
    if (result)
        return ofi_failed(l->text, FABRIC_FAILED, "fi_fabric", result);
    result = fi_domain(l->fabric, info, &l->domain, NULL);
    if (result)
        return ofi_failed(l->text, FABRIC_FAILED, "fi_domain", result);
    result = info->ep_attr->type == FI_EP_MSG ? open_event_queue(l) : open_addresses(l);
    return result < 0 ? result : ofi_open_queue(l, (struct fi_cq_attr){.size = COMPLETION_QUEUE, .format = FI_CQ_FORMAT_DATA});
}

static int bind(struct ofi_link *l) {
    int result = fi_ep_bind(l->ep, l->eq ? &l->eq->fid : &l->av->fid, 0);
    if (!result)
        result = fi_ep_bind(l->ep, &l->cq->fid, FI_TRANSMIT | FI_SELECTIVE_COMPLETION);
    if (!result)  // apart: some providers apply the selection to whatever it is bound with
        result = fi_ep_bind(l->ep, &l->cq->fid, FI_RECV);
    return result ? ofi_failed(l->text, FABRIC_FAILED, "fi_ep_bind", result) : FABRIC_OK;
}

int ofi_endpoint(struct ofi_link *l, struct fi_info *info, uint32_t slots) {
    struct ofi_signals before;
    if (l->av)
        ofi_keep_signals(&before);
    int result = fi_endpoint(l->domain, info, &l->ep, NULL);
    if (result)
        result = ofi_failed(l->text, FABRIC_FAILED, "fi_endpoint", result);
    else
        result = bind(l);
    if (result == FABRIC_OK && (result = fi_enable(l->ep)) != 0)
        result = ofi_failed(l->text, FABRIC_FAILED, l->av ? "fi_enable (shm needs room in /dev/shm)" : "fi_enable", result);
    if (l->av)
        ofi_restore_signals(&before);
    l->slots = slots;
    l->receives_most = info->rx_attr->size < 2 * slots ? slots : 2 * slots;
    if (result == FABRIC_OK && l->posts_receives)
        result = ofi_receive_writes(l);
    if (result == FABRIC_OK && l->av)
        return ofi_await_greeting(l);
    if (result == FABRIC_OK && l->sends)
        return ofi_inbox_post(l);
    return result;
}

void ofi_disconnect(struct ofi_link *l) {
    if (l->ep)
        fi_close(&l->ep->fid);
    l->ep = NULL;
}

void ofi_close(struct ofi_link *l) {
    ofi_disconnect(l);
    struct fid *objects[] = {
        l->cq ? &l->cq->fid : NULL,         l->eq ? &l->eq->fid : NULL,
        l->av ? &l->av->fid : NULL,         l->domain ? &l->domain->fid : NULL,
        l->fabric ? &l->fabric->fid : NULL,
    };
    for (size_t i = 0; i < sizeof objects / sizeof *objects; i++)
        if (objects[i])
            fi_close(objects[i]);
    if (l->info)
        l->library->freeinfo(l->info);
    l->cq = NULL;
    l->eq = NULL;
    l->av = NULL;
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

// ---------------------------------------------------------------- names

int ofi_name(struct ofi_link *l, struct fid *endpoint, uint8_t *name, size_t *size) {
    uint32_t format = l->info->addr_format;
    *size = FABRIC_OFI_NAME - sizeof format;
    memcpy(name, &format, sizeof format);
    int result = fi_getname(endpoint, name + sizeof format, size);
    if (result)
        return ofi_failed(l->text, FABRIC_FAILED, "fi_getname", result);
    *size += sizeof format;
    return FABRIC_OK;
}

int ofi_know(struct ofi_link *l, const uint8_t *name, size_t size, fi_addr_t *peer) {
    uint8_t address[FABRIC_OFI_NAME + 1] = {0};  // a text ends here at the latest
    if (size <= sizeof(uint32_t) || size > FABRIC_OFI_NAME) {
        snprintf(l->text, FABRIC_TEXT, "a peer's name of %zu bytes", size);
        return FABRIC_FAILED;
    }
    memcpy(address, name + sizeof(uint32_t), size - sizeof(uint32_t));
    int result = fi_av_insert(l->av, address, 1, peer, 0, NULL);
    if (result != 1)
        return ofi_failed(l->text, FABRIC_FAILED, "fi_av_insert", result < 0 ? result : -FI_EADDRNOTAVAIL);
    return FABRIC_OK;
}
