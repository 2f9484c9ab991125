// libfabric itself: loaded when first needed, never linked. Linking it costs every program
// 0.2 s before main, and would tie us to sites that have it.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ofi.h"

// The oldest interface whose structures have the layout that we were compiled with; every later
// library serves it.
#define OFI_VERSION FI_VERSION(1, 9)
#define OFI_LIBRARY "libfabric.so.1"

static pthread_mutex_t loading = PTHREAD_MUTEX_INITIALIZER;
static struct ofi_library library;
static _Atomic int loaded;

// Constructors that come with libfabric on Debian (libinfinipath's) put handlers of their own on
// SIGINT, SIGTERM and the fatal signals, which end the process: the Go runtime's and ours have to
// be put back.
enum { SIGNALS = 64 };

static void save_signals(struct sigaction *saved) {
    for (int i = 1; i <= SIGNALS; i++)
        sigaction(i, NULL, &saved[i]);
}

static void restore_signals(const struct sigaction *saved) {
    for (int i = 1; i <= SIGNALS; i++) {
        struct sigaction now;
        if (sigaction(i, NULL, &now) == 0 && now.sa_sigaction != saved[i].sa_sigaction)
            sigaction(i, &saved[i], NULL);
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
        struct sigaction saved[SIGNALS + 1];
        save_signals(saved);
        result = load(text);
        restore_signals(saved);
        loaded = result == FABRIC_OK;
    }
    pthread_mutex_unlock(&loading);
    return result == FABRIC_OK ? &library : NULL;
}

int ofi_failed(char *text, int result, const char *step, long error) {
    snprintf(text, FABRIC_TEXT, "%s: %s", step, library.strerror((int)-error));
    return result;
}

// Everything that a link relies on and that a provider could lack.
static int suits(const struct fi_info *info, char *text) {
    const char *lack = NULL;
    if (!(info->tx_attr->msg_order & FI_ORDER_WAW) || info->ep_attr->max_order_waw_size < WIRE_REQUEST_STRIDE)
        lack = "does not keep the order of writes";
    else if (info->domain_attr->cq_data_size < 4)
        lack = "has less than 4 bytes of completion data";
    else if (info->domain_attr->mr_key_size > 8)
        lack = "has memory keys of more than 8 bytes";
    else if (info->ep_attr->max_msg_size < WIRE_REQUEST_STRIDE)
        lack = "can not write a slot in one operation";
    if (!lack)
        return FABRIC_OK;
    snprintf(text, FABRIC_TEXT, "provider %s of libfabric %s, which ofi-write needs", info->fabric_attr->prov_name, lack);
    return FABRIC_FAILED;
}

static struct fi_info *new_hints(const char *provider) {
    struct fi_info *hints = library.dupinfo(NULL);
    if (!hints)
        return NULL;
    hints->caps = FI_MSG | FI_RMA;
    hints->mode = FI_RX_CQ_DATA;
    hints->ep_attr->type = FI_EP_MSG;
    hints->domain_attr->threading = FI_THREAD_DOMAIN;
    hints->domain_attr->mr_mode = FI_MR_LOCAL | FI_MR_VIRT_ADDR | FI_MR_ALLOCATED | FI_MR_PROV_KEY;
    if (provider && *provider)
        hints->fabric_attr->prov_name = strdup(provider);
    return hints;
}

// Adds the names of the providers that could be had to the text.
static void list_providers(char *text) {
    struct fi_info *hints = new_hints(NULL), *all = NULL;
    char names[256] = "";
    size_t length = 0;
    if (hints && library.getinfo(OFI_VERSION, NULL, NULL, 0, hints, &all) == 0)
        for (struct fi_info *info = all; info; info = info->next) {
            const char *name = info->fabric_attr->prov_name;
            int known = 0;
            for (struct fi_info *earlier = all; earlier != info; earlier = earlier->next)
                known |= !strcmp(earlier->fabric_attr->prov_name, name);
            if (!known && length + strlen(name) + 3 < sizeof names)
                length += (size_t)snprintf(names + length, sizeof names - length, "%s%s", length ? ", " : "", name);
        }
    if (all)
        library.freeinfo(all);
    if (hints)
        library.freeinfo(hints);
    size_t used = strlen(text);
    if (length)
        used += (size_t)snprintf(text + used, FABRIC_TEXT - used, "; with connected endpoints there are: %s", names);
    else
        used += (size_t)snprintf(text + used, FABRIC_TEXT - used, "; no provider here has connected endpoints");
    const char *filter = getenv("FI_PROVIDER");
    if (filter && *filter && used < FABRIC_TEXT)
        snprintf(text + used, FABRIC_TEXT - used, " (FI_PROVIDER=%s hides the others)", filter);
}

int ofi_find(const char *provider, const char *address, const uint8_t *name, size_t name_size, struct fi_info **info, char *text) {
    if (!ofi_load(text))
        return FABRIC_FAILED;
    struct fi_info *hints = new_hints(provider);
    if (!hints) {
        snprintf(text, FABRIC_TEXT, "out of memory");
        return FABRIC_FAILED;
    }
    uint64_t flags = 0;
    if (name) {
        uint32_t format;
        memcpy(&format, name, sizeof format);
        hints->addr_format = format;
        hints->dest_addrlen = name_size - sizeof format;
        hints->dest_addr = malloc(hints->dest_addrlen);
        if (hints->dest_addr)
            memcpy(hints->dest_addr, name + sizeof format, hints->dest_addrlen);
        address = NULL;
    } else
        flags = FI_SOURCE;
    if (address && !*address)
        address = NULL;
    if (!address)
        flags = 0;
    int result = library.getinfo(OFI_VERSION, address, NULL, flags, hints, info);
    struct fi_info *anywhere = NULL;
    if (result == 0)
        result = suits(*info, text);
    else if (address && provider && *provider && library.getinfo(OFI_VERSION, NULL, NULL, 0, hints, &anywhere) == 0) {
        library.freeinfo(anywhere);
        snprintf(text, FABRIC_TEXT, "provider %s of libfabric can not listen at %s: this node has no such address", provider, address);
        *info = NULL;
    } else {
        snprintf(text, FABRIC_TEXT, "fi_getinfo: libfabric's provider %s can not be had here (%s)",
                 provider && *provider ? provider : "of choice", library.strerror(-result));
        list_providers(text);
        *info = NULL;
    }
    library.freeinfo(hints);
    if (result != 0 && *info) {
        library.freeinfo(*info);
        *info = NULL;
    }
    return result == 0 ? FABRIC_OK : FABRIC_FAILED;
}
