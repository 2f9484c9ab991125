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

static void measure(void) {
    clock_has_counter = counter_is_invariant();
    if (!clock_has_counter)
        return;
    uint64_t ticks = clock_ticks(), start = clock_nanoseconds(), now;
    do
        now = clock_nanoseconds();
    while (now - start < 1000000);
    tick_nanoseconds = (double)(now - start) / (double)(clock_ticks() - ticks);
}

void clock_start(void) { pthread_once(&once, measure); }

double clock_tick_nanoseconds(void) { return tick_nanoseconds; }

uint64_t clock_ticks_per_second(void) { return (uint64_t)(1e9 / tick_nanoseconds); }
