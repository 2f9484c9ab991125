// A libfabric in front of the real one, whose tcp provider is as demanding as others are: it takes
// posted receives, wants local memory registered and
// remote memory addressed by pointer, writes little at once, gathers and injects nothing, and is
// busy two times out of three.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <rdma/fabric.h>
#include <rdma/fi_domain.h>
#include <rdma/fi_endpoint.h>
#include <rdma/fi_errno.h>
#include <rdma/fi_rma.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LARGEST = 100000, DEPTH = 16 };

static void *real(const char *name, const char *version) {
    static void *handle;
    if (!handle) {
        handle = dlopen(getenv("AWKWARD_REAL"), RTLD_NOW | RTLD_LOCAL);
        if (!handle) {
            fprintf(stderr, "awkward: %s\n", dlerror());
            abort();
        }
    }
    return dlvsym(handle, name, version);
}

static void violated(const char *what) {
    fprintf(stderr, "awkward: VIOLATED: %s\n", what);
    abort();
}

static int busy(void) {
    static unsigned calls;
    return calls++ % 3 != 0;
}

// ---------------------------------------------------------------- endpoints

static struct fi_ops_rma rma, real_rma;
static struct fi_ops_msg msg, real_msg;
static unsigned receives, unsignalled;

static ssize_t writemsg(struct fid_ep *ep, const struct fi_msg_rma *message, uint64_t flags) {
    if (message->iov_count != 1)
        violated("a gathering write");
    if (message->msg_iov[0].iov_len > LARGEST)
        violated("a write above max_msg_size");
    if (!message->desc || !message->desc[0])
        violated("a write from memory that is not registered");
    unsignalled = flags & FI_COMPLETION ? 0 : unsignalled + 1;
    if (unsignalled >= DEPTH)
        violated("a send queue full of writes that ask for no completion");
    return busy() ? -FI_EAGAIN : real_rma.writemsg(ep, message, flags);
}

static ssize_t injectdata(struct fid_ep *ep, const void *buf, size_t len, uint64_t data, fi_addr_t to, uint64_t addr, uint64_t key) {
    (void)ep, (void)buf, (void)len, (void)data, (void)to, (void)addr, (void)key;
    violated("an injected write");
    return -FI_EINVAL;
}

static ssize_t readmsg(struct fid_ep *ep, const struct fi_msg_rma *message, uint64_t flags) {
    if (message->iov_count != 1 || message->msg_iov[0].iov_len > LARGEST || !message->desc || !message->desc[0])
        violated("a read that gathers, is too large, or is into memory that is not registered");
    unsignalled = flags & FI_COMPLETION ? 0 : unsignalled + 1;
    return busy() ? -FI_EAGAIN : real_rma.readmsg(ep, message, flags);
}

static ssize_t sendmsg(struct fid_ep *ep, const struct fi_msg *message, uint64_t flags) {
    if (message->iov_count != 1 || !message->desc || !message->desc[0])
        violated("a send that gathers, or of memory that is not registered");
    unsignalled = flags & FI_COMPLETION ? 0 : unsignalled + 1;
    if (unsignalled >= DEPTH)
        violated("a send queue full of sends that ask for no completion");
    return busy() ? -FI_EAGAIN : real_msg.sendmsg(ep, message, flags);
}

static ssize_t inject(struct fid_ep *ep, const void *buf, size_t len, fi_addr_t to) {
    (void)ep, (void)buf, (void)len, (void)to;
    violated("an injected send");
    return -FI_EINVAL;
}

// For writes tcp needs no receives: they are counted and go no further.
static ssize_t receive(struct fid_ep *ep, void *buf, size_t len, void *desc, fi_addr_t from, void *context) {
    if (buf && !desc)
        violated("a receive into memory that is not registered");
    if (buf)
        return busy() ? -FI_EAGAIN : real_msg.recv(ep, buf, len, desc, from, context);
    if (receives++ == 0)
        fprintf(stderr, "awkward: in use\n");
    return 0;
}

static int (*real_endpoint)(struct fid_domain *, struct fi_info *, struct fid_ep **, void *);

