// libfabric itself: loaded when first needed, never linked. Linking it costs every program
// 0.2 s before main, and would tie us to sites that have it.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ofi.h"

#define OFI_LIBRARY "libfabric.so.1"

static pthread_mutex_t loading = PTHREAD_MUTEX_INITIALIZER;
static struct ofi_library library;
static _Atomic int loaded;

// Constructors that come with libfabric on Debian (libinfinipath's) put handlers of their own on
// SIGINT, SIGTERM and the fatal signals, which end the process, and so does shm's endpoint: the Go
// runtime's and ours have to be put back.
void ofi_keep_signals(struct ofi_signals *s) {
    for (int i = 1; i <= OFI_SIGNALS; i++)
        sigaction(i, NULL, &s->saved[i]);
}

void ofi_restore_signals(const struct ofi_signals *s) {
    for (int i = 1; i <= OFI_SIGNALS; i++) {
        struct sigaction now;
        if (sigaction(i, NULL, &now) == 0 && now.sa_sigaction != s->saved[i].sa_sigaction)
            sigaction(i, &s->saved[i], NULL);
    }
}

static int resolve(void *handle, const char *name, const char *version, void *pointer, char *text) {
    void *symbol = dlvsym(handle, name, version);
    if (!symbol) {
        snprintf(text, FABRIC_TEXT, "%s has no %s of version %s: it is older than 1.9, or not libfabric", OFI_LIBRARY, name, version);
        return FABRIC_FAILED;
    }
    memcpy(pointer, &symbol, sizeof symbol);
    return FABRIC_OK;
}

static int load(char *text) {
    void *handle = dlopen(OFI_LIBRARY, RTLD_NOW | RTLD_LOCAL);
    if (!handle) {
        const char *reason = dlerror();
        snprintf(text, FABRIC_TEXT,
                 "%s can not be loaded (%s): install libfabric (Debian and Ubuntu: libfabric1; elsewhere: libfabric), or put the folder of the "
                 "site's own into LD_LIBRARY_PATH",
                 OFI_LIBRARY, reason ? reason : "dlopen failed");
        return FABRIC_FAILED;
    }
    if (resolve(handle, "fi_getinfo", "FABRIC_1.3", &library.getinfo, text) ||
        resolve(handle, "fi_freeinfo", "FABRIC_1.3", &library.freeinfo, text) ||
        resolve(handle, "fi_dupinfo", "FABRIC_1.3", &library.dupinfo, text) ||
        resolve(handle, "fi_fabric", "FABRIC_1.1", &library.fabric, text) ||
        resolve(handle, "fi_strerror", "FABRIC_1.0", &library.strerror, text))
        return FABRIC_FAILED;
    // The first call loads providers, which may be libraries with constructors as well.
    struct fi_info *info = NULL;
    if (library.getinfo(OFI_VERSION, NULL, NULL, 0, NULL, &info) == 0)
        library.freeinfo(info);
    return FABRIC_OK;
}

const struct ofi_library *ofi_load(char *text) {
    pthread_mutex_lock(&loading);
    int result = FABRIC_OK;
    if (!loaded) {
        struct ofi_signals before;
        ofi_keep_signals(&before);
        result = load(text);
        ofi_restore_signals(&before);
        loaded = result == FABRIC_OK;
    }
    pthread_mutex_unlock(&loading);
    return result == FABRIC_OK ? &library : NULL;
}

int fabric_ofi_preload(char *text) { return ofi_load(text) ? FABRIC_OK : FABRIC_FAILED; }

int ofi_failed(char *text, int result, const char *step, long error) {
    snprintf(text, FABRIC_TEXT, "%s: %s", step, library.strerror((int)-error));
    return result;
}
