// The executor's hot loop: waits for a request, calls the function, sends the response.
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "clock.h"
#include "fabric.h"
#include "limit.h"
#include "signals.h"
#include "spin.h"

enum { SCRATCH = WIRE_SLOT_PAYLOAD };  // bytes

// Makes the scratch memory: 0 or an errno.
static int make_scratch(struct fabric_executor *e) {
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    if (e->scratch_end)
        return 0;
    uint8_t *memory = mmap(NULL, SCRATCH + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    if (memory == MAP_FAILED)
        return errno;
    if (mprotect(memory + SCRATCH, page, PROT_NONE) != 0) {
        int error = errno;
        munmap(memory, SCRATCH + page);
        return error;
    }
    e->scratch_end = memory + SCRATCH;
    return 0;
}

void fabric_executor_free(struct fabric_executor *e) {
    if (e->scratch_end)
        munmap(e->scratch_end - SCRATCH, SCRATCH + (size_t)sysconf(_SC_PAGESIZE));
    free(e->functions);
    free(e);
}

// The bytes that a reference names, or NULL if it names none.
static const struct fabric_region *find(struct fabric_executor *e, const struct wire_ref *ref, uint64_t size) {
    if (ref->region == 0 || ref->region >= WIRE_REGIONS)
        return NULL;
    struct fabric_region *region = &e->regions[ref->region];
    if (!atomic_load_explicit(&region->mapped, memory_order_acquire))
        return NULL;
    if (ref->offset > region->size || size > region->size - ref->offset)
        return NULL;
    return region;
}

// Where an output of at most SCRATCH bytes is written first: in front of a page that stops what writes
// too much.
static inline uint8_t *in_front_of_guard(const struct fabric_executor *e, uint64_t capacity) {
    return e->scratch_end - ((capacity + 15) & ~UINT64_C(15));
}

// How an invocation ended: what will stand in the response's line. The line itself is written in one
// go, at the very end: on the ring the client looks at it all the time, and each look takes it away
// from this core.
struct outcome {
    int32_t status;
    uint32_t text_size;
    uint64_t size;
    const uint8_t *inlined;  // output of that size for the line, or NULL
};

static void fail(struct outcome *outcome, struct wire_response *response, int32_t status, const char *text) {
    *outcome = (struct outcome){.status = status, .text_size = (uint32_t)strnlen(text, WIRE_TEXT)};
    memcpy(response + 1, text, outcome->text_size);
}

static void publish(const struct outcome *outcome, struct wire_response *response, uint64_t nanoseconds) {
    if (outcome->inlined) {
        if (outcome->size == 8)  // the commonest small size, worth a store of its own
            memcpy(response->inlined, outcome->inlined, 8);
        else
            memcpy(response->inlined, outcome->inlined, outcome->size);
    }
    response->status = outcome->status;
    response->text_size = outcome->text_size;
    response->size = outcome->size;
    response->nanoseconds = nanoseconds;
}

// Finds what the request names and calls the function.
static void execute(struct fabric_executor *e, const struct fabric_arrival *arrival, struct outcome *outcome) {
    const struct wire_request *request = arrival->request;
    struct wire_response *response = arrival->response;
    const uint32_t flags = request->flags, constants = request->constants;
    const uint64_t input_size = request->input_size, capacity = request->output_capacity;
    const void *input = NULL;
    void *output = NULL;
    sublet_bytes constant[WIRE_CONSTANTS];

    if (flags & WIRE_INPUT_INLINE) {
        if (input_size > WIRE_INLINE)
            return fail(outcome, response, WIRE_MALFORMED, "an inline input that does not fit into its line");
        input = request->inlined;
    } else if (flags & WIRE_INPUT_SLOT) {
        if (input_size > WIRE_SLOT_PAYLOAD || !arrival->payload)
            return fail(outcome, response, WIRE_MALFORMED, "an input that does not fit into its slot");
        input = arrival->payload;
    } else {
        const struct fabric_region *region = find(e, &request->input, input_size);
        if (!region)
            return fail(outcome, response, WIRE_BAD_REFERENCE, "the input lies outside the regions that this executor has");
        input = region->input + request->input.offset;
    }

    if (flags & WIRE_OUTPUT_INLINE) {
        if (capacity > WIRE_INLINE)
            return fail(outcome, response, WIRE_MALFORMED, "an inline output that does not fit into its line");
        output = in_front_of_guard(e, capacity);
    } else if (flags & WIRE_OUTPUT_SLOT) {
        if (capacity > arrival->room)
            return fail(outcome, response, WIRE_MALFORMED, "an output that does not fit into its slot");
        output = response + 1;
    } else {
        const struct fabric_region *region = find(e, &request->output, capacity);
        if (!region || !region->output)
            return fail(outcome, response, WIRE_BAD_REFERENCE, "the output lies outside the regions that this executor can write");
        output = region->output + request->output.offset;
    }

    if (constants > WIRE_CONSTANTS)
        return fail(outcome, response, WIRE_MALFORMED, "more constants than an invocation can name");
    for (uint32_t i = 0; i < constants; i++) {
        struct wire_ref whole = {.region = request->constant[i]};
        const struct fabric_region *region = find(e, &whole, 0);
        if (!region)
            return fail(outcome, response, WIRE_BAD_REFERENCE, "a constant that this executor does not have");
        constant[i] = (sublet_bytes){region->input, region->size};
    }

    if (request->function == WIRE_PROBE) {
        if (input_size > capacity)
            return fail(outcome, response, WIRE_OUTPUT_TOO_SMALL, "");
        memmove(output, input, input_size);  // a forged request may have them overlap
        *outcome = (struct outcome){.size = input_size, .inlined = flags & WIRE_OUTPUT_INLINE ? output : NULL};
        return;
    }
    if (request->function >= e->function_count)
        return fail(outcome, response, WIRE_UNKNOWN_FUNCTION, "no function of the library has this index");
    const struct fabric_function *function = &e->functions[request->function];
    errno = 0;  // if the function dies, its own says whether it was for want of memory
    char text[WIRE_TEXT];
    text[0] = 0;
    uint64_t size;
    int32_t status = WIRE_OK;
    if (function->abi == 1) {
        if (input_size > UINT32_MAX)
            return fail(outcome, response, WIRE_PAYLOAD_TOO_LARGE, "a function of rFaaS's kind takes inputs below 4 GiB");
        // It does not know how much fits. What is small lies beside others' memory: it is written
        // elsewhere first, in front of a page that stops it. (What is large has such a page.)
        uint8_t *place = capacity <= SCRATCH ? in_front_of_guard(e, capacity) : output;
        size = function->rfaas((void *)(uintptr_t)input, (uint32_t)input_size, place);
        if (place != output && size <= capacity)
            memcpy(output, place, size);
    } else {
        sublet_call call = {
            .abi = SUBLET_ABI,
            .constant_count = constants,
            .input = input,
            .input_size = input_size,
            .output = output,
            .output_capacity = capacity,
            .constants = constant,
            .error = text,
            .error_capacity = sizeof text,
        };
        status = function->function(&call);
        size = call.output_size;
    }
    if (size > (UINT64_C(1) << 47)) {  // more than an address space: a defect of the function
        if (status == WIRE_OK || status == WIRE_OUTPUT_TOO_SMALL) {
            snprintf(text, sizeof text, "it says that its output has %llu bytes", (unsigned long long)size);
            status = 1;
        }
        size = 0;
    }
    if (status == WIRE_OK && size > capacity)
        status = WIRE_OUTPUT_TOO_SMALL;
    if (status != WIRE_OK) {
        // Only two endings are a function's to choose: its own code, and too small an output.
        fail(outcome, response, status > 0 || status == WIRE_OUTPUT_TOO_SMALL ? status : 1, text);
        outcome->size = status == WIRE_OUTPUT_TOO_SMALL ? size : 0;
        return;
    }
    *outcome = (struct outcome){.size = size, .inlined = flags & WIRE_OUTPUT_INLINE ? output : NULL};
}

static inline void set_state(struct stats_page *page, enum wire_state state) {
    atomic_store_explicit(&page->state, (uint32_t)state, memory_order_relaxed);
}

static inline void add(_Atomic uint64_t *sum, uint64_t more) {  // there is one writer
    atomic_store_explicit(sum, atomic_load_explicit(sum, memory_order_relaxed) + more, memory_order_relaxed);
}

// Runs shorter than this are not worth waking anybody for.
enum { QUICK_NANOSECONDS = 500000 };

// Calls the function; where the network wants to be polled, somebody else does that meanwhile.
static void run(struct fabric_endpoint *endpoint, const struct fabric_arrival *arrival, double tick, struct outcome *outcome, uint64_t *start,
                uint64_t *end) {
    struct fabric_executor *e = endpoint->executor;
    const struct fabric_endpoint_ops *ops = endpoint->ops;
    const uint32_t index = arrival->request->function;
    struct fabric_function *function = ops->computing && index < e->function_count ? &e->functions[index] : NULL;
    const int assisted = function && !function->quick;

    if (assisted)
        ops->computing(endpoint, 1);
    *start = clock_ticks();
    execute(e, arrival, outcome);
    if (death_in_child())  // there is one executor, and it is the one that was asked
        _exit(0);
    *end = clock_ticks();
    if (assisted)
        ops->computing(endpoint, 0);
    if (function)
        function->quick = (double)(*end - *start) * tick < QUICK_NANOSECONDS;
}

static int loop(struct fabric_endpoint *endpoint) {
    const struct fabric_endpoint_ops *ops = endpoint->ops;
    struct fabric_executor *e = endpoint->executor;
    struct stats_page *page = e->page;
    const double tick = clock_tick_nanoseconds();
    const uint64_t hot = e->hot_nanoseconds < 0 ? UINT64_MAX : (uint64_t)((double)e->hot_nanoseconds / tick);
    uint64_t idle_since = clock_ticks();
    uint64_t counted = idle_since;  // up to here the spinning is in hot_ticks
    struct spin spin = {0};

    set_state(page, STATE_HOT);
    for (uint64_t id = 1;;) {
        struct fabric_arrival arrival;
        int came = ops->next(endpoint, id, &arrival);
        if (came < 0)
            return came;
        if (!came) {
            if (!spin_turn(&spin))
                continue;
            if (atomic_load_explicit(&e->stop, memory_order_acquire))
                return FABRIC_OK;
            uint64_t now = clock_ticks();
            add(&page->hot_ticks, now - counted);
            counted = now;
            if (now - idle_since >= hot) {
                atomic_fetch_add_explicit(&e->sleeps, 1, memory_order_relaxed);
                set_state(page, STATE_WARM);
                int result = ops->sleep(endpoint, id);
                set_state(page, STATE_HOT);
                if (result < 0)
                    return result;
                idle_since = counted = clock_ticks();
                spin_begin(&spin);
            }
            continue;
        }
        const uint64_t counts = arrival.request->function != WIRE_PROBE;
        struct outcome outcome;
        uint64_t start, end;
        if (!e->bounded && counts)  // the connection stands: what we need ourselves is there
            limit_begin(e);
        death_enter(e, arrival.request->function, id);
        run(endpoint, &arrival, tick, &outcome, &start, &end);
        death_leave(e);
        publish(&outcome, arrival.response, (uint64_t)((double)(end - start) * tick));
        int result = ops->respond(endpoint, id, &arrival);
        if (result < 0)
            return result;
        add(&page->hot_ticks, start - counted);
        add(&page->compute_ticks, end - start);
        add(&page->invocations, counts);
        idle_since = counted = end;
        spin_begin(&spin);
        id++;
    }
}

struct serving {
    struct fabric_endpoint *endpoint;
    int result;
    int returned;  // no function has ended the thread
};

static void *serve(void *argument) {
    struct serving *serving = argument;
    atomic_store(&serving->endpoint->executor->thread, (uint32_t)syscall(SYS_gettid));
    death_thread_start();
    serving->result = loop(serving->endpoint);
    serving->returned = 1;
    death_thread_end();
    return NULL;
}

int fabric_serve(struct fabric_endpoint *endpoint, uint64_t stack_size, char *text) {
    struct serving serving = {.endpoint = endpoint, .result = FABRIC_FAILED};
    pthread_attr_t attributes;
    pthread_t thread;
    clock_start();
    atomic_store(&endpoint->executor->page->ticks_per_second, clock_ticks_per_second());
    pthread_attr_init(&attributes);
    int error = make_scratch(endpoint->executor);
    if (!error)
        error = pthread_attr_setstacksize(&attributes, stack_size);
    if (!error)
        error = pthread_create(&thread, &attributes, serve, &serving);
    pthread_attr_destroy(&attributes);
    if (error) {
        snprintf(text, FABRIC_TEXT, "a thread with a stack of %llu bytes, and 64 KiB of scratch memory: %s", (unsigned long long)stack_size, strerror(error));
        serving.result = FABRIC_FAILED;
        serving.returned = 1;
    } else {
        pthread_join(thread, NULL);
        memcpy(text, endpoint->text, FABRIC_TEXT);
    }
    if (serving.returned)
        set_state(endpoint->executor->page, STATE_ENDED);
    else  // the page goes on to name the function
        snprintf(text, FABRIC_TEXT, "a function ended the thread that runs functions");
    return serving.result;
}

void fabric_endpoint_close(struct fabric_endpoint *endpoint) { endpoint->ops->close(endpoint); }

void fabric_stop(struct fabric_executor *executor, struct fabric_endpoint *endpoint) {
    atomic_store(&executor->stop, 1);
    endpoint->ops->wake(endpoint);
}
