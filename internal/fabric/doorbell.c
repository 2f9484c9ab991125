#define _GNU_SOURCE
#include "doorbell.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "fabric.h"

// A peer of ours has a few rings under way; one that rings without end must not keep us here.
enum { ANSWERS = 64 };

void doorbell_ring(int end) {
    const uint8_t ring = 1;
    // Without room the peer has rings that it did not answer, and without a peer nobody sleeps.
    (void)!send(end, &ring, sizeof ring, MSG_DONTWAIT | MSG_NOSIGNAL);
}

int doorbell_answer(int end) {
    uint8_t ring;
    for (int i = 0; i < ANSWERS; i++) {
        ssize_t size = recv(end, &ring, sizeof ring, MSG_DONTWAIT);
        if (size > 0)
            continue;
        // Nobody of ours sends nothing: a message of 0 bytes is as good as the end.
        return size < 0 && (errno == EAGAIN || errno == EINTR) ? FABRIC_OK : FABRIC_BROKEN;
    }
    return FABRIC_OK;
}

int doorbell_sleep(_Atomic uint32_t *flag, uint32_t milliseconds) {
    const struct timespec most = {.tv_sec = milliseconds / 1000, .tv_nsec = (long)(milliseconds % 1000) * 1000000};
    return syscall(SYS_futex, flag, FUTEX_WAIT, 1, &most, NULL, 0) != 0 && errno == ETIMEDOUT;
}

void doorbell_wake(_Atomic uint32_t *flag) {
    // Sequentially consistent: who sets the flag again after this sees what was stored before this.
    atomic_store(flag, 0);
    syscall(SYS_futex, flag, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}
