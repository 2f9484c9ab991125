// The descriptors that tell of completions.
//
// Most providers have one. tcp of libfabric up to 1.17 has that only if it looks after its sockets by epoll_wait,
// which takes longer for one socket than poll does, with every look: asked for all of its descriptors instead
// (FI_WAIT_POLLFD), it polls. One of these is for its own threads, rung when the set has changed, and stays
// readable from then on. Who is to be left out shows when there is nothing to be read yet.
#define _GNU_SOURCE
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "ofi.h"

enum { FIRST_WITHOUT = 118 };  // libfabric 1.18, as providers count

static int is_asked_for_all(const struct fi_info *info) {
    const struct fi_fabric_attr *fabric = info->fabric_attr;
    return !strcmp(fabric->prov_name, "tcp") && info->ep_attr->type == FI_EP_MSG && FI_MAJOR(fabric->prov_version) < FIRST_WITHOUT;
}

// All descriptors of the queue as they are now; at most OFI_DESCRIPTORS.
static int list(struct ofi_link *l, struct pollfd *all) {
    struct fi_wait_pollfd wait = {.nfds = OFI_DESCRIPTORS, .fd = all};
    int result = fi_control(&l->cq->fid, FI_GETWAIT, &wait);
    return result ? result : (int)wait.nfds;
}

// Before there is an endpoint, finds what is readable although nothing can have come.
static int find_mute(struct ofi_link *l) {
    struct pollfd all[OFI_DESCRIPTORS];
    struct fid *queue = &l->cq->fid;
    struct fi_cq_data_entry entry;
    fi_cq_read(l->cq, &entry, 1);  // what is new in the set is noticed when it is used
    if (fi_trywait(l->fabric, &queue, 1))
        return -FI_EOTHER;
    int count = list(l, all);
    if (count < 0)
        return count;
    if (poll(all, (nfds_t)count, 0) < 0)
        return -FI_EOTHER;
    for (int i = 0; i < count; i++)
        if (all[i].revents)
            l->mute[l->mutes++] = all[i].fd;
    return 0;
}

// The queue with all of its descriptors, or none and no failure.
static void open_with_all(struct ofi_link *l, struct fi_cq_attr cq) {
    cq.wait_obj = FI_WAIT_POLLFD;
    if (fi_cq_open(l->domain, &cq, &l->cq, NULL))
        l->cq = NULL;
    else if (find_mute(l)) {
        fi_close(&l->cq->fid);
        l->cq = NULL;
    }
}

int ofi_open_queue(struct ofi_link *l, struct fi_cq_attr cq) {
    cq.wait_obj = l->bells.mine ? FI_WAIT_NONE : FI_WAIT_FD;
    if (!l->bells.mine && is_asked_for_all(l->info))
        open_with_all(l, cq);
    if (l->cq)
        return FABRIC_OK;
    l->mutes = 0;
    int result = fi_cq_open(l->domain, &cq, &l->cq, NULL);
    if (result == -FI_ENOSYS && !l->bells.mine) {
        snprintf(l->text, FABRIC_TEXT, "provider %s of libfabric has no descriptor to sleep on, and no doorbells were given for it",
                 l->info->fabric_attr->prov_name);
        return FABRIC_FAILED;
    }
    if (result)
        return ofi_failed(l->text, FABRIC_FAILED, "fi_cq_open", result);
    if (!l->bells.mine)
        result = fi_control(&l->cq->fid, FI_GETWAIT, &l->cq_descriptor);
    return result ? ofi_failed(l->text, FABRIC_FAILED, "fi_control for the descriptor to sleep on", result) : FABRIC_OK;
}

static int is_mute(const struct ofi_link *l, int descriptor) {
    for (int i = 0; i < l->mutes; i++)
        if (l->mute[i] == descriptor)
            return 1;
    return 0;
}

int ofi_descriptors(struct ofi_link *l, struct ofi_sleep *sleep) {
    struct pollfd *out = sleep->descriptors;
    sleep->count = 1;
    *out = (struct pollfd){.fd = l->cq_descriptor, .events = POLLIN};
    if (l->cq_descriptor >= 0)
        return FABRIC_OK;
    const int count = list(l, out);
    if (count < 0)
        return ofi_over(l, ofi_failed(l->text, FABRIC_BROKEN, "fi_control for the descriptors to sleep on", count));
    sleep->count = 0;
    for (int i = 0; i < count; i++)
        if (!is_mute(l, out[i].fd))
            out[sleep->count++] = out[i];
    return FABRIC_OK;
}
