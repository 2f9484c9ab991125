// What the C files of this package share, and what its Go files call.
#ifndef SUBLET_FABRIC_H
#define SUBLET_FABRIC_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "function.h"
#include "wire.h"

// Results of the functions below; at least 0 is success.
enum fabric_result {
    FABRIC_OK = 0,
    FABRIC_FULL = -1,      // every slot holds an invocation that was not harvested
    FABRIC_BROKEN = -2,    // the peer is gone
    FABRIC_PROTOCOL = -3,  // the peer wrote something that no peer of ours writes
    FABRIC_TIMEOUT = -4,
    FABRIC_FAILED = -5,    // see the text
};

enum { FABRIC_TEXT = 512 };  // bytes of an error text that C gives to Go

// ---------------------------------------------------------------- the client's end

// One invocation as the client hands it in. An address is the client's own; a region and an
// offset name the same bytes for the executor. Region 0: no payload.
struct fabric_payload {
    void *address;
    uint64_t size;  // of an output: its capacity
    uint64_t offset;
    uint32_t region;
    uint32_t reserved;
};

struct fabric_submission {
    uint32_t function;
    uint32_t constants;
    struct fabric_payload input;
    struct fabric_payload output;
    uint32_t constant[WIRE_CONSTANTS];
};

// One response as the client gets it: copied once out of the memory that the executor can write,
// and checked.
struct fabric_response {
    uint64_t id;
    int32_t status;
    uint32_t text_size;
    uint64_t size;
    uint64_t nanoseconds;
    char text[WIRE_TEXT];
};

// What ends a client's waiting for its executor, from another thread.
struct fabric_abandonment {
    _Atomic uint32_t asked;
    _Atomic uint32_t users;    // who looks at the locks right now
    _Atomic(void *) locks[2];  // which a process that was killed may have left locked; NULL: none (ofi_locks.c)
};

// Ends it, and all later waiting. The executor is gone, or will not be used again.
void fabric_abandon(struct fabric_abandonment *);

struct fabric_client;

struct fabric_client_ops {
    // Writes the request with this id into its slot, which is free.
    int (*submit)(struct fabric_client *, uint64_t id, const struct fabric_submission *);
    // 1 and the response's place if the response with this id has come, 0 if not yet.
    int (*ready)(struct fabric_client *, uint64_t id, struct wire_response **);
    // Prepares for sleeping on the descriptor: 1 if it may, 2 if it may but only for a millisecond,
    // 0 if something came, or FABRIC_BROKEN.
    int (*arm)(struct fabric_client *);
    void (*disarm)(struct fabric_client *);
    void (*close)(struct fabric_client *);  // revokes what the executor could write; frees the client
};

// What a client keeps of an invocation in flight.
struct fabric_pending {
    void *output;
    uint64_t capacity;
    uint32_t flags;
    uint32_t reserved;
};

// The part that all transports share; their own structs start with it. Used by one thread at a
// time.
struct fabric_client {
    const struct fabric_client_ops *ops;
    uint32_t slots;
    int descriptor;      // becomes readable after arm when there is something to harvest; -1: none
    uint64_t submitted;  // id of the last invocation submitted
    uint64_t harvested;  // id of the last response harvested
    struct fabric_abandonment abandonment;
    uint32_t patience;   // of the last wait: see spin.h
    uint32_t grace;      // pauses before the first look at the response to a request just sent, if it is alone
    uint32_t reserved;
    struct fabric_pending pending[WIRE_SLOTS_MAX];
    struct fabric_faults *faults;  // NULL: none (fault.h)
    char text[FABRIC_TEXT];  // why the last function failed
};

int fabric_submit(struct fabric_client *, const struct fabric_submission *);
// Spins until the response with id until has come, at most for that long; puts up to max
// responses, in the order of their ids, into out. Returns how many, or an error when there are none.
// It gives way to threads that wait for the client: *wanted says how many.
int fabric_harvest(struct fabric_client *, uint64_t until, uint64_t nanoseconds, const uint32_t *wanted,
                   struct fabric_response *out, int max);

// What a caller in another language hands in and gets in one crossing: for such a caller each costs as
// much as a line takes from core to core.
enum { FABRIC_BATCH = 64 };  // most invocations of one crossing

struct fabric_crossing {
    struct fabric_client *client;
    uint64_t until;        // where nothing is submitted; else it is the last submission
    uint64_t nanoseconds;  // of spinning
    uintptr_t wanted;      // a const uint32_t *
    int32_t max;           // responses; 0: it only submits
    uint32_t count;        // submissions; afterwards, those that were not made
    uint32_t waits;        // for free slots, as long as it may spin
    uint32_t reserved;
    struct fabric_response responses[FABRIC_BATCH];
    struct fabric_submission submissions[FABRIC_BATCH];
};

// Submits, in their order, as many as find slots, and then harvests until the last. Returns how many
// responses there are, or an error when there are none. crossing is the struct's address.
int fabric_cross(uintptr_t crossing);

