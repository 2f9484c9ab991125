/* Opening an end of a libfabric floor, and the meeting of two. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>

#include "ofi.h"

#define VERSION FI_VERSION(1, 9)
#define OWN_NAME "sublet-floor-"
#define SHARED_MEMORY "shm"

int floor_ofi_failed(char *text, const char *step, long error) {
    const struct floor_libfabric *library = floor_libfabric_load(text);
    snprintf(text, FLOOR_TEXT, "the floor over libfabric: %s: %s", step, library ? library->strerror((int)-error) : "no libfabric");
    return FLOOR_FAILED;
}

const struct floor_libfabric *floor_libfabric_load(char *text) {
    static struct floor_libfabric library;
    static int loaded;
    if (loaded)
        return &library;
    void *handle = dlopen("libfabric.so.1", RTLD_NOW | RTLD_LOCAL);
    const struct {
        void *pointer;
        const char *name, *version;
    } wanted[] = {
        {&library.getinfo, "fi_getinfo", "FABRIC_1.3"},   {&library.freeinfo, "fi_freeinfo", "FABRIC_1.3"},
        {&library.dupinfo, "fi_dupinfo", "FABRIC_1.3"},   {&library.fabric, "fi_fabric", "FABRIC_1.1"},
        {&library.strerror, "fi_strerror", "FABRIC_1.0"},
    };
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
        void *symbol = handle ? dlvsym(handle, wanted[i].name, wanted[i].version) : NULL;
        if (!symbol) {
            snprintf(text, FLOOR_TEXT, "the floor over libfabric: %s", dlerror());
            return NULL;
        }
        memcpy(wanted[i].pointer, &symbol, sizeof symbol);
    }
    loaded = 1;
    return &library;
}

/* ---------------------------------------------------------------- finding the provider */

static int is_datagram(const char *provider) {
    return !strcmp(provider, SHARED_MEMORY) || !strcmp(provider, "cxi") || !strncmp(provider, "efa", 3);
}

static struct fi_info *hints_for(const struct floor_libfabric *library, const struct floor_ofi_card *card) {
    struct fi_info *hints = library->dupinfo(NULL);
    if (!hints)
        return NULL;
    hints->caps = FI_MSG | FI_RMA;
    hints->mode = FI_RX_CQ_DATA;
    hints->ep_attr->type = is_datagram(card->provider) ? FI_EP_RDM : FI_EP_MSG;
    hints->domain_attr->threading = FI_THREAD_DOMAIN;
    hints->domain_attr->mr_mode = FI_MR_LOCAL | FI_MR_VIRT_ADDR | FI_MR_ALLOCATED | FI_MR_PROV_KEY;
    if (is_datagram(card->provider) && (!card->sends || !strcmp(card->provider, SHARED_MEMORY)))
        hints->tx_attr->msg_order = hints->rx_attr->msg_order = FI_ORDER_WAW;
    hints->fabric_attr->prov_name = strdup(card->provider);
    return hints;
}

static int find(struct floor_ofi *e, const struct floor_ofi_card *card, int executor, const struct floor_ofi_card *peer) {
    const struct floor_libfabric *library = floor_libfabric_load(e->text);
    char own[64];
    const char *node = executor && *card->host ? card->host : NULL;
    struct fi_info *hints = library ? hints_for(library, card) : NULL;
    if (!hints)
        return FLOOR_FAILED;
    if (hints->ep_attr->type == FI_EP_MSG && peer) {
        memcpy(&hints->addr_format, peer->name, sizeof hints->addr_format);
        hints->dest_addrlen = peer->name_size - sizeof hints->addr_format;
        hints->dest_addr = malloc(hints->dest_addrlen);
        if (hints->dest_addr)
            memcpy(hints->dest_addr, peer->name + sizeof hints->addr_format, hints->dest_addrlen);
    }
    if (!strcmp(card->provider, SHARED_MEMORY)) {
        uint64_t number = 0;
        if (getrandom(&number, sizeof number, 0) != sizeof number)
            number = floor_nanoseconds();
        snprintf(own, sizeof own, OWN_NAME "%016llx", (unsigned long long)number);
        node = own;
    }
    int result = library->getinfo(VERSION, node, NULL, node ? FI_SOURCE : 0, hints, &e->info);
    library->freeinfo(hints);
    if (result)
        return floor_ofi_failed(e->text, "fi_getinfo", result);
    if (e->info->ep_attr->max_msg_size < card->size) {
        snprintf(e->text, FLOOR_TEXT, "the floor over libfabric: provider %s moves at most %zu bytes in one operation", card->provider,
                 e->info->ep_attr->max_msg_size);
        return FLOOR_FAILED;
    }
    return FLOOR_OK;
}

/* ---------------------------------------------------------------- opening */

