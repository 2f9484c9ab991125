// What the two ends of a libfabric connection share: the library itself, and a link, which is
// one endpoint with a domain, a completion queue and an event queue of its own.
#ifndef SUBLET_OFI_H
#define SUBLET_OFI_H

#include <poll.h>
#include <rdma/fabric.h>
#include <rdma/fi_cm.h>
#include <rdma/fi_domain.h>
#include <rdma/fi_endpoint.h>
#include <rdma/fi_eq.h>
#include <rdma/fi_errno.h>
#include <rdma/fi_rma.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>

#include "fabric.h"

// The oldest interface whose structures have the layout that we were compiled with; every later
// library serves it.
#define OFI_VERSION FI_VERSION(1, 9)

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

// Providers put handlers of their own on signals: what was there before is put back.
enum { OFI_SIGNALS = 64 };
struct ofi_signals {
    struct sigaction saved[OFI_SIGNALS + 1];
};
void ofi_keep_signals(struct ofi_signals *);
void ofi_restore_signals(const struct ofi_signals *);

// Finds a provider that can do what a link needs, for ofi-send or ofi-write. provider may be
// empty: the one that libfabric names first. Either address (of this node, to listen at; may be
// empty) or name (a peer's, to connect to) is given. The result is freed with freeinfo.
int ofi_find(const char *provider, int sends, const char *address, const uint8_t *name, size_t name_size, struct fi_info **info, char *text);

// Fails with FABRIC_FAILED or FABRIC_BROKEN and the text "step: libfabric's reason". error is negative.
int ofi_failed(char *text, int result, const char *step, long error);

// What a completion's context points to. Messages of ofi-write have none.
enum ofi_kind {
    OFI_FLUSH = 1,  // a write whose end somebody waits for
    OFI_GREETING,   // a receive: of the meeting, later of the goodbye
    OFI_MESSAGE,    // a receive of ofi-send, into the buffer of that index
    OFI_TRANSFER,   // a read or write of ofi-send, for the slot of that index
    OFI_LOOSE,      // something that shm needs our polling for until it has ended
};

struct ofi_operation {
    uint32_t kind;
    uint32_t index;
};

// Doorbells, where the provider has no descriptor: an end that sleeps says so in its flag, and
// the other wakes it. NULL and -1 where there are none.
struct ofi_bells {
    _Atomic uint32_t *mine;
    _Atomic uint32_t *theirs;
    _Atomic uint32_t *left;  // set by the client before it goes
    int bell;                // our end
    int on_flag;             // we sleep on our flag, and the peer on its descriptor; 0: the other way round
    int hung_up;             // the peer has closed its end
};

// Messages of ofi-send: receives are posted for as many as there are slots, and taken as they
// come; ids say which slot a message is for.
struct ofi_inbox {
    uint8_t *buffers;
    size_t stride;
    struct fid_mr *mr;
    uint32_t slots;
    uint32_t held[WIRE_SLOTS_MAX];          // by slot: the buffer that its message lies in
    size_t sizes[WIRE_SLOTS_MAX];           // by slot: bytes of its message
    uint64_t seen[WIRE_SLOTS_MAX];          // by slot: id of the last message
    _Atomic uint64_t came[WIRE_SLOTS_MAX];  // by slot: id of the last that is complete, with its payload
    struct ofi_operation receives[WIRE_SLOTS_MAX];
};

enum { OFI_DESCRIPTORS = 8 };  // most that tell of completions

// What one of a link's threads sleeps on. It belongs to that thread.
struct ofi_sleep {
    struct pollfd descriptors[OFI_DESCRIPTORS];
    int count;
};

