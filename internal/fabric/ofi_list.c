// What libfabric offers on this machine: every provider on every interface.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "ofi.h"

static void copy(char *to, size_t size, const char *from) { snprintf(to, size, "%s", from ? from : ""); }

// The address in figures, if it is one of the internet's; providers have others as well.
static void write_address(struct fabric_ofi_offer *offer, const struct fi_info *info) {
    const struct sockaddr *address = info->src_addr;
    if (!address || info->src_addrlen < sizeof(struct sockaddr_in))
        return;
    if (address->sa_family == AF_INET)
        inet_ntop(AF_INET, &((const struct sockaddr_in *)address)->sin_addr, offer->address, sizeof offer->address);
    else if (address->sa_family == AF_INET6 && info->src_addrlen >= sizeof(struct sockaddr_in6))
        inet_ntop(AF_INET6, &((const struct sockaddr_in6 *)address)->sin6_addr, offer->address, sizeof offer->address);
}

static void write_adapter(struct fabric_ofi_offer *offer, const struct fid_nic *nic) {
    if (nic->device_attr)
        copy(offer->device, sizeof offer->device, nic->device_attr->name);
    if (nic->link_attr) {
        offer->up = nic->link_attr->state == FI_LINK_UP ? 1 : nic->link_attr->state == FI_LINK_DOWN ? 0 : -1;
        offer->bits_per_second = nic->link_attr->speed;
    }
}

int fabric_ofi_list(struct fabric_ofi_offer *offers, int max, char *text) {
    const struct ofi_library *library = ofi_load(text);
    if (!library)
        return FABRIC_FAILED;
    struct fi_info *all = NULL;
    int result = library->getinfo(OFI_VERSION, NULL, NULL, 0, NULL, &all);
    if (result)
        return result == -FI_ENODATA ? 0 : ofi_failed(text, FABRIC_FAILED, "fi_getinfo", result);
    int count = 0;
    for (const struct fi_info *info = all; info && count < max; info = info->next) {
        struct fabric_ofi_offer *offer = &offers[count++];
        memset(offer, 0, sizeof *offer);
        offer->up = -1;
        copy(offer->provider, sizeof offer->provider, info->fabric_attr->prov_name);
        copy(offer->domain, sizeof offer->domain, info->domain_attr->name);
        if (info->addr_format == FI_SOCKADDR || info->addr_format == FI_SOCKADDR_IN || info->addr_format == FI_SOCKADDR_IN6)
            write_address(offer, info);
        if (info->nic)
            write_adapter(offer, info->nic);
    }
    library->freeinfo(all);
    return count;
}
