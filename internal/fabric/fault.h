// Faults, for tests: what an unreliable network, or a peer that is broken or hostile, does to the
// messages of one connection. An end without faults has its own table of operations and pays
// nothing.
#ifndef SUBLET_FAULT_H
#define SUBLET_FAULT_H

#include "fabric.h"

enum fabric_fault_kind {
    FAULT_DROP = 1,   // it never comes
    FAULT_DELAY,      // it comes parameter nanoseconds later, and so does what is behind it
    FAULT_DUPLICATE,  // it comes twice
    FAULT_TRUNCATE,   // only its first parameter bytes come
    FAULT_CORRUPT,    // byte number parameter of its header comes inverted
    FAULT_BREAK,      // the connection breaks instead
};

struct fabric_fault {
    uint64_t id;         // of the invocation
    uint32_t kind;       // enum fabric_fault_kind
    uint32_t direction;  // 0: its request, 1: its response
    uint64_t parameter;
};

// Puts faults between a client that has submitted nothing yet and its transport. They act on
// requests before they are written, and on responses where they have landed.
int fabric_fault_client(struct fabric_client *, const struct fabric_fault *, uint32_t count);
// How many of them have happened so far.
uint64_t fabric_fault_struck(const struct fabric_client *);

// Puts faults between the loop, which has not begun, and an endpoint: on responses only, before
// they are written. ofi: it is one of libfabric's.
int fabric_fault_endpoint(struct fabric_endpoint *, int ofi, const struct fabric_fault *, uint32_t count);

#endif
