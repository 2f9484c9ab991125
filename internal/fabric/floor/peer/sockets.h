/* The executor's ends of the floors over sockets. */
#ifndef SUBLET_FLOOR_SOCKETS_H
#define SUBLET_FLOOR_SOCKETS_H

#include <stdint.h>

int socket_echo(int descriptor, uint64_t size, char *text);
int socket_http(int descriptor, uint64_t size, char *text);
int socket_serve(uint16_t port, uint64_t size, int (*serve)(int, uint64_t, char *), char *text);

#endif
