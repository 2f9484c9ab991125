// Which libfabric has been loaded, and from where.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

#include "ofi.h"

int fabric_ofi_version(struct fabric_ofi_version *version, char *text) {
    const struct ofi_library *library = ofi_load(text);
    if (!library)
        return FABRIC_FAILED;
    // A function of it leads to the file that it is in, and from there to its other symbols.
    Dl_info where;
    void *function = NULL;
    memcpy(&function, &library->getinfo, sizeof function);
    if (!dladdr(function, &where) || !where.dli_fname) {
        snprintf(text, FABRIC_TEXT, "libfabric is loaded, and the linker does not say from where");
        return FABRIC_FAILED;
    }
    void *handle = dlopen(where.dli_fname, RTLD_NOW | RTLD_LOCAL | RTLD_NOLOAD);
    void *symbol = handle ? dlsym(handle, "fi_version") : NULL;
    if (!symbol) {
        if (handle)
            dlclose(handle);
        snprintf(text, FABRIC_TEXT, "%s has no fi_version", where.dli_fname);
        return FABRIC_FAILED;
    }
    uint32_t (*ask)(void);
    memcpy(&ask, &symbol, sizeof ask);
    uint32_t number = ask();
    version->major = FI_MAJOR(number);
    version->minor = FI_MINOR(number);
    snprintf(version->path, sizeof version->path, "%s", where.dli_fname);
    dlclose(handle);
    return FABRIC_OK;
}
