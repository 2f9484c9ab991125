// The locks that libfabric's shm has in memory of two processes. Each endpoint's region has one, which
// both ends take to post and to poll; up to 1.17 for each of that. A process that is killed while it
// holds one leaves it locked, and the other would spin on it for ever, in a call that nothing ends. So a
// client finds out where its own and its executor's are, and whoever knows that the executor is gone
// unlocks them: what the one who spins then finds in the region does not matter any more.
//
// The region is libfabric's own affair, so nothing of it is believed that it does not show: see own_lock.
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ofi.h"

// What all regions with such a lock have in common: a version of 1 to 8 in the first byte, the process's
// number behind the first word, and the lock behind the region's own address. Version 9 (libfabric 2.5)
// has no lock; versions that are not known are left alone.
enum {
    LAST_VERSION = 8,
    PROCESS = 4,
    LOOK_FROM = 8,
    LOOK_UNTIL = 256,
};

// Where in our own region the lock is, or 0. Nobody has taken it yet.
static size_t own_lock(const uint8_t *region) {
    pthread_spinlock_t unlocked;
    int32_t process;
    memcpy(&process, region + PROCESS, sizeof process);
    if (region[0] < 1 || region[0] > LAST_VERSION || process != getpid())
        return 0;
    pthread_spin_init(&unlocked, PTHREAD_PROCESS_SHARED);
    for (size_t at = LOOK_FROM; at < LOOK_UNTIL; at += sizeof(uint64_t)) {
        uint64_t word;
        memcpy(&word, region + at, sizeof word);
        if (word == (uint64_t)(uintptr_t)region)
            return memcmp(region + at + sizeof word, (const void *)&unlocked, sizeof unlocked) ? 0 : at + sizeof word;
    }
    return 0;
}

// Where libfabric has mapped its file of that name, if this line of /proc/self/maps says so.
static uint8_t *mapped_at(const char *line, const char *file) {
    static const char folder[] = "/dev/shm/";
    const char *path = strstr(line, folder);
    const size_t length = strlen(file);
    unsigned long long from;
    char rights[5];
    if (!*file || !path || sscanf(line, "%llx-%*x %4s", &from, rights) != 2 || strcmp(rights, "rw-s"))
        return NULL;
    const char *name = path + strlen(folder);
    if (strncmp(name, file, length) || (name[length] != '\n' && name[length] != ' '))
        return NULL;
    return (uint8_t *)(uintptr_t)from;
}

int ofi_find_locks(struct ofi_link *l, const uint8_t *own, size_t own_size, const uint8_t *peer, size_t peer_size) {
    char files[2][WIRE_NAME + 1];
    uint8_t *regions[2] = {NULL, NULL};
    ofi_file(own, own_size, files[0]);
    ofi_file(peer, peer_size, files[1]);
    FILE *maps = fopen("/proc/self/maps", "re");
    char *line = NULL;
    size_t room = 0;
    while (maps && getline(&line, &room, maps) > 0)
        for (int i = 0; i < 2; i++)
            if (!regions[i])
                regions[i] = mapped_at(line, files[i]);
    free(line);
    if (maps)
        fclose(maps);
    const size_t at = regions[0] ? own_lock(regions[0]) : 0;
    if (at) {
        atomic_store(&l->abandonment->locks[0], regions[0] + at);
        if (regions[1] && regions[1][0] == regions[0][0])
            atomic_store(&l->abandonment->locks[1], regions[1] + at);
    }
    // Either whoever abandons us has seen the locks, or we see that it has been here.
    return ofi_abandoned(l) ? l->over : FABRIC_OK;
}

void ofi_hand_over(struct fabric_abandonment *from, struct fabric_abandonment *to) {
    for (int i = 0; i < 2; i++)
        atomic_store(&to->locks[i], atomic_exchange(&from->locks[i], NULL));
    // Either they find no locks any more, or we find them here.
    while (atomic_load(&from->users))
        sched_yield();
    if (atomic_load(&from->asked))
        atomic_store(&to->asked, 1);
}

void fabric_abandon(struct fabric_abandonment *a) {
    atomic_store(&a->asked, 1);
    atomic_fetch_add(&a->users, 1);
    for (int i = 0; i < 2; i++) {
        void *lock = atomic_load(&a->locks[i]);
        if (lock)
            pthread_spin_unlock(lock);
    }
    atomic_fetch_sub(&a->users, 1);
}
