/* What both ends of a floor share. Compiled into package floor and into the library in peer. */
#ifndef SUBLET_FLOOR_H
#define SUBLET_FLOOR_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum {
    FLOOR_OK = 0,
    FLOOR_FAILED = -1, /* see the text */
    FLOOR_TEXT = 256,  /* bytes of an error text */
    FLOOR_INLINE = 32, /* most bytes that ride in a line */
    FLOOR_PAGE = 4096,
    FLOOR_PATIENCE = 10, /* seconds of silence after which the other end is dead */
};

/* A size that no payload has: it ends a block. */
#define FLOOR_STOP UINT64_MAX

uint64_t floor_nanoseconds(void);
/* One turn of a wait that spins: 32 pauses, then sched_yield. 0 when the other end is dead.
 * began is 0 at first. */
int floor_spin(uint32_t *turns, uint64_t *began);

/* Copies a payload; the commonest small size is worth a store of its own. */
static inline void floor_copy(void *to, const void *from, uint64_t size) {
    if (size == 8)
        memcpy(to, from, 8);
    else
        memcpy(to, from, size);
}

/* Sleeps for that long. */
void floor_pause(uint64_t nanoseconds);
/* Computes for a while: items of a few microseconds each, all the same. */
double floor_work(uint64_t items);

/* One block of round trips. */
struct floor_block {
    uint64_t size;   /* bytes there and back */
    uint64_t count;  /* round trips */
    uint64_t gap;    /* nanoseconds of sleep before each; 0: none */
    int touch;       /* copy input in and output out */
    int window;      /* one way, answered by nothing: so many inputs have a place, and over libfabric are in
                        flight at once; 0: ping-pong */
    uint64_t batch;     /* of pairs: a sample is the time of so many; 0: each is timed by itself */
    const void *source; /* size bytes */
    void *destination;
    uint64_t *samples; /* of each: nanoseconds */
    char *text;
};

/* ---------------------------------------------------------------- two cache lines */

struct floor_line {
    _Atomic uint64_t id; /* stored last */
    uint64_t size;
    _Atomic uint32_t sleeps; /* its reader does, on the id's lower half; only where doze is set */
    uint32_t reserved;
    uint8_t inlined[FLOOR_INLINE];
    uint8_t rest[8];
};

/* Both lines, in shared memory; what does not fit into them lies on the pages behind. */
struct floor_lines {
    struct floor_line request;
    uint8_t apart[192]; /* or a prefetcher couples them */
    struct floor_line response;
    uint8_t rest[FLOOR_PAGE - 320];
};

/* How the peer of a block of lines is called: its input, at most 32 bytes. */
struct floor_lines_call {
    uint64_t last;  /* id of the last request before */
    uint64_t hot;   /* nanoseconds of spinning before it sleeps; 0: it never does */
    uint32_t touch; /* copies input to output */
    uint32_t reserved;
};

static inline size_t floor_lines_size(uint64_t size) { return sizeof(struct floor_lines) + 2 * ((size + FLOOR_PAGE - 1) & ~(uint64_t)(FLOOR_PAGE - 1)); }

/* The rank's end: ids go on after *last. Stops the peer's block at its end. */
int floor_lines_run(void *shared, uint64_t *last, int doze, const struct floor_block *);
/* The executor's end: until it is stopped. */
int floor_lines_serve(void *shared, const struct floor_lines_call *, char *text);

/* ---------------------------------------------------------------- several pairs of them */

/* What does not fit into the lines lies on the pages behind all pairs. */
struct floor_pair {
    struct floor_line request;
    uint8_t apart[64]; /* or a prefetcher couples them */
    struct floor_line response;
    uint8_t rest[64];
};

/* How the peer of a block of pairs is called. */
struct floor_pairs_call {
    uint64_t last;   /* id of the last request before */
    uint32_t window; /* pairs */
    uint32_t touch;  /* copies input to output */
};

size_t floor_pairs_size(uint64_t size, uint64_t window);
/* The rank's end, as floor_lines_run, with so many operations in flight as the block's window says; a block
 * has at least that many. */
int floor_pairs_run(void *shared, uint64_t *last, const struct floor_block *);
/* The executor's end: until it is stopped. */
int floor_pairs_serve(void *shared, const struct floor_pairs_call *, char *text);

/* ---------------------------------------------------------------- libfabric */

enum { FLOOR_NAME = 128 };

/* What an end tells the other before they meet. */
struct floor_ofi_card {
    uint32_t name_size;
    uint32_t sends; /* fi_send instead of fi_writedata */
    uint64_t size;  /* largest payload */
    uint64_t window; /* how many are in flight at most, each in memory of its own; 0: one */
    uint64_t address;
    uint64_t key;
    char provider[32];
    char host[64]; /* where the executor's end listens */
    uint8_t name[FLOOR_NAME];
};

/* Major in the upper half, minor in the lower; 0: there is no libfabric. */
uint32_t floor_libfabric_version(void);

struct floor_ofi;

/* Opens an end. card says provider, sends, size and host; the rest is filled in. executor: listens. */
struct floor_ofi *floor_ofi_open(struct floor_ofi_card *card, int executor, const struct floor_ofi_card *peer, char *text);
/* Meets the other end: the rank connects, the executor accepts. */
int floor_ofi_meet(struct floor_ofi *, const struct floor_ofi_card *peer, char *text);
int floor_ofi_run(struct floor_ofi *, const struct floor_block *);
/* Answers until it is stopped. */
int floor_ofi_serve(struct floor_ofi *, uint32_t touch, char *text);
void floor_ofi_close(struct floor_ofi *);

#endif