int fabric_arm(struct fabric_client *);
void fabric_disarm(struct fabric_client *);
void fabric_close(struct fabric_client *);

// The ring's client: memory of wire_ring_size(slots) bytes, zeroed, which stays the caller's, as
// its end of the doorbell does. may_sleep: the executor's hot_timeout is not "always".
struct fabric_client *fabric_ring_client(void *memory, uint32_t slots, int doorbell, int may_sleep);

// libfabric's client. Its memory, requests and responses of WIRE_REQUEST_STRIDE and
// WIRE_RESPONSE_STRIDE bytes a slot, stays the caller's until the client is closed. name is what
// fabric_ofi_listen gave, nonce what it was given. NULL and the text if it could not connect.
struct fabric_ofi_options {
    const char *provider;  // libfabric's name, or "" for its first choice
    const uint8_t *nonce;  // WIRE_NONCE bytes
    void *requests;
    void *responses;
    uint32_t slots;
    int milliseconds;  // patience
    int sends;         // ofi-send instead of ofi-write
    // Where the provider has no descriptor to sleep on: a page of wire_ring and an end of a
    // doorbell, which stay the caller's. NULL: none.
    struct wire_ring *bells;
    int doorbell;
    struct fabric_abandonment abandonment;  // connecting: until there is a client
};

enum {
    FABRIC_OFI_NAME = WIRE_NAME,  // most bytes of a listening name
    FABRIC_OFI_PROVIDER = 64,  // most bytes of a provider's name, with its NUL
};

// Loads libfabric, which takes long, ahead of its first use: FABRIC_FAILED and the text if it can not be had.
int fabric_ofi_preload(char *text);

// 1 if a provider keeps the order of writes, which ofi-write needs; 0 if not; FABRIC_FAILED and the
// text if it can not be had.
int fabric_ofi_orders_writes(const char *provider, char *text);

// What libfabric offers here: a provider on an interface. Empty texts: it does not say.
struct fabric_ofi_offer {
    char provider[FABRIC_OFI_PROVIDER];
    char domain[64];
    char device[64];
    char address[64];
    uint64_t bits_per_second;
    int up;  // 0 and 1 tell whether the link is; -1: it does not say
};

// How many there are, at most max; or FABRIC_FAILED and the text.
int fabric_ofi_list(struct fabric_ofi_offer *offers, int max, char *text);

// The libfabric that is loaded.
struct fabric_ofi_version {
    uint32_t major, minor;
    char path[256];
};

// Loads it if need be; FABRIC_FAILED and the text if it can not be had.
int fabric_ofi_version(struct fabric_ofi_version *, char *text);

struct fabric_client *fabric_ofi_connect(struct fabric_ofi_options *, const uint8_t *name, size_t name_size, char *provider, char *text);
// Registers a region, to which the executor may write outputs if it is writable.
int fabric_ofi_attach(struct fabric_client *, uint32_t region, void *base, uint64_t size, int writable, uint64_t *address, uint64_t *key);
// Says where the executor's mirror of it is.
int fabric_ofi_attached(struct fabric_client *, uint32_t region, uint64_t address, uint64_t key);
// Writes the whole region into the mirror and waits until it is there.
int fabric_ofi_push(struct fabric_client *, uint32_t region);
int fabric_ofi_detach(struct fabric_client *, uint32_t region);

// For tests (trial.c): libfabric's client with a provider that brings what it is given, a message
// or, of ofi-write, bytes in the slot of that number. 0: there is no room for it.
struct fabric_client *fabric_trial_client(int sends, uint32_t slots);
int fabric_trial_arrives(struct fabric_client *, uint32_t number, const void *bytes, size_t size);
// Sends a request over libfabric whose bytes, but for its id, are the caller's. Its response may have
// any size; no output is taken.
int fabric_ofi_submit_raw(struct fabric_client *, const void *request, size_t size);

// ---------------------------------------------------------------- the executor's end

typedef uint32_t fabric_rfaas_function(void *args, uint32_t size, void *res);

struct fabric_function {
    char name[128];
    uint32_t abi;  // 1: rFaaS's, 2: ours
    uint32_t quick;  // its last run was too short for anything to be moved meanwhile
    fabric_rfaas_function *rfaas;
    sublet_function *function;
};

// A region as an executor sees it. mapped is stored last.
struct fabric_region {
    _Atomic uint32_t mapped;
    uint32_t reserved;
    const uint8_t *input;  // read-only mapping on the ring; the mirror over libfabric
    uint8_t *output;       // NULL for constants
    uint64_t size;
    uint64_t remote_address;  // libfabric: where the client's own memory is
    uint64_t remote_key;
    void *handle;  // libfabric: struct fid_mr of the mirror
};

// A request that has arrived, and where its response is put together; text and slot output
// start behind the response's header.
struct fabric_arrival {
    const struct wire_request *request;
    const uint8_t *payload;  // behind the request's header, if something lies there
    struct wire_response *response;
    uint64_t room;  // bytes of output that fit behind the response's header
};

