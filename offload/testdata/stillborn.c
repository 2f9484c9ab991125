// A function library that ends its executor before that can be called.
#include <stdint.h>
#include <stdlib.h>

__attribute__((constructor)) static void end(void) { abort(); }

uint32_t never(void *args, uint32_t size, void *res) {
    (void)args, (void)size, (void)res;
    return 0;
}