static int endpoint(struct fid_domain *domain, struct fi_info *info, struct fid_ep **ep, void *context) {
    int result = real_endpoint(domain, info, ep, context);
    if (result)
        return result;
    if ((*ep)->rma != &rma) {
        real_rma = rma = *(*ep)->rma;
        rma.writemsg = writemsg;
        rma.injectdata = injectdata;
        rma.readmsg = readmsg;
        real_msg = msg = *(*ep)->msg;
        msg.recv = receive;
        msg.sendmsg = sendmsg;
        msg.inject = inject;
        (*ep)->rma = &rma;
        (*ep)->msg = &msg;
    }
    return 0;
}

// ---------------------------------------------------------------- domains

static int (*real_reg)(struct fid *, const void *, size_t, uint64_t, uint64_t, uint64_t, uint64_t, struct fid_mr **, void *);

static int reg(struct fid *fid, const void *buf, size_t len, uint64_t access, uint64_t offset, uint64_t key, uint64_t flags, struct fid_mr **mr, void *context) {
    int result = real_reg(fid, buf, len, access, offset, key, flags, mr, context);
    if (result == 0 && !(*mr)->mem_desc)
        (*mr)->mem_desc = *mr;  // tcp does not look at it
    return result;
}

static int (*real_domain)(struct fid_fabric *, struct fi_info *, struct fid_domain **, void *);

static int domain(struct fid_fabric *fabric, struct fi_info *info, struct fid_domain **domain, void *context) {
    static struct fi_ops_domain ops;
    static struct fi_ops_mr mr;
    int result = real_domain(fabric, info, domain, context);
    if (result || (*domain)->ops == &ops)
        return result;
    ops = *(*domain)->ops;
    real_endpoint = ops.endpoint;
    ops.endpoint = endpoint;
    (*domain)->ops = &ops;
    mr = *(*domain)->mr;
    real_reg = mr.reg;
    mr.reg = reg;
    (*domain)->mr = &mr;
    return 0;
}

// ---------------------------------------------------------------- exported calls

int fi_fabric(struct fi_fabric_attr *attr, struct fid_fabric **fabric, void *context) {
    static struct fi_ops_fabric ops;
    int (*call)(struct fi_fabric_attr *, struct fid_fabric **, void *) = real("fi_fabric", "FABRIC_1.1");
    int result = call(attr, fabric, context);
    if (result || (*fabric)->ops == &ops)
        return result;
    ops = *(*fabric)->ops;
    real_domain = ops.domain;
    ops.domain = domain;
    (*fabric)->ops = &ops;
    return 0;
}

int fi_getinfo(uint32_t version, const char *node, const char *service, uint64_t flags, const struct fi_info *hints, struct fi_info **info) {
    int (*call)(uint32_t, const char *, const char *, uint64_t, const struct fi_info *, struct fi_info **) = real("fi_getinfo", "FABRIC_1.3");
    int result = call(version, node, service, flags, hints, info);
    for (struct fi_info *i = result ? NULL : *info; i; i = i->next) {
        i->mode |= FI_RX_CQ_DATA;
        i->tx_attr->iov_limit = 1;
        i->tx_attr->inject_size = 0;
        i->tx_attr->size = DEPTH;
        i->ep_attr->max_msg_size = LARGEST;
        i->domain_attr->mr_mode |= FI_MR_LOCAL | FI_MR_VIRT_ADDR | FI_MR_ALLOCATED | FI_MR_PROV_KEY;
        i->domain_attr->cq_data_size = 4;
    }
    return result;
}

void fi_freeinfo(struct fi_info *info) {
    void (*call)(struct fi_info *) = real("fi_freeinfo", "FABRIC_1.3");
    call(info);
}

struct fi_info *fi_dupinfo(const struct fi_info *info) {
    struct fi_info *(*call)(const struct fi_info *) = real("fi_dupinfo", "FABRIC_1.3");
    return call(info);
}

const char *fi_strerror(int error) {
    const char *(*call)(int) = real("fi_strerror", "FABRIC_1.0");
    return call(error);
}
