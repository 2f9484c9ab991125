// Functions of rFaaS's kind for the tests of several hosts.
#include <signal.h>
#include <stdint.h>
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
