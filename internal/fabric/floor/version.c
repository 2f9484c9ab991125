/* The version of libfabric, of which only the headers' is known at compile time. */
#include <dlfcn.h>

#include "floor.h"

uint32_t floor_libfabric_version(void) {
    void *library = dlopen("libfabric.so.1", RTLD_NOW | RTLD_LOCAL);
    uint32_t (*version)(void) = library ? (uint32_t (*)(void))dlsym(library, "fi_version") : NULL;
    return version ? version() : 0;
}
