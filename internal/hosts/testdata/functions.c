// Functions of rFaaS's kind for the tests of several hosts.
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

uint32_t echo(void *args, uint32_t size, void *res)
{
    memcpy(res, args, size);
    return size;
}

uint32_t hang(void *args, uint32_t size, void *res)
{
    (void)args, (void)size, (void)res;
    for (;;)
        pause();
}

uint32_t crash(void *args, uint32_t size, void *res)
{
    (void)args, (void)size, (void)res;
    raise(SIGSEGV);
    return 0;
}

uint32_t slow_echo(void *args, uint32_t size, void *res)
{
    usleep(500000);
    return echo(args, size, res);
}
