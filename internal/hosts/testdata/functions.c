// Functions of rFaaS's kind for the tests of several hosts.
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

uint32_t echo(void *args, uint32_t size, void *res)
{
    memcpy(res, args, size);
    return size;
}

uint32_t hang(void *args, uint32_t size, void *res)
{
    (void)args, (void)size, (void)res;
    for (;;)
        pause();
}

uint32_t crash(void *args, uint32_t size, void *res)
{
    (void)args, (void)size, (void)res;
    raise(SIGSEGV);
    return 0;
}

uint32_t slow_echo(void *args, uint32_t size, void *res)
{
    usleep(500000);
    return echo(args, size, res);
}

// Takes as many milliseconds as its first four bytes of input say, and returns when it began: the
// nanoseconds of the clock that all processes of a machine share.
uint32_t began(void *args, uint32_t size, void *res)
{
    struct timespec start, time;
    uint32_t milliseconds;
    clock_gettime(CLOCK_MONOTONIC, &start);
    (void)size;
    memcpy(&milliseconds, args, sizeof milliseconds);
    time.tv_sec = milliseconds / 1000;
    time.tv_nsec = (long)(milliseconds % 1000) * 1000000;
    nanosleep(&time, NULL);
    int64_t nanoseconds = start.tv_sec * INT64_C(1000000000) + start.tv_nsec;
    memcpy(res, &nanoseconds, sizeof nanoseconds);
    return sizeof nanoseconds;
}

// Uses as many milliseconds of CPU time as its first four bytes of input say.
uint32_t burn(void *args, uint32_t size, void *res)
{
    struct timespec now;
    uint32_t milliseconds;
    (void)size, (void)res;
    memcpy(&milliseconds, args, sizeof milliseconds);
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    const int64_t until = now.tv_sec * INT64_C(1000) + now.tv_nsec / 1000000 + milliseconds;
    while (now.tv_sec * INT64_C(1000) + now.tv_nsec / 1000000 < until)
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return 0;
}

enum { MOST_THREADS = 64 };

struct team {
    pthread_barrier_t all;
    cpu_set_t *cpus;
};

struct member {
    struct team *team;
    pthread_t thread;
    int index;
};

static void *join(void *argument)
{
    struct member *m = argument;
    pthread_barrier_wait(&m->team->all);
    if (sched_getaffinity(0, sizeof *m->team->cpus, &m->team->cpus[m->index]) != 0)
        CPU_ZERO(&m->team->cpus[m->index]);
    return NULL;
}

// Starts as many threads as OMP_NUM_THREADS says, all at once, and returns on which CPUs each may run: a cpu_set_t.
uint32_t threads(void *args, uint32_t size, void *res)
{
    (void)args, (void)size;
    const char *text = getenv("OMP_NUM_THREADS");
    int count = text != NULL ? atoi(text) : 0;
    if (count < 1 || count > MOST_THREADS)
        return 0;
    struct team team = {.cpus = calloc((size_t)count, sizeof(cpu_set_t))};
    struct member members[MOST_THREADS];
    if (team.cpus == NULL || pthread_barrier_init(&team.all, NULL, (unsigned)count) != 0)
        abort();
    for (int i = 0; i < count; i++) {
        members[i] = (struct member){.team = &team, .index = i};
        if (pthread_create(&members[i].thread, NULL, join, &members[i]) != 0)
            abort();
    }
    for (int i = 0; i < count; i++)
        pthread_join(members[i].thread, NULL);
    size_t bytes = (size_t)count * sizeof(cpu_set_t);
    memcpy(res, team.cpus, bytes);
    pthread_barrier_destroy(&team.all);
    free(team.cpus);
    return (uint32_t)bytes;
}
