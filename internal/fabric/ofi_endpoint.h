// The executor's end of a libfabric connection, as its files share it.
#ifndef SUBLET_OFI_ENDPOINT_H
#define SUBLET_OFI_ENDPOINT_H

#include <pthread.h>

#include "ofi.h"

enum ofi_state { LISTENING, ACCEPTED, CONNECTED };

// The thread that moves what is on its way while a function runs.
struct ofi_progress {
    pthread_mutex_t lock;      // of what follows
    pthread_cond_t begins;     // a function, or the end
    pthread_t thread;
    int started;               // the thread exists
    int bell;                  // an eventfd that ends its sleep
    _Atomic uint32_t running;  // a function runs
    _Atomic uint32_t awake;    // the thread looks for itself whether one does
    _Atomic uint32_t ending;
};

struct ofi_endpoint {
    struct fabric_endpoint endpoint;
    struct ofi_link link;
    pthread_mutex_t lock;      // of the link
    _Atomic uint32_t waiting;  // threads that want the lock for a region
    enum ofi_state state;
    int doorbell;
    struct fid_pep *passive;
    uint8_t nonce[WIRE_NONCE];
    uint8_t *requests;
    uint8_t *responses;  // where responses are put together
    struct fid_mr *requests_mr;
    struct fid_mr *responses_mr;  // NULL unless the provider needs it
    uint64_t response_address;    // the client's memory
    uint64_t response_key;
    uint8_t name[FABRIC_OFI_NAME];  // our own, where endpoints do not connect
    size_t name_size;
    // ofi-send: by slot, the reading of a large input and the writing of a large output; bits of
    // those that have not been posted whole, and of responses that have not been sent.
    struct ofi_transfer input[WIRE_SLOTS_MAX];
    struct ofi_transfer output[WIRE_SLOTS_MAX];
    uint64_t reading;
    uint64_t answering;
    struct ofi_part answer[WIRE_SLOTS_MAX];
    uint64_t answered[WIRE_SLOTS_MAX];  // its id
    struct ofi_progress progress;
};

// Listens for a client; the name is for it.
int ofi_listen(struct ofi_endpoint *, uint8_t *name, size_t *name_size);
// Looks for one event of the meeting.
int ofi_meet(struct ofi_endpoint *);
void ofi_stop_listening(struct ofi_endpoint *);

// ofi-send: payloads that this end reads and writes itself.
void ofi_fetch_open(struct ofi_endpoint *);
// Sends a response, as soon as its output has landed.
int ofi_answer(struct ofi_endpoint *, uint64_t id, const struct ofi_part *part, const struct fabric_region *, uint64_t offset, uint64_t size);

// Meets the client, or moves what is to be moved; the lock is held.
int ofi_look(struct ofi_endpoint *);

int ofi_progress_open(struct ofi_endpoint *);
// From the first region on that is larger than a slot there is something to move meanwhile.
int ofi_progress_start(struct ofi_endpoint *, char *text);
void ofi_computing(struct fabric_endpoint *, int begins);
void ofi_progress_close(struct ofi_endpoint *);

#endif
