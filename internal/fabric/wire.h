// The wire layout: what a rank and an executor read and write in each other's memory, the same
// for every transport. Little-endian, naturally aligned, no pointers: a header names a region
// and an offset. Both ends check WIRE_VERSION when they meet.
#ifndef SUBLET_WIRE_H
#define SUBLET_WIRE_H

#include <assert.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#define WIRE_VERSION 2
#define WIRE_MAGIC UINT64_C(0x31544c4255530a0d)

enum {
    WIRE_LINE = 64,             // bytes of a cache line
    WIRE_INLINE = 32,           // bytes of input or output that ride in a header's first line
    WIRE_SLOTS = 8,             // default slots of an executor
    WIRE_SLOTS_MAX = 64,        // most slots; always a power of two
    WIRE_SLOT_PAYLOAD = 65536,  // bytes of input or output that ride behind a header (ofi only)
    WIRE_CONSTANTS = 8,         // most constants that one invocation can name
    WIRE_TEXT = 448,            // most bytes of an error text
    WIRE_REGIONS = 4096,        // most regions of a session; region 0 is "none"
};

// Where a request's input lies and where its output goes. Without a flag: in a region.
enum wire_flags {
    WIRE_INPUT_INLINE = 1 << 0,   // in wire_request.inlined
    WIRE_INPUT_SLOT = 1 << 1,     // behind the header, in the slot
    WIRE_OUTPUT_INLINE = 1 << 2,  // in wire_response.inlined
    WIRE_OUTPUT_SLOT = 1 << 3,    // behind the response's header, in the slot
};

// The function that every executor has: it copies its input to its output. It is for trying a
// connection before it is used, and is counted nowhere.
#define WIRE_PROBE UINT32_MAX

// How an invocation ended. Positive values are the function's own error codes.
enum wire_status {
    WIRE_OK = 0,
    WIRE_UNKNOWN_FUNCTION = -1,   // no function has this index
    WIRE_BAD_REFERENCE = -2,      // a region that is not mapped, or a range outside it
    WIRE_OUTPUT_TOO_SMALL = -3,   // wire_response.size says what was needed
    WIRE_PAYLOAD_TOO_LARGE = -4,  // the function's ABI can not take an input of this size
    WIRE_MALFORMED = -5,          // a header that no client of ours writes
};

struct wire_ref {
    uint32_t region;
    uint32_t reserved;
    uint64_t offset;
};

// A request: the second line is written and read only when something lies in a region. The id
// is stored last; ids count from 1, and the invocation with id i uses slot i % slots.
struct wire_request {
    _Atomic uint64_t id;
    uint32_t function;
    uint16_t flags;
    uint16_t constants;  // how many entries of constant[] are set
    uint64_t input_size;
    uint64_t output_capacity;
    uint8_t inlined[WIRE_INLINE];
    // second line
    struct wire_ref input;
    struct wire_ref output;
    uint32_t constant[WIRE_CONSTANTS];  // regions
};

// A response. Behind it, when status is not WIRE_OK, text_size bytes of error text; on ofi with
// WIRE_OUTPUT_SLOT, the output.
struct wire_response {
    _Atomic uint64_t id;
    int32_t status;
    uint32_t text_size;
    uint64_t size;         // bytes of output
    uint64_t nanoseconds;  // spent in the function
    uint8_t inlined[WIRE_INLINE];
};

static_assert(sizeof(struct wire_request) == 2 * WIRE_LINE, "a request is two lines");
static_assert(sizeof(struct wire_response) == WIRE_LINE, "a response is one line");
static_assert(offsetof(struct wire_request, input) == WIRE_LINE, "references start the second line");

// Over libfabric's shm, which has no descriptor to sleep on, the page of wire_ring is shared as
// well, for the two flags in it.

// The ring: one memfd per executor, laid out as a page of wire_ring, the requests, and then from
// the next page on the responses with room for their texts.
struct wire_ring {
    uint64_t magic;
    uint32_t version;
    uint32_t slots;
    uint8_t pad0[WIRE_LINE - 16];
    _Atomic uint32_t executor_sleeps;  // 1: the executor sleeps on this (doorbell.h); 0 wakes it
    uint8_t pad1[WIRE_LINE - 4];
    _Atomic uint32_t client_sleeps;  // set by the client before it sleeps on its doorbell
    _Atomic uint32_t client_left;    // set by the client before it goes, where the page is libfabric's bells
    uint8_t pad2[WIRE_LINE - 8];
};

