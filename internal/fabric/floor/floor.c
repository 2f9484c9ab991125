/* Time, waiting and work. */
#define _GNU_SOURCE
#include "floor.h"

#include <errno.h>
#include <sched.h>
#include <time.h>

uint64_t floor_nanoseconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static inline void pause_once(void) {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("isb");
#endif
}

int floor_spin(uint32_t *turns, uint64_t *began) {
    if (++*turns <= 32) {
        pause_once();
        return 1;
    }
    sched_yield();
    if (*turns % 4096)
        return 1;
    uint64_t now = floor_nanoseconds();
    if (!*began)
        *began = now;
    return now - *began < UINT64_C(1000000000) * FLOOR_PATIENCE;
}

void floor_pause(uint64_t nanoseconds) {
    struct timespec left = {(time_t)(nanoseconds / 1000000000u), (long)(nanoseconds % 1000000000u)};
    while (nanosleep(&left, &left) < 0 && errno == EINTR)
        ;
}

double floor_work(uint64_t items) {
    /* A chain that no compiler can shorten, in registers: nothing but the core counts. */
    volatile double seed = 1.000000001;
    double x = seed, sum = 0;
    for (uint64_t i = 0; i < items; i++)
        for (int j = 0; j < 1000; j++) {
            x = x * 0.999999 + 1e-7;
            sum += x;
        }
    return sum;
}
