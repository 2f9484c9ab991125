// How an end that sleeps is woken by the other.
//
// A rank sleeps on a descriptor, for its runtime waits for many at once: each of the two holds its own
// end of a pair of sockets, and never the other's. Nothing that one does to its end makes the other
// wait: whether a call waits is said with each call, and not by a flag that both could change.
//
// An executor's loop has nothing else to wait for: it sleeps on the very flag that says so, in memory
// that both share. That is the shortest way, and wakes no other thread.
#ifndef SUBLET_DOORBELL_H
#define SUBLET_DOORBELL_H

#include <stdatomic.h>
#include <stdint.h>

// Wakes the rank that sleeps on the other end, or is about to. What it has not answered yet wakes it
// just as well, so there may be no room for more; whether it is there at all is found out by answering.
void doorbell_ring(int end);

// Takes what the peer has rung, so that one can sleep again: FABRIC_OK, or FABRIC_BROKEN if the peer
// has closed its end. Then the end stays readable: who sleeps on it no more must not try again.
int doorbell_answer(int end);

// Sleeps until the flag, which the caller has set to 1, is another, but no longer than that; now and
// then for nothing. 1 if it was as long as that.
int doorbell_sleep(_Atomic uint32_t *flag, uint32_t milliseconds);

// Clears the flag, and wakes who sleeps on it. If nobody does that costs a system call: look at the flag first.
void doorbell_wake(_Atomic uint32_t *flag);

// How long an executor sleeps before it looks whether its rank is still there, in milliseconds.
enum { DOORBELL_LOOK = 500 };

#endif