// One connection. One thread at a time uses it.
struct ofi_link {
    const struct ofi_library *library;
    struct fi_info *info;
    struct fid_fabric *fabric;
    struct fid_domain *domain;
    struct fid_eq *eq;  // NULL where endpoints do not connect
    struct fid_cq *cq;
    struct fid_av *av;  // NULL where they do
    struct fid_ep *ep;
    fi_addr_t peer;
    int cq_descriptor;  // -1: none, or more than one
    int eq_descriptor;
    int mute[OFI_DESCRIPTORS];  // of several that tell of completions, those that tell nothing
    int mutes;
    struct ofi_bells bells;
    int sends;  // ofi-send
    struct ofi_inbox inbox;
    uint64_t next_key;          // where the provider wants keys from us
    size_t span;                // most bytes of one write: one that is followed in order
    size_t inject;              // most bytes that are copied away at once
    int together;               // ofi-write: a header and a payload elsewhere can be one write
    size_t pieces;              // ofi-write: most bytes of a message for which several such copies are faster than one write
    _Atomic uint64_t arrived;   // ofi-write: id of the last message that the peer's completions told of
    uint64_t flushes;           // writes posted whose end somebody waits for
    uint64_t flushed;           // and those of them that have ended
    uint32_t loose;             // operations that have not ended, which the peer can not wake us for
    int unposted;               // the pump has something that the provider had no room for
    uint32_t unsignalled;       // writes since the last that asks for a completion
    uint32_t signal_every;
    uint32_t idle;        // polls that brought nothing
    int brought;          // completions that the last poll brought
    int connected;        // the event queue is ofi_events' to read
    int posts_receives;   // ofi-write: the provider takes a posted receive for each message (verbs)
    uint32_t receives;    // of which so many are posted
    uint32_t receives_most;
    uint32_t slots;       // as many messages of the peer can be on their way
    int over;             // why the link is of no more use, or 0
    struct ofi_operation flush, loosely, greeting;
    uint8_t greeting_room[256];
    size_t greeted;  // bytes of a greeting that has come, or 0
    const _Atomic uint32_t *stop;            // ends what waits for the peer
    struct fabric_abandonment *abandonment;  // the client's: whose asked is stop; NULL at the executor's end
    void (*give_way)(struct ofi_link *);     // called by what waits for the peer, if it is set
    // ofi-send, if they are set: the message for a slot has come; a transfer of it has ended; what
    // could not be posted is tried again.
    int (*message_came)(struct ofi_link *, uint32_t slot);
    void (*transferred)(struct ofi_link *, uint32_t slot);
    int (*pump)(struct ofi_link *);
    char *text;  // FABRIC_TEXT bytes
};

// Opens all but the endpoint; takes info. The text of every later failure goes to link->text.
int ofi_open(struct ofi_link *, struct fi_info *info, const struct fabric_ofi_options *, int executor);
// Makes the endpoint, ready for fi_connect or fi_accept, or for greetings.
int ofi_endpoint(struct ofi_link *, struct fi_info *info, uint32_t slots);
// Closes the endpoint: nothing that the peer sends lands any more.
void ofi_disconnect(struct ofi_link *);
// Frees the rest; memory that was registered is released before.
void ofi_close(struct ofi_link *);

int ofi_register(struct ofi_link *, void *base, uint64_t size, uint64_t access, struct fid_mr **mr);
void ofi_release(struct fid_mr **mr);
// What the peer names registered memory by.
uint64_t ofi_remote_address(const struct ofi_link *, const void *base);
static inline int ofi_registers_locally(const struct ofi_link *l) { return (l->info->domain_attr->mr_mode & FI_MR_LOCAL) != 0; }

// The endpoint's own name: the address's format and the address.
int ofi_name(struct ofi_link *, struct fid *, uint8_t *name, size_t *size);
// Makes a peer's name its address.
int ofi_know(struct ofi_link *, const uint8_t *name, size_t size, fi_addr_t *peer);
// The file in shared memory that a name stands for (WIRE_NAME + 1 bytes), "" unless ofi_find has made it.
void ofi_file(const uint8_t *name, size_t size, char *file);
// Removes it.
void ofi_unlink(const uint8_t *name, size_t size);

// Finds the locks that the link's provider shares with its peer, so that fabric_abandon can unlock
// them; none is no failure. FABRIC_BROKEN if we have been abandoned meanwhile. (ofi_locks.c)
int ofi_find_locks(struct ofi_link *, const uint8_t *own, size_t own_size, const uint8_t *peer, size_t peer_size);
// Moves what is known of them: once this has returned, who abandons the one touches no lock any more, so
// that their memory may go.
void ofi_hand_over(struct fabric_abandonment *from, struct fabric_abandonment *to);

// ofi-send: gives the inbox its memory, and posts its receives.
void ofi_inbox_open(struct ofi_link *, void *buffers, size_t stride, uint32_t slots, struct fid_mr *mr);
int ofi_inbox_post(struct ofi_link *);
// Posts the receive of a slot's buffer again.
int ofi_inbox_free(struct ofi_link *, uint32_t slot);

// Whether a message of that size is written by several operations that copy it away at once.
static inline int ofi_goes_in_pieces(const struct ofi_link *l, size_t size) { return size > l->inject && size <= l->pieces; }

// Whether the message with this id has come, complete.
static inline int ofi_has(const struct ofi_link *l, uint64_t id) {
    if (!l->sends)
        return atomic_load_explicit(&l->arrived, memory_order_acquire) >= id;
    return atomic_load_explicit(&l->inbox.came[id & (l->inbox.slots - 1)], memory_order_acquire) == id;
}
// Where it lies.
static inline uint8_t *ofi_inbox_at(const struct ofi_link *l, uint64_t id) {
    return l->inbox.buffers + l->inbox.held[id & (l->inbox.slots - 1)] * l->inbox.stride;
}

