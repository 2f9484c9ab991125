// Ticks: the cheapest clock there is (about 10 ns), for times that are summed up millions of
// times. Nanoseconds come from a ratio that is measured against the monotonic clock.
#ifndef SUBLET_CLOCK_H
#define SUBLET_CLOCK_H

#include <stdint.h>
#include <time.h>
#if defined(__x86_64__)
#include <cpuid.h>
#include <x86intrin.h>
#endif

static inline uint64_t clock_nanoseconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

// Whether the processor's own counter runs at one rate in every state; set by clock_start.
extern int clock_has_counter;

static inline uint64_t clock_ticks(void) {
#if defined(__x86_64__)
    if (clock_has_counter)
        return __rdtsc();
#elif defined(__aarch64__)
    if (clock_has_counter) {
        uint64_t ticks;
        __asm__ volatile("mrs %0, cntvct_el0" : "=r"(ticks));
        return ticks;
    }
#endif
    return clock_nanoseconds();
}

static inline void clock_pause(void) {
#if defined(__x86_64__)
    _mm_pause();
#elif defined(__aarch64__)
    __asm__ volatile("isb");
#endif
}

// Measures the rate of ticks; takes at most a millisecond, once per process.
void clock_start(void);

// Nanoseconds per tick and ticks per second, after clock_start.
double clock_tick_nanoseconds(void);
uint64_t clock_ticks_per_second(void);

#endif
