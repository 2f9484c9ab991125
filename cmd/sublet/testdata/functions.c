// The function library of the tests that invoke something.
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "sublet/function.h"

// Copies its input.
SUBLET_FUNCTION(echo) {
    if (call->output_capacity < call->input_size)
        return sublet_need(call, call->input_size);
    memcpy(call->output, call->input, call->input_size);
    call->output_size = call->input_size;
    return 0;
}

SUBLET_FUNCTION(fail) { return sublet_fail(call, 9, "as you wished"); }

SUBLET_FUNCTION(crash) {
    (void)call;
    abort();
}

// Takes 700 ms.
SUBLET_FUNCTION(slow) {
    struct timespec pause = {0, 700000000};
    nanosleep(&pause, NULL);
    call->output_size = 0;
    return 0;
}

// Never ends, from the third time on.
SUBLET_FUNCTION(later) {
    static int times;
    if (++times > 2)
        for (;;)
            pause();
    call->output_size = 0;
    return 0;
}

// Makes the file that its input names, the first time.
SUBLET_FUNCTION(mark) {
    static int made;
    char name[4096];
    uint64_t size = call->input_size;
    if (made)
        return 0;
    while (size > 0 && ((const char *)call->input)[size - 1] == '\n')
        size--;
    if (size >= sizeof name)
        return sublet_fail(call, 1, "the name is too long");
    memcpy(name, call->input, size);
    name[size] = 0;
    int file = open(name, O_CREAT | O_WRONLY, 0600);
    if (file < 0)
        return sublet_fail(call, 2, "the file can not be made");
    close(file);
    made = 1;
    return 0;
}

// Makes the file that its input names, and never ends.
SUBLET_FUNCTION(hang) {
    int32_t code = mark(call);
    if (code != 0)
        return code;
    for (;;)
        pause();
}
