/* One end of a libfabric floor, as its files share it. */
#ifndef SUBLET_FLOOR_OFI_H
#define SUBLET_FLOOR_OFI_H

#include <rdma/fabric.h>
#include <rdma/fi_cm.h>
#include <rdma/fi_domain.h>
#include <rdma/fi_endpoint.h>
#include <rdma/fi_eq.h>
#include <rdma/fi_errno.h>
#include <rdma/fi_rma.h>

#include "floor.h"

enum {
    FLOOR_RECEIVES = 16, /* posted at once; the most messages in flight to an end */
    FLOOR_ARRIVALS = 64,
};

/* What a message's 32 bits of completion data say. */
enum floor_message {
    FLOOR_PING = 1, /* to be answered by as many bytes */
    FLOOR_PUSH,     /* to be answered by one byte */
    FLOOR_END,      /* the same, and it is the block's last */
};


struct floor_ofi {
    struct fi_info *info;
    struct fid_fabric *fabric;
    struct fid_domain *domain;
    struct fid_eq *eq; /* NULL where endpoints do not connect */
    struct fid_cq *cq;
    struct fid_av *av; /* NULL where they do */
    struct fid_ep *ep;
    struct fid_pep *passive;
    struct fid_mr *mr;
    fi_addr_t peer;
    uint8_t *memory; /* what is sent, then what is received: window places of size bytes each */
    uint64_t size;
    uint64_t window;
    uint64_t received; /* receives posted so far */
    uint64_t peer_address; /* of what the peer receives into */
    uint64_t peer_key;
    int sends;
    int posts_receives; /* also for writes (verbs) */
    uint32_t unsignalled, signal_every;
    uint8_t name[FLOOR_NAME + 1], peer_name[FLOOR_NAME + 1];
    int unlinked;
    uint8_t arrivals[FLOOR_ARRIVALS];
    uint32_t arrived, taken;
    char *text;
};

struct floor_libfabric {
    int (*getinfo)(uint32_t, const char *, const char *, uint64_t, const struct fi_info *, struct fi_info **);
    void (*freeinfo)(struct fi_info *);
    struct fi_info *(*dupinfo)(const struct fi_info *);
    int (*fabric)(struct fi_fabric_attr *, struct fid_fabric **, void *);
    const char *(*strerror)(int);
};

const struct floor_libfabric *floor_libfabric_load(char *text);
int floor_ofi_failed(char *text, const char *step, long error);

/* What the i-th payload is sent from, and where it is received. */
static inline uint8_t *floor_ofi_out(const struct floor_ofi *e, uint64_t i) { return e->memory + i % e->window * e->size; }
static inline uint8_t *floor_ofi_in(const struct floor_ofi *e, uint64_t i) { return e->memory + (e->window + i % e->window) * e->size; }

/* Posts a receive into the end's memory. */
int floor_ofi_receive(struct floor_ofi *);
/* Removes what names both ends in shared memory; once. */
void floor_ofi_unlink(struct floor_ofi *);

#endif
