// The client's end of a libfabric connection, as its files share it.
#ifndef SUBLET_OFI_CLIENT_H
#define SUBLET_OFI_CLIENT_H

#include "ofi.h"

// A region as the client knows it.
struct ofi_region {
    uint8_t *base;
    uint64_t size;
    struct fid_mr *mr;
    int mirrored;  // the executor has it
    uint64_t mirror_address;
    uint64_t mirror_key;
};

struct ofi_client {
    struct fabric_client client;
    struct ofi_link link;
    uint8_t *requests;  // where requests are put together
    uint8_t *responses;
    struct fid_mr *requests_mr;  // NULL unless the provider needs it
    struct fid_mr *responses_mr;
    uint64_t request_address;  // the executor's slots
    uint64_t request_key;
    int met;      // the executor has answered
    int watched;  // so many descriptors that tell of completions are in the client's
    int watching[OFI_DESCRIPTORS];
    struct ofi_region regions[WIRE_REGIONS];
};

extern const struct fabric_client_ops ofi_client_ops;

// Where endpoints do not connect, tells the executor that this is the end.
void ofi_say_goodbye(struct ofi_client *);

#endif
