// How an executor notes what it dies of: the signal, the function, and whether exit was called,
// all in the stats page, from which its manager reads it.
#ifndef SUBLET_SIGNALS_H
#define SUBLET_SIGNALS_H

#include "fabric.h"

// The thread that runs functions: gives it an alternate stack, so that an overflow of its own
// stack is noted too.
void death_thread_start(void);
void death_thread_end(void);
// The same for a moment on a thread that has such a stack already.
void death_thread_borrow(int begin);

// Tells whether this process is one that a function has forked.
int death_in_child(void);

// Puts the function's name into the page.
void death_name(struct fabric_executor *e, uint32_t function);

static inline void death_enter(struct fabric_executor *e, uint32_t function, uint64_t id) {
    struct stats_page *page = e->page;
    if (atomic_load_explicit(&page->function, memory_order_relaxed) != function)
        death_name(e, function);
    atomic_store_explicit(&page->running_id, id, memory_order_relaxed);
    atomic_store_explicit(&page->state, STATE_RUNNING, memory_order_relaxed);
    // What follows may kill the process: the page must say so before.
    atomic_signal_fence(memory_order_seq_cst);
}

static inline void death_leave(struct fabric_executor *e) {
    atomic_signal_fence(memory_order_seq_cst);
    atomic_store_explicit(&e->page->state, STATE_HOT, memory_order_relaxed);
}

#endif