struct fabric_endpoint;

struct fabric_endpoint_ops {
    // 1 if the request with this id has come, 0 if not yet, or FABRIC_BROKEN.
    int (*next)(struct fabric_endpoint *, uint64_t id, struct fabric_arrival *);
    // Sends the response with this id; the output lies in its region, behind the header, or in it.
    int (*respond)(struct fabric_endpoint *, uint64_t id, const struct fabric_arrival *);
    // A function that may take its time begins (1), or has ended (0): what is on its way is moved
    // meanwhile. NULL where nothing has to be moved.
    void (*computing)(struct fabric_endpoint *, int begins);
    // Sleeps until something may have come or fabric_stop was called.
    int (*sleep)(struct fabric_endpoint *, uint64_t id);
    void (*wake)(struct fabric_endpoint *);   // ends all sleeping, from another thread
    void (*close)(struct fabric_endpoint *);  // frees the endpoint
};

struct fabric_executor;

struct fabric_endpoint {
    const struct fabric_endpoint_ops *ops;
    struct fabric_executor *executor;
    struct fabric_endpoint_faults *faults;  // NULL: none (fault.h)
    uint32_t slots;
    uint32_t reserved;
    char text[FABRIC_TEXT];  // why the last function failed
};

struct fabric_executor {
    struct stats_page *page;
    struct fabric_function *functions;
    uint32_t function_count;
    _Atomic uint32_t stop;
    int64_t hot_nanoseconds;  // negative: spin always
    uint64_t memory;          // bytes that functions may allocate; 0: as much as there is
    uint32_t bounded;         // that has been seen to
    _Atomic uint32_t thread;  // the loop's, as the kernel counts threads; 0: it has not begun
    _Atomic uint32_t sleeps;  // how often the loop has gone to sleep
    uint32_t reserved;
    uint8_t *scratch_end;     // behind it lies a page that can not be touched; see execute
    struct fabric_region regions[WIRE_REGIONS];
};

// Opens a function library: 0, or FABRIC_FAILED with the text.
int fabric_library_open(const char *path, void **handle, char *text);
// Resolves function->name in it by its abi.
int fabric_library_resolve(void *handle, struct fabric_function *function, char *text);

// Frees the executor, its table of functions and its scratch memory, but not its page.
void fabric_executor_free(struct fabric_executor *);

// Notes fatal signals and calls of exit in the page, for functions that run in fabric_serve.
int fabric_note_deaths(struct fabric_executor *);

// Memory that functions allocate (limit.h). Whether it can be bounded here at all:
int fabric_limit_possible(void);
// A function library is about to be loaded; it has been, and has taken so many bytes, which count. What
// its constructors allocate is bounded meanwhile, but the kernel lets its variables pass.
void fabric_limit_loading(struct fabric_executor *);
uint64_t fabric_limit_loaded(void);
// A request is being answered (1), or has been (0): meanwhile there is room, whatever functions took.
void fabric_limit_room(int begins);
// So much is about to be mapped by ourselves, writable and private; it has been; or it will not be. And
// in the end it is unmapped.
void fabric_limit_announce(uint64_t bytes);
void fabric_limit_mapped(uint64_t bytes);
void fabric_limit_withdraw(uint64_t bytes);
void fabric_limit_unmapped(uint64_t bytes);

// Serves the endpoint on a thread of its own with a stack of that size, until fabric_stop, the
// end of the client (FABRIC_BROKEN) or an error. The endpoint stays open: its memory may be in use
// by threads that stop it or map regions.
int fabric_serve(struct fabric_endpoint *, uint64_t stack_size, char *text);
void fabric_stop(struct fabric_executor *, struct fabric_endpoint *);
void fabric_endpoint_close(struct fabric_endpoint *);

// The ring's endpoint. memory and doorbell stay the caller's until the endpoint is closed.
struct fabric_endpoint *fabric_ring_endpoint(struct fabric_executor *, void *memory, uint32_t slots, int doorbell);

// libfabric's endpoint listens at an address of this node ("": any) and serves the first client
// that knows the nonce. name (FABRIC_OFI_NAME bytes) and provider are results. Memory as for
// fabric_ofi_connect.
struct fabric_endpoint *fabric_ofi_listen(struct fabric_executor *, const struct fabric_ofi_options *, const char *address,
                                          uint8_t *name, size_t *name_size, char *provider, char *text);
// Registers memory of that size as the mirror of the client's region, from another thread than
// the loop's, and puts it into the executor's table.
int fabric_ofi_mirror(struct fabric_endpoint *, uint32_t region, void *base, uint64_t size, int read_only, uint64_t client_address,
                      uint64_t client_key, uint64_t *address, uint64_t *key, char *text);
void fabric_ofi_unmirror(struct fabric_endpoint *, uint32_t region);

#endif
