// Waiting in a loop for what another core does. Alone on a core, pauses see at once what comes, but
// sched_yield is a few hundred nanoseconds during which nothing is seen. Where others want the core,
// perhaps the very process that is waited for, pauses only keep it from them. So there is a yield
// after some pauses, and how long it takes says how it is here: after a short one, when nobody else
// ran, twice as many pauses come before the next; after a long one, yields come one after the other.
// Nothing is known at first, so the first turn of all is a yield.
#ifndef SUBLET_SPIN_H
#define SUBLET_SPIN_H

#include <sched.h>

#include "clock.h"

enum {
    SPIN_MOST = 512,   // pauses: 7 µs of an Intel Xeon at 2.80 GHz, 25 µs of older ones
    SPIN_LONG = 1000,  // nanoseconds: a yield that took longer has let somebody run
};

struct spin {
    uint32_t turns;     // pauses since the last yield, or since the waiting began
    uint32_t patience;  // pauses before the next yield
};

// Starts waiting anew; what is known of the core stays.
static inline void spin_begin(struct spin *s) { s->turns = 0; }

// One turn of waiting: 1 after a yield, which is the time to look at clocks.
static inline int spin_turn(struct spin *s) {
    if (s->turns < s->patience) {
        s->turns++;
        clock_pause();
        return 0;
    }
    const uint64_t before = clock_nanoseconds();
    sched_yield();
    s->turns = 0;
    if (clock_nanoseconds() - before > SPIN_LONG)
        s->patience = 0;
    else if (s->patience < SPIN_MOST)
        s->patience = s->patience ? 2 * s->patience : 1;
    return 1;
}

#endif
