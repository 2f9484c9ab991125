/* Calls a function of a function library without an executor:
 * call LIBRARY FUNCTION BLOCK INPUT CAPACITY > OUTPUT
 * An empty BLOCK is no constant. When the function fails, it prints code and text to standard error
 * and exits with 3. */
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

#include <sublet/function.h>

static sublet_bytes contents(const char *path) {
    FILE *file = fopen(path, "rb");
    long size = -1;
    if (!file || fseek(file, 0, SEEK_END) || (size = ftell(file)) < 0 || fseek(file, 0, SEEK_SET)) {
        perror(path);
        exit(1);
    }
    void *data = aligned_alloc(64, size ? ((size_t)size + 63) / 64 * 64 : 64);
    if (!data || fread(data, 1, (size_t)size, file) != (size_t)size) {
        perror(path);
        exit(1);
    }
    fclose(file);
    return (sublet_bytes){data, (uint64_t)size};
}

int main(int argc, char **argv) {
    if (argc != 6)
        return 2;
    void *library = dlopen(argv[1], RTLD_NOW);
    char name[64];
    snprintf(name, sizeof name, "sublet_function_%s", argv[2]);
    const sublet_descriptor *descriptor = library ? dlsym(library, name) : NULL;
    if (!descriptor) {
        fprintf(stderr, "%s\n", dlerror());
        return 1;
    }
    sublet_bytes constant = contents(argv[3]), input = contents(argv[4]);
    char error[448] = "";
    sublet_call call = {
        .abi = SUBLET_ABI,
        .constant_count = constant.size > 0,
        .input = input.data,
        .input_size = input.size,
        .output_capacity = strtoull(argv[5], NULL, 10),
        .constants = &constant,
        .error = error,
        .error_capacity = sizeof error,
    };
    call.output = malloc(call.output_capacity);
    int32_t code = descriptor->function(&call);
    if (code != 0)
        fprintf(stderr, "%d %s\n", (int)code, error);
    else
        fwrite(call.output, 1, call.output_size, stdout);
    free(call.output);
    free((void *)(uintptr_t)constant.data);
    free((void *)(uintptr_t)input.data);
    return code ? 3 : fflush(stdout) != 0;
}