enum {
    WIRE_RING_PAGE = 4096,
    WIRE_RING_RESPONSE = WIRE_LINE + WIRE_TEXT,  // stride of the ring's responses
};

static inline size_t wire_ring_responses(uint32_t slots) {
    size_t end = WIRE_RING_PAGE + slots * sizeof(struct wire_request);
    return (end + WIRE_RING_PAGE - 1) & ~(size_t)(WIRE_RING_PAGE - 1);
}

static inline size_t wire_ring_size(uint32_t slots) {
    size_t end = wire_ring_responses(slots) + (size_t)slots * WIRE_RING_RESPONSE;
    return (end + WIRE_RING_PAGE - 1) & ~(size_t)(WIRE_RING_PAGE - 1);
}

// ofi: an executor's memory for requests and a client's for responses: one slot after the other.
enum {
    WIRE_REQUEST_STRIDE = 2 * WIRE_LINE + WIRE_SLOT_PAYLOAD,
    WIRE_RESPONSE_STRIDE = WIRE_LINE + WIRE_SLOT_PAYLOAD,
};

// ofi: what a client says when it connects and what the executor answers when it accepts. All of
// it is within the 56 bytes that verbs takes.
enum {
    WIRE_NONCE = 16,
    WIRE_CONNECTION_DATA = 56,
};

struct wire_connect {
    uint32_t version;
    uint32_t slots;
    uint8_t nonce[WIRE_NONCE];
    uint64_t response_address;  // where the executor's responses go
    uint64_t response_key;
};

struct wire_accept {
    uint32_t version;
    uint32_t slots;
    uint64_t request_address;  // where the client's requests go
    uint64_t request_key;
};

// ofi over endpoints that do not connect (shm): the same as messages, and where the answer goes.
enum { WIRE_NAME = 128 };

struct wire_greeting {
    struct wire_connect connect;
    uint32_t name_size;
    uint32_t reserved;
    uint8_t name[WIRE_NAME];
};

struct wire_answer {
    struct wire_accept accept;
    uint32_t refused;  // enum wire_refusal, or 0
    uint32_t reserved;
};

// Ends such a connection: a message without an id.
struct wire_goodbye {
    uint64_t id;  // 0
};

// Why an executor refuses a connection: four bytes, where the provider carries them.
enum wire_refusal {
    WIRE_REFUSED_NONCE = 1,
    WIRE_REFUSED_VERSION = 2,
    WIRE_REFUSED_SLOTS = 3,
};

static_assert(sizeof(struct wire_connect) == 40, "no padding");
static_assert(sizeof(struct wire_connect) <= WIRE_CONNECTION_DATA, "verbs takes no more");
static_assert(sizeof(struct wire_accept) <= WIRE_CONNECTION_DATA, "verbs takes no more");

// The stats page of an executor: it writes, its manager maps it read-only. Offsets are also in
// package internal/statspage, and a test compares them.
enum wire_state {
    STATE_STARTING = 0,
    STATE_HOT = 1,      // spinning
    STATE_WARM = 2,     // asleep on its doorbell
    STATE_RUNNING = 3,  // in a function
    STATE_ENDED = 4,    // left its loop as it was told to
};

struct stats_page {
    uint64_t magic;
    uint32_t version;
    _Atomic uint32_t state;
    _Atomic uint32_t function;        // index of the function that runs or ran last
    _Atomic uint32_t signal;          // the fatal signal that came while it ran, or 0
    _Atomic uint64_t fault_address;   // of SIGSEGV and SIGBUS
    _Atomic uint64_t invocations;     // ended
    _Atomic uint64_t running_id;      // the invocation that runs or ran last
    _Atomic uint64_t compute_ticks;   // in functions
    _Atomic uint64_t hot_ticks;       // spinning between functions
    _Atomic uint64_t ticks_per_second;
    _Atomic uint32_t exit_called;     // 1: a function called exit()
    _Atomic uint32_t out_of_memory;   // 1: the process died at the end of its memory
    uint8_t name[128];                // of that function, NUL-terminated; written before a function is entered for the first time in a row
};

#endif