static int open_objects(struct floor_ofi *e) {
    const struct floor_libfabric *library = floor_libfabric_load(e->text);
    const int connects = e->info->ep_attr->type == FI_EP_MSG;
    int result = library->fabric(e->info->fabric_attr, &e->fabric, NULL);
    if (result)
        return floor_ofi_failed(e->text, "fi_fabric", result);
    result = fi_domain(e->fabric, e->info, &e->domain, NULL);
    if (result)
        return floor_ofi_failed(e->text, "fi_domain", result);
    struct fi_eq_attr eq = {.wait_obj = FI_WAIT_UNSPEC};
    struct fi_av_attr av = {.type = e->info->domain_attr->av_type, .count = 2};
    struct fi_cq_attr cq = {.size = 1024, .format = FI_CQ_FORMAT_DATA, .wait_obj = FI_WAIT_NONE};
    result = connects ? fi_eq_open(e->fabric, &eq, &e->eq, NULL) : fi_av_open(e->domain, &av, &e->av, NULL);
    if (result)
        return floor_ofi_failed(e->text, connects ? "fi_eq_open" : "fi_av_open", result);
    result = fi_cq_open(e->domain, &cq, &e->cq, NULL);
    if (result)
        return floor_ofi_failed(e->text, "fi_cq_open", result);
    result = fi_mr_reg(e->domain, e->memory, 2 * e->window * e->size, FI_REMOTE_WRITE | FI_WRITE | FI_SEND | FI_RECV, 0, 1, 0, &e->mr, NULL);
    return result ? floor_ofi_failed(e->text, "fi_mr_reg", result) : FLOOR_OK;
}

/* Providers put handlers of their own on signals: what was there before is put back. */
static int endpoint(struct floor_ofi *e, struct fi_info *info) {
    struct sigaction before[65], now;
    for (int i = 1; i < 65; i++)
        sigaction(i, NULL, &before[i]);
    int result = fi_endpoint(e->domain, info, &e->ep, NULL);
    if (!result)
        result = fi_ep_bind(e->ep, e->eq ? &e->eq->fid : &e->av->fid, 0);
    if (!result)
        result = fi_ep_bind(e->ep, &e->cq->fid, FI_TRANSMIT | FI_SELECTIVE_COMPLETION);
    if (!result)
        result = fi_ep_bind(e->ep, &e->cq->fid, FI_RECV);
    if (!result)
        result = fi_enable(e->ep);
    for (int i = 1; i < 65; i++)
        if (!sigaction(i, NULL, &now) && now.sa_sigaction != before[i].sa_sigaction)
            sigaction(i, &before[i], NULL);
    if (result)
        return floor_ofi_failed(e->text, "making an endpoint", result);
    for (int i = 0; (e->sends || e->posts_receives) && i < FLOOR_RECEIVES; i++)
        if ((result = floor_ofi_receive(e)) < 0)
            return result;
    return FLOOR_OK;
}

static int describe(struct floor_ofi *e, struct floor_ofi_card *card) {
    struct fid *named = e->passive ? &e->passive->fid : e->ep ? &e->ep->fid : NULL;
    size_t size = FLOOR_NAME - sizeof e->info->addr_format;
    memcpy(card->name, &e->info->addr_format, sizeof e->info->addr_format);
    int result = named ? fi_getname(named, card->name + sizeof e->info->addr_format, &size) : 0;
    if (result)
        return floor_ofi_failed(e->text, "fi_getname", result);
    card->name_size = (uint32_t)(size + sizeof e->info->addr_format);
    memcpy(e->name, card->name, FLOOR_NAME);
    card->address = e->info->domain_attr->mr_mode & FI_MR_VIRT_ADDR ? (uint64_t)(uintptr_t)floor_ofi_in(e, 0) : e->window * e->size;
    card->key = fi_mr_key(e->mr);
    return FLOOR_OK;
}

