// Finding a provider: what a link needs of it, and what to say where it can not be had.
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>

#include "ofi.h"

// What names of ours in shared memory begin with. The rest is random: libfabric's own choice is
// the process's number, which comes again.
#define OWN_NAME "sublet-"
#define SHARED_MEMORY "shm"

static const char order_lacks[] = "does not keep the order of writes";

// Providers whose endpoints do not connect. All others are asked for endpoints that do: those
// report their peer's end and can be revoked.
static int is_datagram(const char *provider) {
    return provider && (!strcmp(provider, SHARED_MEMORY) || !strcmp(provider, "cxi") || !strncmp(provider, "efa", 3));
}

// Providers that listen only at addresses of network adapters that they know: never at loopback, and
// often not at the address that the node is called by. Where that is so their first adapter is used.
static int is_adapter(const char *provider) { return provider && !strncmp(provider, "verbs", 5); }

// Everything that a link relies on and that a provider could lack.
static int suits(const struct fi_info *info, int sends, char *text) {
    const char *lack = NULL;
    if (!sends && (!(info->tx_attr->msg_order & FI_ORDER_WAW) || info->ep_attr->max_order_waw_size < WIRE_REQUEST_STRIDE))
        lack = order_lacks;
    else if (!sends && info->domain_attr->cq_data_size < 4)
        lack = "has less than 4 bytes of completion data";
    else if (info->domain_attr->mr_key_size > 8)
        lack = "has memory keys of more than 8 bytes";
    else if (info->ep_attr->max_msg_size < WIRE_REQUEST_STRIDE)
        lack = "can not write a slot in one operation";
    if (!lack)
        return FABRIC_OK;
    snprintf(text, FABRIC_TEXT, "provider %s of libfabric %s, which %s needs", info->fabric_attr->prov_name, lack, sends ? "ofi-send" : "ofi-write");
    return FABRIC_FAILED;
}

static struct fi_info *new_hints(const struct ofi_library *library, const char *provider, int sends) {
    struct fi_info *hints = library->dupinfo(NULL);
    if (!hints)
        return NULL;
    hints->caps = FI_MSG | FI_RMA;
    hints->mode = FI_RX_CQ_DATA;
    hints->ep_attr->type = FI_EP_MSG;
    hints->domain_attr->threading = FI_THREAD_DOMAIN;
    hints->domain_attr->mr_mode = FI_MR_LOCAL | FI_MR_VIRT_ADDR | FI_MR_ALLOCATED | FI_MR_PROV_KEY;
    if (is_datagram(provider)) {
        hints->ep_attr->type = FI_EP_RDM;
        // shm keeps the order of writes for those who ask; and then the target copies, so that
        // nothing lands in an end that has closed.
        if (!sends || !strcmp(provider, SHARED_MEMORY))
            hints->tx_attr->msg_order = hints->rx_attr->msg_order = FI_ORDER_WAW;
    }
    if (provider && *provider)
        hints->fabric_attr->prov_name = strdup(provider);
    return hints;
}

// Adds the names of the providers that could be had to the text.
static void list_providers(const struct ofi_library *library, int sends, char *text) {
    struct fi_info *hints = new_hints(library, NULL, sends), *all = NULL;
    char names[256] = "";
    size_t length = 0;
    if (hints && library->getinfo(OFI_VERSION, NULL, NULL, 0, hints, &all) == 0)
        for (struct fi_info *info = all; info; info = info->next) {
            const char *name = info->fabric_attr->prov_name;
            int known = 0;
            for (struct fi_info *earlier = all; earlier != info; earlier = earlier->next)
                known |= !strcmp(earlier->fabric_attr->prov_name, name);
            if (!known && length + strlen(name) + 3 < sizeof names)
                length += (size_t)snprintf(names + length, sizeof names - length, "%s%s", length ? ", " : "", name);
        }
    if (all)
        library->freeinfo(all);
    if (hints)
        library->freeinfo(hints);
    size_t used = strlen(text);
    if (length)
        used += (size_t)snprintf(text + used, FABRIC_TEXT - used, "; with connected endpoints there are: %s", names);
    else
        used += (size_t)snprintf(text + used, FABRIC_TEXT - used, "; no provider here has connected endpoints");
    const char *filter = getenv("FI_PROVIDER");
    if (filter && *filter && used < FABRIC_TEXT)
        snprintf(text + used, FABRIC_TEXT - used, " (FI_PROVIDER=%s hides the others)", filter);
}

