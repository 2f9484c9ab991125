// A function library whose functions end in ways that functions should not.
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <stdexcept>
#include <thread>

#include <sys/wait.h>
#include <unistd.h>

#include "sublet/function.h"

static int32_t copy(sublet_call *call) {
    if (call->output_capacity < call->input_size)
        return sublet_need(call, call->input_size);
    memcpy(call->output, call->input, call->input_size);
    call->output_size = call->input_size;
    return 0;
}

SUBLET_FUNCTION(behave) { return copy(call); }

// Copies its input, after as many milliseconds as its first four bytes say.
SUBLET_FUNCTION(behave_later) {
    uint32_t milliseconds;
    memcpy(&milliseconds, call->input, sizeof milliseconds);
    timespec time = {milliseconds / 1000, static_cast<long>(milliseconds % 1000) * 1000000};
    nanosleep(&time, nullptr);
    return copy(call);
}

SUBLET_FUNCTION(call_exit) { return copy(call), exit(3), 0; }

SUBLET_FUNCTION(call_underscore_exit) { return copy(call), _exit(4), 0; }

SUBLET_FUNCTION(call_abort) { return copy(call), abort(), 0; }

SUBLET_FUNCTION(raise_bus_error) { return copy(call), raise(SIGBUS); }

SUBLET_FUNCTION(raise_termination) { return copy(call), raise(SIGTERM); }

SUBLET_FUNCTION(raise_kill) { return copy(call), raise(SIGKILL); }

SUBLET_FUNCTION(throw_error) {
    (void)call;
    throw std::runtime_error("the matrix is singular");
}

SUBLET_FUNCTION(throw_number) {
    (void)call;
    throw 42;
}

// rFaaS's kind has no way to say why it fails.
extern "C" uint32_t throw_plainly(void *, uint32_t, void *) { throw std::runtime_error("the matrix is singular"); }

static int recurse(volatile char *below, uint64_t depth) {
    volatile char here[4096];
    here[0] = static_cast<char>(below ? below[0] + 1 : 0);
    return depth ? recurse(here, depth - 1) + here[0] : 0;
}

SUBLET_FUNCTION(overflow_stack) { return recurse(nullptr, call->input_size << 40); }

static void write_on(char *from) {
    for (volatile char *at = from;; at++)
        *at = 'x';
}

SUBLET_FUNCTION(write_past_output) {
    write_on(static_cast<char *>(call->output) + call->output_capacity);
    return 0;
}

extern "C" uint32_t write_past_output_plainly(void *, uint32_t size, void *res) {
    write_on(static_cast<char *>(res));
    return size;
}

// Forks a child that returns from the function as well, to where its parent waits for requests. The
// parent's output is the child's number; the child's is 0.
SUBLET_FUNCTION(fork_and_return) {
    int32_t child = fork();
    if (child < 0)
        return sublet_fail(call, 1, "fork failed");
    memcpy(call->output, &child, sizeof child);
    call->output_size = sizeof child;
    return 0;
}

// Forks a child that ends in some way, and waits for it.
static int32_t fork_and(sublet_call *call, void end()) {
    pid_t child = fork();
    if (child == 0)
        end();
    int status;
    if (child < 0 || waitpid(child, &status, 0) != child)
        return sublet_fail(call, 1, "fork or waitpid failed");
    return copy(call);
}

SUBLET_FUNCTION(fork_and_exit) {
    return fork_and(call, [] { exit(0); });
}

// What its child ends of is not what it ends of itself.
SUBLET_FUNCTION(fork_and_abort) {
    int32_t failed = fork_and(call, [] { abort(); });
    if (!failed)
        _exit(5);
    return failed;
}

SUBLET_FUNCTION(close_descriptors) {
    for (int descriptor = 0; descriptor < 1024; descriptor++)
        close(descriptor);
    return copy(call);
}

static void block_signals() {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, nullptr);
    for (int number = 1; number < NSIG; number++)
        signal(number, SIG_IGN);
}

SUBLET_FUNCTION(block_signals_and_return) { return block_signals(), copy(call); }

SUBLET_FUNCTION(block_signals_and_crash) {
    block_signals();
    write_on(nullptr);
    return copy(call);
}

SUBLET_FUNCTION(block_signals_and_stay) {
    block_signals();
    for (;;)
        copy(call);
}

SUBLET_FUNCTION(never_return) {
    for (;;)
        copy(call);
}

SUBLET_FUNCTION(crash_in_thread) {
    std::thread([] { write_on(nullptr); }).join();
    return copy(call);
}

SUBLET_FUNCTION(throw_in_thread) {
    std::thread([] { throw std::runtime_error("nobody catches it"); }).join();
    return copy(call);
}

SUBLET_FUNCTION(exit_thread) {
    copy(call);
    pthread_exit(nullptr); // for C++ an exception that nobody may catch
}

extern "C" uint32_t exit_thread_plainly(void *, uint32_t, void *) { pthread_exit(nullptr); }
