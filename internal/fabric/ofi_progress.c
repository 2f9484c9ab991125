// Moving bytes while a function runs. Software providers move nothing unless somebody polls, and
// the loop's thread can not while it is in a function. So a second thread of the executor, on the
// same core, sleeps on the connection's descriptors meanwhile and polls when there is something.
//
//	none ── first region above a slot ──▶ idle ── a function that takes its time ──▶ watching
//	                                        ▲                                           │
//	                                        └──── something moves after its end ────────┘
//
// The loop wakes the thread only for functions whose last run was long, or that have not run yet,
// and only where it is idle: small requests and short functions pay nothing.
#define _GNU_SOURCE
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "ofi_endpoint.h"

enum { STACK = 256 << 10 };

// Polls once. 1: it may sleep now, 0: there is more, negative: the connection is over, which the
// loop will find as well.
static int move(struct ofi_endpoint *e, struct ofi_sleep *sleep) {
    pthread_mutex_lock(&e->lock);
    int result = 0;
    if (atomic_load(&e->progress.running)) {  // or the doorbell is the loop's again
        ofi_awake(&e->link);
        result = ofi_look(e);
        if (result == FABRIC_OK)
            result = ofi_may_sleep(&e->link, sleep);
    }
    pthread_mutex_unlock(&e->lock);
    return result;
}

static void wake(struct ofi_progress *p) {
    uint64_t one = 1;
    while (write(p->bell, &one, sizeof one) < 0 && errno == EINTR)
        ;
}

static void be_woken(struct ofi_progress *p) {
    uint64_t count;
    while (read(p->bell, &count, sizeof count) < 0 && errno == EINTR)
        ;
}

// Moves what there is until the function has ended.
static void watch(struct ofi_endpoint *e) {
    struct ofi_progress *p = &e->progress;
    struct ofi_sleep sleep;
    while (atomic_load(&p->running) && !atomic_load(&p->ending)) {
        if (atomic_load_explicit(&e->waiting, memory_order_relaxed)) {
            sched_yield();
            continue;
        }
        int may = move(e, &sleep);
        if (may < 0)
            break;
        if (!may)
            continue;
        if (ofi_sleep_on(&e->link, &sleep, p->bell))
            be_woken(p);
    }
}

static void *progress(void *argument) {
    struct ofi_endpoint *e = argument;
    struct ofi_progress *p = &e->progress;
    pthread_mutex_lock(&p->lock);
    while (!atomic_load(&p->ending)) {
        if (!atomic_load(&p->running)) {
            atomic_store(&p->awake, 0);
            // Either the loop sees that nobody is awake, or we see that a function runs.
            while (!atomic_load(&p->running) && !atomic_load(&p->ending))
                pthread_cond_wait(&p->begins, &p->lock);
            atomic_store(&p->awake, 1);
            continue;
        }
        pthread_mutex_unlock(&p->lock);
        watch(e);
        pthread_mutex_lock(&p->lock);
        if (e->link.over)
            while (!atomic_load(&p->ending))
                pthread_cond_wait(&p->begins, &p->lock);
    }
    pthread_mutex_unlock(&p->lock);
    return NULL;
}

void ofi_computing(struct fabric_endpoint *endpoint, int begins) {
    struct ofi_endpoint *e = (struct ofi_endpoint *)endpoint;
    struct ofi_progress *p = &e->progress;
    atomic_store(&p->running, (uint32_t)begins);
    if (!p->started)
        return;
    if (!begins) {
        if (e->link.bells.mine) {
            pthread_mutex_lock(&e->lock);
            ofi_awake(&e->link);  // from here on the loop polls
            pthread_mutex_unlock(&e->lock);
        }
        return;
    }
    if (atomic_load(&p->awake)) {
        ofi_wake_own(&e->link);  // it may sleep on the flag, which the loop has cleared
        return;
    }
    pthread_mutex_lock(&p->lock);
    pthread_cond_signal(&p->begins);
    pthread_mutex_unlock(&p->lock);
}

int ofi_progress_open(struct ofi_endpoint *e) {
    struct ofi_progress *p = &e->progress;
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->begins, NULL);
    p->bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (p->bell < 0) {
        snprintf(e->endpoint.text, FABRIC_TEXT, "eventfd: %m");
        return FABRIC_FAILED;
    }
    return FABRIC_OK;
}

int ofi_progress_start(struct ofi_endpoint *e, char *text) {
    struct ofi_progress *p = &e->progress;
    if (p->started)
        return FABRIC_OK;
    pthread_attr_t attributes;
    sigset_t all, before;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, STACK);
    // Signals are for the process's other threads; what this one itself does wrong is not.
    sigfillset(&all);
    const int faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT};
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++)
        sigdelset(&all, faults[i]);
    pthread_sigmask(SIG_BLOCK, &all, &before);
    int error = pthread_create(&p->thread, &attributes, progress, e);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
    if (error) {
        snprintf(text, FABRIC_TEXT, "a thread that moves large payloads: %s", strerror(error));
        return FABRIC_FAILED;
    }
    p->started = 1;
    return FABRIC_OK;
}

void ofi_progress_close(struct ofi_endpoint *e) {
    struct ofi_progress *p = &e->progress;
    if (p->started) {
        atomic_store(&p->ending, 1);
        wake(p);
        ofi_wake_own(&e->link);
        pthread_mutex_lock(&p->lock);
        pthread_cond_signal(&p->begins);
        pthread_mutex_unlock(&p->lock);
        pthread_join(p->thread, NULL);
    }
    if (p->bell >= 0)
        close(p->bell);
    pthread_cond_destroy(&p->begins);
    pthread_mutex_destroy(&p->lock);
}