// Notes that the message with this id has come once more, as it would if the peer had sent it
// twice; for tests (fault.h).
void ofi_came_again(struct ofi_link *, uint64_t id);

// Part of a message in local memory. Of ofi-write the second may go to a place of its own, and not behind the first.
struct ofi_part {
    const void *base;
    size_t size;
    struct fid_mr *mr;
    int apart;
    uint64_t address;
    uint64_t key;
};

// Writes a message, which the peer gets a completion for with the low bits of its id; or sends it.
int ofi_message(struct ofi_link *, uint64_t id, const struct ofi_part *parts, int count, uint64_t address, uint64_t key);
// Makes a payload of any size the second part of the message that follows, or writes it ahead of that where
// it can not be.
int ofi_add_payload(struct ofi_link *, struct ofi_part *part, int *count, const void *base, uint64_t size, struct fid_mr *mr, uint64_t address,
                    uint64_t key);
// Writes a payload of any size, ahead of the message that follows.
int ofi_write(struct ofi_link *, const void *base, uint64_t size, struct fid_mr *mr, uint64_t address, uint64_t key);
// The same, and waits until it has landed.
int ofi_write_and_wait(struct ofi_link *, const void *base, uint64_t size, struct fid_mr *mr, uint64_t address, uint64_t key);

// A payload of any size between here and the peer's memory, part after part.
struct ofi_transfer {
    struct ofi_operation operation;
    uint32_t posted;  // parts that have not ended
    uint8_t *base;
    struct fid_mr *mr;
    uint64_t left;  // bytes that have not been posted
    uint64_t address;
    uint64_t key;
};

// Posts what can be posted of a read, or of a write that completes when it has landed: FABRIC_OK
// if that is all, FABRIC_FULL if it must be called again.
int ofi_transfer(struct ofi_link *, struct ofi_transfer *, int write);
// ofi_message that does not wait: FABRIC_FULL if it must be called again.
int ofi_try_message(struct ofi_link *, uint64_t id, const struct ofi_part *parts, int count, uint64_t address, uint64_t key);
// Sends a small message of the meeting, and waits at most that long until it is on its way.
int ofi_greet(struct ofi_link *, const void *message, size_t size, fi_addr_t to, int milliseconds);
int ofi_await_greeting(struct ofi_link *);

// ofi-write, where messages take receives: posts those that are missing.
int ofi_receive_writes(struct ofi_link *);

// Moves what is to be moved and notes what has arrived.
int ofi_poll(struct ofi_link *);
// Between two attempts of an operation that the provider has no room for, or two looks for
// something to end. Ends when the peer does, or when it is told to stop.
int ofi_wait_a_little(struct ofi_link *);
// Whether it was told to stop; then the link is over.
int ofi_abandoned(struct ofi_link *);
// Once connected, looks at the event queue for the end of the connection.
int ofi_events(struct ofi_link *);
// Opens the completion queue, and finds out what can be slept on. (ofi_descriptors.c)
int ofi_open_queue(struct ofi_link *, struct fi_cq_attr);
// The descriptors that tell of completions now.
int ofi_descriptors(struct ofi_link *, struct ofi_sleep *);
// 1 if the caller may sleep on the descriptors that are put into sleep, 0 if it must poll first. With bells:
// until ofi_awake, on none.
int ofi_may_sleep(struct ofi_link *, struct ofi_sleep *);
void ofi_awake(struct ofi_link *);
// Sleeps, as ofi_may_sleep has allowed it, on the link's descriptors and one more: 1 if that one is
// readable. It is for the executor's end. With bells it sleeps on its flag instead, from which only
// ofi_wake_own and the peer wake it.
int ofi_sleep_on(struct ofi_link *, const struct ofi_sleep *, int more);
void ofi_wake_own(struct ofi_link *);
// Wakes the peer if it sleeps; part of everything that is posted.
void ofi_ring(struct ofi_link *);
// How long a sleep may last, in milliseconds; -1: for ever.
static inline int ofi_nap(const struct ofi_link *l) { return l->bells.mine && l->loose ? 1 : -1; }
// Reads an error off the event queue into the text.
int ofi_event_failed(struct ofi_link *, const char *step);
// Says why the link is of no more use.
int ofi_over(struct ofi_link *, int result);

// Room for an event with its data.
union ofi_event {
    struct fi_eq_cm_entry entry;
    uint8_t room[sizeof(struct fi_eq_cm_entry) + 256];
};

#endif
