// A doorbell wakes an end that sleeps: each of the two holds its own end of a pair of sockets, and
// never the other's. Nothing that one does to its end makes the other wait: whether a call waits is
// said with each call, and not by a flag that both could change.
#ifndef SUBLET_DOORBELL_H
#define SUBLET_DOORBELL_H

// Wakes the peer, if it sleeps or is about to. What it has not answered yet wakes it just as well,
// so there may be no room for more; whether it is there at all is found out by answering.
void doorbell_ring(int end);

// Takes what the peer has rung, so that one can sleep again: FABRIC_OK, or FABRIC_BROKEN if the peer
// has closed its end. Then the end stays readable: who sleeps on it no more must not try again.
int doorbell_answer(int end);

// Ends the sleep on one's own end for good.
void doorbell_stop(int end);

#endif
