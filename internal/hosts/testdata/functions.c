// Functions of rFaaS's kind for the tests of several hosts.
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
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

// The executor's stats page, which functions can write as well as the executor itself; see struct stats_page.
static uint64_t *stats_page(void)
{
    char line[512];
    unsigned long start = 0;
    FILE *maps = fopen("/proc/self/maps", "r");
    while (maps != NULL && fgets(line, sizeof line, maps) != NULL)
        if (strstr(line, "rw-s") != NULL && strstr(line, "memfd:sublet-stats") != NULL)
            start = strtoul(line, NULL, 16);
    if (maps != NULL)
        fclose(maps);
    return (uint64_t *)start;
}

// Truncates the stats page's file wherever it is open. Returns how often that succeeded.
static uint32_t truncate_page(void)
{
    uint32_t done = 0;
    for (int fd = 0; fd < 1024; fd++) {
        char path[64], target[64] = "";
        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
        if (readlink(path, target, sizeof target - 1) > 0 && strstr(target, "memfd:sublet-stats") != NULL)
            done += ftruncate(fd, 0) == 0;
    }
    return done;
}

enum { INVOCATIONS = 4, COMPUTE_TICKS = 6, HOT_TICKS = 7, TICKS_PER_SECOND = 8 };

// What a function can do to its bill: uses as many milliseconds of CPU time as its first four bytes of input say, and as many
// again in a child that it waits for, and has its stats page say that it never computed, but spun for ages, and then that
// there was nothing at all. Returns one byte, 1, if it could do so and the page could not be truncated.
uint32_t launder(void *args, uint32_t size, void *res)
{
    uint64_t *page = stats_page();
    if (page == NULL)
        return 0;
    page[COMPUTE_TICKS] = 0;
    page[HOT_TICKS] = UINT64_MAX;
    page[TICKS_PER_SECOND] = 1;
    uint32_t milliseconds;
    memcpy(&milliseconds, args, sizeof milliseconds);  // a child has no buffers
    pid_t child = fork();
    if (child == 0) {
        burn(&milliseconds, sizeof milliseconds, NULL);
        _exit(0);
    }
    burn(args, size, NULL);
    int status = 0;
    if (child < 0 || waitpid(child, &status, 0) != child || !WIFEXITED(status) || WEXITSTATUS(status) != 0)
        return 0;
    page[INVOCATIONS] = 0;
    page[HOT_TICKS] = page[COMPUTE_TICKS] = page[TICKS_PER_SECOND] = 0;
    *(uint8_t *)res = truncate_page() == 0;
    return 1;
}
