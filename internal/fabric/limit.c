#define _GNU_SOURCE
#include "limit.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/resource.h>
#include <unistd.h>

// What libfabric may still want while functions leave something.
enum { RESERVE = 4 << 20 };
// What answering a request may take for a moment, and how far functions can get by taking that.
enum { ROOM = 4 << 20, MOST_ROOM = 16 << 20 };

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static uint64_t announced;       // bytes that will be mapped at any moment
static uint64_t allowed;         // bytes that functions may allocate
static uint64_t steady;          // the limit while no request is answered; 0: not yet
static int roomy;                // one is being answered
static _Atomic uint64_t limit;   // as it is set; 0: none
static struct rlimit original;

// The bytes that RLIMIT_DATA counts (and the first thread's stack), or 0. It calls nothing that a
// signal handler must not call.
static uint64_t data_size(void) {
    char text[256];
    int file = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
    if (file < 0)
        return 0;
    ssize_t size = read(file, text, sizeof text);
    close(file);
    uint64_t value = 0;
    int field = 1;
    for (ssize_t i = 0; i < size && field <= 6; i++) {
        if (text[i] == ' ')
            field++;
        else if (field == 6 && text[i] >= '0' && text[i] <= '9')
            value = value * 10 + (uint64_t)(text[i] - '0');
    }
    return value * (uint64_t)sysconf(_SC_PAGESIZE);
}

// The mutex is held.
static void set(uint64_t bytes) {
    struct rlimit now = original;  // the user's own limit stays, if it is lower
    if (bytes < now.rlim_cur)
        now.rlim_cur = bytes;
    if (setrlimit(RLIMIT_DATA, &now) == 0)
        atomic_store(&limit, bytes);
}

int fabric_limit_possible(void) { return data_size() > 0 && getrlimit(RLIMIT_DATA, &original) == 0; }

static uint64_t before_loading;

void fabric_limit_loading(struct fabric_executor *e) {
    pthread_mutex_lock(&mutex);
    allowed = e->memory;
    before_loading = data_size();
    set(before_loading + allowed + RESERVE);
    pthread_mutex_unlock(&mutex);
}

uint64_t fabric_limit_loaded(void) {
    pthread_mutex_lock(&mutex);
    const uint64_t now = data_size();
    const uint64_t taken = now > before_loading ? now - before_loading : 0;
    allowed = taken < allowed ? allowed - taken : 0;
    setrlimit(RLIMIT_DATA, &original);
    atomic_store(&limit, 0);
    pthread_mutex_unlock(&mutex);
    return taken;
}

// Sets the limit that holds at present. The mutex is held.
static void apply(void) {
    if (!steady)
        return;
    uint64_t bytes = steady;
    if (roomy) {
        // A function that runs meanwhile may have taken what was there the last time.
        const uint64_t now = data_size();
        bytes = (now > steady ? now : steady) + ROOM;
        if (bytes > steady + MOST_ROOM)
            bytes = steady + MOST_ROOM;
    }
    set(bytes);
}

void limit_begin(struct fabric_executor *e) {
    e->bounded = 1;
    if (!e->memory)
        return;
    pthread_mutex_lock(&mutex);
    steady = data_size() + announced + allowed + RESERVE;
    apply();
    pthread_mutex_unlock(&mutex);
}

// Adds to what is announced, and moves the limit. The mutex is not held.
static void move(int64_t more_announced, int64_t more_limit) {
    pthread_mutex_lock(&mutex);
    announced += (uint64_t)more_announced;
    if (steady && more_limit) {
        steady += (uint64_t)more_limit;
        apply();
    }
    pthread_mutex_unlock(&mutex);
}

void fabric_limit_announce(uint64_t bytes) { move((int64_t)bytes, (int64_t)bytes); }
void fabric_limit_mapped(uint64_t bytes) { move(-(int64_t)bytes, 0); }
void fabric_limit_withdraw(uint64_t bytes) { move(-(int64_t)bytes, -(int64_t)bytes); }
void fabric_limit_unmapped(uint64_t bytes) { move(0, -(int64_t)bytes); }

void fabric_limit_room(int begins) {
    pthread_mutex_lock(&mutex);
    roomy = begins;
    apply();
    pthread_mutex_unlock(&mutex);
}

int limit_reached(int error) {
    if (error == ENOMEM)  // nothing has failed since an allocation did
        return 1;
    const uint64_t now = atomic_load(&limit);
    const uint64_t near = allowed / 32 > 1 << 20 ? allowed / 32 : 1 << 20;
    return now > 0 && data_size() + near >= now;
}
