// Function libraries: shared libraries opened with dlopen.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

#include "fabric.h"
#include "signals.h"

int fabric_library_open(const char *path, void **handle, char *text) {
    death_thread_borrow(1);  // constructors can crash
    *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    death_thread_borrow(0);
    if (*handle)
        return FABRIC_OK;
    const char *reason = dlerror();
    snprintf(text, FABRIC_TEXT, "%s", reason ? reason : "dlopen failed");
    return FABRIC_FAILED;
}

int fabric_library_resolve(void *handle, struct fabric_function *function, char *text) {
    if (function->abi == 1) {
        *(void **)&function->rfaas = dlsym(handle, function->name);
        if (function->rfaas)
            return FABRIC_OK;
    } else {
        char symbol[sizeof function->name + 32];
        snprintf(symbol, sizeof symbol, "sublet_function_%s", function->name);
        const sublet_descriptor *descriptor = dlsym(handle, symbol);
        if (descriptor && descriptor->abi > SUBLET_ABI) {
            snprintf(text, FABRIC_TEXT, "function %s wants version %u of sublet/function.h, this executor has %d",
                     function->name, descriptor->abi, SUBLET_ABI);
            return FABRIC_FAILED;
        }
        if (descriptor && descriptor->function) {
            function->function = descriptor->function;
            return FABRIC_OK;
        }
    }
    snprintf(text, FABRIC_TEXT, "function %s can not be resolved", function->name);
    return FABRIC_FAILED;
}
