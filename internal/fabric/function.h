/* sublet/function.h - what a function library is written against.
 *
 * A function library is a shared library. Sublet calls two kinds of function in it:
 *
 * 1. Every exported function of the type
 *
 *        uint32_t f(void *args, uint32_t size, void *res);
 *
 *    It gets size bytes at args, writes its output to res and returns the output's size. It can
 *    not fail, and it must know by itself how much fits into res.
 *
 * 2. Every function that is defined with SUBLET_FUNCTION:
 *
 *        SUBLET_FUNCTION(scale) {
 *            if (call->output_capacity < call->input_size)
 *                return sublet_need(call, call->input_size);
 *            ...
 *            call->output_size = call->input_size;
 *            return 0;
 *        }
 *
 *    It knows the sizes, can fail with a code and a text, and sees the constants that the
 *    invocation names.
 */
#ifndef SUBLET_FUNCTION_H
#define SUBLET_FUNCTION_H

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#ifdef __cpp_exceptions
#include <exception>
#endif

#ifdef __cplusplus
#define SUBLET_EXTERN_C extern "C"
#else
#define SUBLET_EXTERN_C
#endif

#define SUBLET_ABI 2

/* Returned by a function whose output did not fit; output_size then says how much is needed. */
#define SUBLET_OUTPUT_TOO_SMALL (-3)

typedef struct sublet_bytes {
    const void *data;
    uint64_t size;
} sublet_bytes;

typedef struct sublet_call {
    uint32_t abi;                  /* SUBLET_ABI of the executor */
    uint32_t constant_count;       /* constants that the invocation names */
    const void *input;             /* read-only; 64-byte aligned where it is larger than 32 bytes
                                      and starts its buffer */
    uint64_t input_size;           /* bytes */
    void *output;                  /* never the same memory as input unless the caller passed it so */
    uint64_t output_capacity;      /* bytes */
    uint64_t output_size;          /* to be set: bytes written to output, at most output_capacity */
    const sublet_bytes *constants; /* constant_count of them, in the order the invocation names them */
    char *error;                   /* to be set on failure: a text, NUL-terminated */
    uint64_t error_capacity;       /* bytes, with the NUL */
} sublet_call;

/* 0: it worked. A positive number: it failed with this code; see sublet_fail. */
typedef int32_t sublet_function(sublet_call *call);

/* What SUBLET_FUNCTION exports beside the function, so that an executor can tell the two kinds. */
typedef struct sublet_descriptor {
    uint32_t abi;
    uint32_t reserved;
    sublet_function *function;
} sublet_descriptor;

/* Twice, so that a name that is itself a macro is expanded first. */
#define SUBLET_FUNCTION(name) SUBLET_FUNCTION_NAMED(name)
#define SUBLET_FUNCTION_NAMED(name)                                                            \
    SUBLET_EXTERN_C int32_t name(sublet_call *call);                                           \
    SUBLET_EXTERN_C const sublet_descriptor sublet_function_##name;                            \
    SUBLET_EXTERN_C __attribute__((visibility("default"))) const sublet_descriptor             \
        sublet_function_##name = {SUBLET_ABI, 0, name};                                        \
    SUBLET_FUNCTION_BODY(name)

#ifdef __cpp_exceptions
/* What a function in C++ throws is its failure: the exception's text becomes the error's. */
#define SUBLET_FUNCTION_BODY(name)                                                             \
    static int32_t sublet_body_##name(sublet_call *call);                                      \
    extern "C" __attribute__((visibility("default"))) int32_t name(sublet_call *call) {        \
        try {                                                                                  \
            return sublet_body_##name(call);                                                   \
        } catch (const std::exception &thrown) {                                               \
            return sublet_fail(call, 1, "%s", thrown.what());                                  \
        } catch (...) {                                                                        \
            return sublet_fail(call, 1, "it threw an exception that is no std::exception");    \
        }                                                                                      \
    }                                                                                          \
    static int32_t sublet_body_##name(sublet_call *call)
#else
#define SUBLET_FUNCTION_BODY(name)                                                             \
    SUBLET_EXTERN_C __attribute__((visibility("default"))) int32_t name(sublet_call *call)
#endif

/* Fails with a code (at least 1) and a text: return sublet_fail(call, 1, "row %d is empty", i); */
__attribute__((format(printf, 3, 4))) static inline int32_t
sublet_fail(sublet_call *call, int32_t code, const char *format, ...) {
    va_list args;
    va_start(args, format);
    vsnprintf(call->error, call->error_capacity, format, args);
    va_end(args);
    return code > 0 ? code : 1;
}

/* Fails because the output needs more room: return sublet_need(call, bytes); */
static inline int32_t sublet_need(sublet_call *call, uint64_t bytes) {
    call->output_size = bytes;
    return SUBLET_OUTPUT_TOO_SMALL;
}

#endif