struct floor_ofi *floor_ofi_open(struct floor_ofi_card *card, int executor, const struct floor_ofi_card *peer, char *text) {
    struct floor_ofi *e = calloc(1, sizeof *e);
    if (!e) {
        snprintf(text, FLOOR_TEXT, "out of memory");
        return NULL;
    }
    e->text = text;
    e->sends = (int)card->sends;
    e->size = (card->size + FLOOR_PAGE) & ~(uint64_t)(FLOOR_PAGE - 1);
    e->window = card->window ? card->window : 1;
    e->memory = mmap(NULL, 2 * e->window * e->size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    int result = FLOOR_OK;
    if (e->memory == MAP_FAILED) {
        e->memory = NULL;
        snprintf(text, FLOOR_TEXT, "the floor over libfabric: mmap: %m");
        result = FLOOR_FAILED;
    }
    if (result == FLOOR_OK)
        result = find(e, card, executor, peer);
    if (result == FLOOR_OK) {
        e->posts_receives = (e->info->mode & FI_RX_CQ_DATA) != 0;
        e->signal_every = e->info->tx_attr->size > 8 ? (uint32_t)(e->info->tx_attr->size / 4) : 1;
        result = open_objects(e);
    }
    if (result == FLOOR_OK && e->av)
        result = endpoint(e, e->info);
    if (result == FLOOR_OK && e->eq && executor) {
        int error = fi_passive_ep(e->fabric, e->info, &e->passive, NULL);
        if (!error)
            error = fi_pep_bind(e->passive, &e->eq->fid, 0);
        if (!error)
            error = fi_listen(e->passive);
        if (error)
            result = floor_ofi_failed(text, "fi_listen", error);
    }
    if (result == FLOOR_OK)
        result = describe(e, card);
    if (result == FLOOR_OK)
        return e;
    floor_ofi_close(e);
    return NULL;
}

/* ---------------------------------------------------------------- meeting */

static int await_event(struct floor_ofi *e, uint32_t wanted, struct fi_eq_cm_entry *entry) {
    uint32_t turns = 0, kind;
    uint64_t began = 0;
    while (floor_spin(&turns, &began)) {
        ssize_t size = fi_eq_read(e->eq, &kind, entry, sizeof *entry, 0);
        if (size == -FI_EAVAIL) {
            struct fi_eq_err_entry error = {0};
            fi_eq_readerr(e->eq, &error, 0);
            return floor_ofi_failed(e->text, "the meeting", -error.err);
        }
        if (size >= 0 && kind == wanted)
            return FLOOR_OK;
    }
    snprintf(e->text, FLOOR_TEXT, "the floor over libfabric: the two ends have not met for %d s", FLOOR_PATIENCE);
    return FLOOR_FAILED;
}

int floor_ofi_meet(struct floor_ofi *e, const struct floor_ofi_card *peer, char *text) {
    struct fi_eq_cm_entry entry;
    e->text = text;
    e->peer = FI_ADDR_UNSPEC;
    e->peer_address = peer->address;
    e->peer_key = peer->key;
    memcpy(e->peer_name, peer->name, FLOOR_NAME);
    if (e->av) {
        int count = fi_av_insert(e->av, e->peer_name + sizeof e->info->addr_format, 1, &e->peer, 0, NULL);
        return count == 1 ? FLOOR_OK : floor_ofi_failed(text, "fi_av_insert", count < 0 ? count : -FI_EADDRNOTAVAIL);
    }
    int result, error;
    if (e->passive) {
        result = await_event(e, FI_CONNREQ, &entry);
        if (result < 0)
            return result;
        result = endpoint(e, entry.info);
        floor_libfabric_load(text)->freeinfo(entry.info);
        error = result == FLOOR_OK ? fi_accept(e->ep, NULL, 0) : 0;
    } else {
        result = endpoint(e, e->info);
        error = result == FLOOR_OK ? fi_connect(e->ep, e->info->dest_addr, NULL, 0) : 0;
    }
    if (result == FLOOR_OK && error)
        result = floor_ofi_failed(text, e->passive ? "fi_accept" : "fi_connect", error);
    return result == FLOOR_OK ? await_event(e, FI_CONNECTED, &entry) : result;
}

static void unlink_name(const uint8_t *name) {
    const char *path = (const char *)name + sizeof(uint32_t), *file = strstr(path, "://");
    file = file ? file + 3 : path;
    if (!strncmp(file, OWN_NAME, strlen(OWN_NAME)))
        shm_unlink(file);
}

void floor_ofi_unlink(struct floor_ofi *e) {
    if (e->unlinked)
        return;
    e->unlinked = 1;
    unlink_name(e->name);
    unlink_name(e->peer_name);
}

void floor_ofi_close(struct floor_ofi *e) {
    floor_ofi_unlink(e);
    struct fid *objects[] = {
        e->ep ? &e->ep->fid : NULL, e->passive ? &e->passive->fid : NULL, e->mr ? &e->mr->fid : NULL,
        e->cq ? &e->cq->fid : NULL, e->eq ? &e->eq->fid : NULL,           e->av ? &e->av->fid : NULL,
        e->domain ? &e->domain->fid : NULL, e->fabric ? &e->fabric->fid : NULL,
    };
    for (size_t i = 0; i < sizeof objects / sizeof *objects; i++)
        if (objects[i])
            fi_close(objects[i]);
    char text[FLOOR_TEXT];
    if (e->info)
        floor_libfabric_load(text)->freeinfo(e->info);
    if (e->memory)
        munmap(e->memory, 2 * e->window * e->size);
    free(e);
}