static int aim_at(struct fi_info *hints, const uint8_t *name, size_t size) {
    uint32_t format;
    memcpy(&format, name, sizeof format);
    hints->addr_format = format;
    hints->dest_addrlen = size - sizeof format;
    hints->dest_addr = malloc(hints->dest_addrlen);
    if (!hints->dest_addr)
        return FABRIC_FAILED;
    memcpy(hints->dest_addr, name + sizeof format, hints->dest_addrlen);
    return FABRIC_OK;
}

static int make_name(char *own, size_t size) {
    uint64_t number;
    if (getrandom(&number, sizeof number, 0) != sizeof number)
        return FABRIC_FAILED;
    snprintf(own, size, OWN_NAME "%016llx", (unsigned long long)number);
    return FABRIC_OK;
}

int ofi_find(const char *provider, int sends, const char *address, const uint8_t *name, size_t name_size, struct fi_info **info, char *text) {
    const struct ofi_library *library = ofi_load(text);
    char own[64];
    if (!library)
        return FABRIC_FAILED;
    struct fi_info *hints = new_hints(library, provider, sends);
    *info = NULL;
    if (!hints || (name && hints->ep_attr->type == FI_EP_MSG && aim_at(hints, name, name_size) < 0)) {
        snprintf(text, FABRIC_TEXT, "out of memory");
        if (hints)
            library->freeinfo(hints);
        return FABRIC_FAILED;
    }
    if (name || (address && !*address))
        address = NULL;
    if (provider && !strcmp(provider, SHARED_MEMORY)) {
        if (make_name(own, sizeof own) < 0) {
            snprintf(text, FABRIC_TEXT, "getrandom: %m");
            library->freeinfo(hints);
            return FABRIC_FAILED;
        }
        address = own;
    }
    int result = library->getinfo(OFI_VERSION, address, NULL, address ? FI_SOURCE : 0, hints, info);
    if (result && address && is_adapter(provider))
        result = library->getinfo(OFI_VERSION, NULL, NULL, 0, hints, info);
    struct fi_info *anywhere = NULL;
    if (result == 0)
        result = suits(*info, sends, text);
    else if (address && provider && *provider && library->getinfo(OFI_VERSION, NULL, NULL, 0, hints, &anywhere) == 0) {
        library->freeinfo(anywhere);
        snprintf(text, FABRIC_TEXT, "provider %s of libfabric can not listen at %s: this node has no such address", provider, address);
        *info = NULL;
    } else {
        snprintf(text, FABRIC_TEXT, "fi_getinfo: libfabric's provider %s can not be had here (%s)",
                 provider && *provider ? provider : "of choice", library->strerror(-result));
        list_providers(library, sends, text);
        *info = NULL;
    }
    library->freeinfo(hints);
    if (result != 0 && *info) {
        library->freeinfo(*info);
        *info = NULL;
    }
    return result == 0 ? FABRIC_OK : FABRIC_FAILED;
}

int fabric_ofi_orders_writes(const char *provider, char *text) {
    struct fi_info *info;
    if (ofi_find(provider, 0, NULL, NULL, 0, &info, text) == FABRIC_OK) {
        ofi_load(text)->freeinfo(info);
        return 1;
    }
    if (!strstr(text, order_lacks))
        return FABRIC_FAILED;
    return 0;
}

void ofi_file(const uint8_t *name, size_t size, char *file) {
    char path[WIRE_NAME + 1] = "";
    *file = 0;
    if (size <= sizeof(uint32_t) || size > WIRE_NAME)
        return;
    memcpy(path, name + sizeof(uint32_t), size - sizeof(uint32_t));
    const char *start = strstr(path, "://");
    start = start ? start + 3 : path;
    if (!strncmp(start, OWN_NAME, strlen(OWN_NAME)))
        strcpy(file, start);
}

void ofi_unlink(const uint8_t *name, size_t size) {
    char file[WIRE_NAME + 1];
    ofi_file(name, size, file);
    if (*file)
        shm_unlink(file);  // which is gone already if the peer was faster
}
