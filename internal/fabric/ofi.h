// What the two ends of a libfabric connection share: the library itself, and a link, which is
// one connected endpoint with a domain, a completion queue and an event queue of its own.
#ifndef SUBLET_OFI_H
#define SUBLET_OFI_H

#include <rdma/fabric.h>
#include <rdma/fi_cm.h>
#include <rdma/fi_domain.h>
#include <rdma/fi_endpoint.h>
#include <rdma/fi_eq.h>
#include <rdma/fi_errno.h>
#include <rdma/fi_rma.h>
#include <stdatomic.h>
#include <stdint.h>

#include "fabric.h"

// libfabric's exported calls. Everything else in its headers goes through tables of operations,
// but beware of what they define on top of these, like fi_allocinfo: it would link the library.
struct ofi_library {
    int (*getinfo)(uint32_t, const char *, const char *, uint64_t, const struct fi_info *, struct fi_info **);
    void (*freeinfo)(struct fi_info *);
    struct fi_info *(*dupinfo)(const struct fi_info *);
    int (*fabric)(struct fi_fabric_attr *, struct fid_fabric **, void *);
    const char *(*strerror)(int);
};

// Loads libfabric when it is first needed: NULL and the text if it can not be.
const struct ofi_library *ofi_load(char *text);

// Finds a provider that can do what a link needs. provider may be empty: the one that libfabric
// names first. Either address (of this node, to listen at; may be empty) or name (a peer's, to
// connect to) is given. The result is freed with freeinfo.
int ofi_find(const char *provider, const char *address, const uint8_t *name, size_t name_size, struct fi_info **info, char *text);

// Fails with FABRIC_FAILED or FABRIC_BROKEN and the text "step: libfabric's reason". error is negative.
int ofi_failed(char *text, int result, const char *step, long error);

// One connection. One thread at a time uses it.
struct ofi_link {
    const struct ofi_library *library;
    struct fi_info *info;
    struct fid_fabric *fabric;
    struct fid_domain *domain;
    struct fid_eq *eq;
    struct fid_cq *cq;
    struct fid_ep *ep;
    int cq_descriptor;
    int eq_descriptor;
    uint64_t next_key;     // where the provider wants keys from us
    size_t span;           // most bytes of one write: one that is followed in order
    size_t inject;         // most bytes that are copied away at once
    _Atomic uint64_t arrived;  // id of the last message that the peer's completions told of
    uint64_t flushes;      // writes posted whose end somebody waits for
    uint64_t flushed;      // and those of them that have ended
    uint32_t unsignalled;  // writes since the last that asks for a completion
    uint32_t signal_every;
    uint32_t idle;  // polls that brought nothing
    int connected;       // the event queue is ofi_events' to read
    int posts_receives;  // the provider takes a posted receive for each message (verbs)
    int over;            // why the link is of no more use, or 0
    const _Atomic uint32_t *stop;         // ends what waits for the peer
    void (*give_way)(struct ofi_link *);  // called by what waits for the peer, if it is set
    char *text;                           // FABRIC_TEXT bytes
};

// Opens all but the endpoint; takes info. The text of every later failure goes to link->text.
int ofi_open(struct ofi_link *, struct fi_info *info);
// Makes the endpoint, ready for fi_connect or fi_accept.
int ofi_endpoint(struct ofi_link *, struct fi_info *info, uint32_t slots);
// Closes the endpoint: nothing that the peer sends lands any more.
void ofi_disconnect(struct ofi_link *);
// Frees the rest; memory that was registered is released before.
void ofi_close(struct ofi_link *);

int ofi_register(struct ofi_link *, void *base, uint64_t size, uint64_t access, struct fid_mr **mr);
void ofi_release(struct fid_mr **mr);
// What the peer names registered memory by.
uint64_t ofi_remote_address(const struct ofi_link *, const void *base);

// Part of a message in local memory.
struct ofi_part {
    const void *base;
    size_t size;
    struct fid_mr *mr;
};

// Writes a message, which the peer gets a completion for with the low bits of its id.
int ofi_message(struct ofi_link *, uint64_t id, const struct ofi_part *parts, int count, uint64_t address, uint64_t key);
// Writes a payload of any size, ahead of the message that follows.
int ofi_write(struct ofi_link *, const void *base, uint64_t size, struct fid_mr *mr, uint64_t address, uint64_t key);
// The same, and waits until it has landed.
int ofi_write_and_wait(struct ofi_link *, const void *base, uint64_t size, struct fid_mr *mr, uint64_t address, uint64_t key);

// Moves what is to be moved and notes what has arrived.
int ofi_poll(struct ofi_link *);
// Once connected, looks at the event queue for the end of the connection.
int ofi_events(struct ofi_link *);
// 1 if the caller may sleep on the descriptors, 0 if it must poll first.
int ofi_may_sleep(struct ofi_link *);
// Reads an error off the event queue into the text.
int ofi_event_failed(struct ofi_link *, const char *step);

// Room for an event with its data.
union ofi_event {
    struct fi_eq_cm_entry entry;
    uint8_t room[sizeof(struct fi_eq_cm_entry) + 256];
};

#endif
