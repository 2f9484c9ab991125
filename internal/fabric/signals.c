#define _GNU_SOURCE
#include "signals.h"

#include "limit.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

enum { ALTERNATE_STACK = 64 << 10 };

static const int fatal[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGSYS, SIGTRAP};
enum { FATAL = sizeof fatal / sizeof fatal[0] };

static struct sigaction before[FATAL];  // the Go runtime's
static struct stats_page *noted;        // where deaths are noted
static pid_t forks;                     // who forks: the executor, or a child of it
static int forked;                      // this is a child of the executor
static _Thread_local int runs_functions;

static int running(void) {
    return runs_functions && noted && atomic_load_explicit(&noted->state, memory_order_relaxed) == STATE_RUNNING;
}

// A function may have threads of its own: they die of what it dies of.
static void note_memory(int error) {
    if (noted && atomic_load_explicit(&noted->state, memory_order_relaxed) == STATE_RUNNING && limit_reached(error))
        atomic_store(&noted->out_of_memory, 1);
}

// Runs on any thread, after a fault or a raise.
static void on_fatal(int signal, siginfo_t *info, void *context) {
    note_memory(errno);
    if (!runs_functions) {  // not ours: as if we were not there
        for (int i = 0; i < FATAL; i++)
            if (fatal[i] == signal && before[i].sa_sigaction &&
                before[i].sa_handler != SIG_DFL && before[i].sa_handler != SIG_IGN) {
                before[i].sa_sigaction(signal, info, context);
                return;
            }
    } else if (noted) {
        atomic_store(&noted->signal, (uint32_t)signal);
        if (signal == SIGSEGV || signal == SIGBUS)
            atomic_store(&noted->fault_address, (uint64_t)(uintptr_t)info->si_addr);
    }
    struct sigaction standard = {.sa_handler = SIG_DFL};
    sigaction(signal, &standard, NULL);
    raise(signal);  // delivered when this handler returns
}

// What ends a job is sent to all of its processes, to executors as well (Slurm's SIGTERM, a terminal's SIGINT). It is their
// manager's affair: what runs goes on, and the manager ends executors with SIGKILL. A function that sends
// itself one means it.
static void on_termination(int signal, siginfo_t *info, void *context) {
    (void)context;
    if (!forked && info->si_pid != getpid())
        return;
    struct sigaction standard = {.sa_handler = SIG_DFL};
    sigaction(signal, &standard, NULL);
    raise(signal);  // delivered when this handler returns
}

static void on_exit_called(void) {
    const int error = errno;
    if (!running())
        return;
    atomic_store(&noted->exit_called, 1);
    note_memory(error);
}

static void before_fork(void) { forks = getpid(); }

// A function's child must not outlive its executor, whoever is killed, and if that was before the child ran for
// the first time. (Who forks into another PID namespace is 0 there.) What it ends of itself is not noted: the
// page is its parent's.
static void in_child(void) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    const pid_t parent = getppid();
    if (parent != forks && parent != 0)
        raise(SIGKILL);
    forked = 1;
    noted = NULL;
}

int death_in_child(void) { return forked; }

int fabric_note_deaths(struct fabric_executor *e) {
    noted = e->page;
    atomic_store(&noted->function, UINT32_MAX);
    for (int i = 0; i < FATAL; i++) {
        struct sigaction action = {.sa_sigaction = on_fatal, .sa_flags = SA_SIGINFO | SA_ONSTACK};
        sigfillset(&action.sa_mask);
        if (sigaction(fatal[i], &action, &before[i]) != 0)
            return FABRIC_FAILED;
    }
    const int terminations[] = {SIGTERM, SIGINT};
    for (int i = 0; i < 2; i++) {
        struct sigaction action = {.sa_sigaction = on_termination, .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART};
        sigfillset(&action.sa_mask);
        if (sigaction(terminations[i], &action, NULL) != 0)
            return FABRIC_FAILED;
    }
    return atexit(on_exit_called) == 0 && pthread_atfork(before_fork, NULL, in_child) == 0 ? FABRIC_OK : FABRIC_FAILED;
}

void death_thread_start(void) {
    stack_t stack = {.ss_size = ALTERNATE_STACK};
    stack.ss_sp = mmap(NULL, stack.ss_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (stack.ss_sp != MAP_FAILED)
        sigaltstack(&stack, NULL);
    runs_functions = 1;
}

void death_thread_end(void) {
    stack_t none = {.ss_flags = SS_DISABLE}, stack;
    runs_functions = 0;
    if (sigaltstack(&none, &stack) == 0 && stack.ss_sp)
        munmap(stack.ss_sp, stack.ss_size);
}

void death_thread_borrow(int begin) { runs_functions = begin; }

void death_name(struct fabric_executor *e, uint32_t function) {
    struct stats_page *page = e->page;
    atomic_store_explicit(&page->function, function, memory_order_relaxed);
    memset(page->name, 0, sizeof page->name);
    if (function < e->function_count)
        memcpy(page->name, e->functions[function].name, strnlen(e->functions[function].name, sizeof page->name - 1));
}
