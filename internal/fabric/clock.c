#include "clock.h"

#include <pthread.h>

int clock_has_counter;
static double tick_nanoseconds = 1.0;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static int counter_is_invariant(void) {
#if defined(__x86_64__)
    unsigned a, b, c, d;
    return __get_cpuid(0x80000007, &a, &b, &c, &d) && (d & (1u << 8));
#elif defined(__aarch64__)
    return 1;
#else
    return 0;
#endif
}

// Reads both clocks at one moment: the closest of a few pairs, for others may run in between.
static void read_both(uint64_t *ticks, uint64_t *nanoseconds) {
    uint64_t closest = UINT64_MAX;
    for (int i = 0; i < 8; i++) {
        uint64_t before = clock_nanoseconds(), counter = clock_ticks(), after = clock_nanoseconds();
        if (after - before < closest) {
            closest = after - before;
            *ticks = counter;
            *nanoseconds = before + closest / 2;
        }
    }
}

static void measure(void) {
    uint64_t ticks = 0, start = 0, ticks_end = 0, end = 0;
    clock_has_counter = counter_is_invariant();
    if (!clock_has_counter)
        return;
    read_both(&ticks, &start);
    while (clock_nanoseconds() - start < 1000000)
        clock_pause();
    read_both(&ticks_end, &end);
    tick_nanoseconds = (double)(end - start) / (double)(ticks_end - ticks);
}

void clock_start(void) { pthread_once(&once, measure); }

double clock_tick_nanoseconds(void) { return tick_nanoseconds; }

uint64_t clock_ticks_per_second(void) { return (uint64_t)(1e9 / tick_nanoseconds); }
