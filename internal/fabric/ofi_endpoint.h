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
    struct ofi_progress progress;
};

// Meets the client, or moves what is to be moved; the lock is held.
int ofi_look(struct ofi_endpoint *);

int ofi_progress_open(struct ofi_endpoint *);
// From the first region on that is larger than a slot there is something to move meanwhile.
int ofi_progress_start(struct ofi_endpoint *, char *text);
void ofi_computing(struct fabric_endpoint *, int begins);
void ofi_progress_close(struct ofi_endpoint *);

#endif
