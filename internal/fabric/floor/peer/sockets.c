/* The executor's ends of the floors over sockets: they block, as what they stand for does. */
#define _GNU_SOURCE
#include "sockets.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../floor.h"

enum { HEADER = 4096 };

/* Bytes read, 0 at the peer's end, negative with errno. */
static ssize_t some(int descriptor, void *to, size_t size) {
    ssize_t count;
    do
        count = read(descriptor, to, size);
    while (count < 0 && errno == EINTR);
    return count;
}

/* 1 if all has come, 0 at the end, negative with errno. */
static int all(int descriptor, uint8_t *to, uint64_t size) {
    while (size) {
        ssize_t count = some(descriptor, to, size);
        if (count <= 0)
            return (int)count;
        to += count;
        size -= (uint64_t)count;
    }
    return 1;
}

static int give(int descriptor, const uint8_t *from, uint64_t size) {
    while (size) {
        ssize_t count = send(descriptor, from, size, MSG_NOSIGNAL);
        if (count < 0 && errno != EINTR)
            return -1;
        if (count > 0) {
            from += count;
            size -= (uint64_t)count;
        }
    }
    return 0;
}

static int failed(char *text, const char *step) {
    snprintf(text, FLOOR_TEXT, "the executor's end of a socket: %s: %m", step);
    return FLOOR_FAILED;
}

int socket_echo(int descriptor, uint64_t size, char *text) {
    uint8_t *buffer = malloc(size ? size : 1);
    if (!buffer)
        return failed(text, "malloc");
    int came;
    while ((came = all(descriptor, buffer, size)) > 0)
        if (give(descriptor, buffer, size) < 0) {
            came = -1;
            break;
        }
    int result = came < 0 && errno != ECONNRESET ? failed(text, "read or write") : FLOOR_OK;
    free(buffer);
    return result;
}

/* Reads a request's header, and the part of the body that came with it. 0 at the end. */
static ssize_t header(int descriptor, char *buffer, size_t *end) {
    size_t length = 0;
    for (;;) {
        ssize_t count = some(descriptor, buffer + length, HEADER - 1 - length);
        if (count <= 0)
            return count;
        length += (size_t)count;
        buffer[length] = 0;
        const char *blank = strstr(buffer, "\r\n\r\n");
        if (blank) {
            *end = (size_t)(blank - buffer) + 4;
            return (ssize_t)length;
        }
        if (length == HEADER - 1) {
            errno = EMSGSIZE;
            return -1;
        }
    }
}

int socket_http(int descriptor, uint64_t size, char *text) {
    uint8_t *answer = malloc(HEADER + size);
    char *buffer = malloc(HEADER);
    ssize_t length = answer && buffer ? 1 : -1;
    while (length > 0) {
        size_t end = 0;
        length = header(descriptor, buffer, &end);
        if (length <= 0)
            break;
        int head = snprintf((char *)answer, HEADER, "HTTP/1.1 200 OK\r\nContent-Length: %llu\r\n\r\n", (unsigned long long)size);
        uint64_t here = (uint64_t)length - end;
        if (here > size)
            here = size;
        memcpy(answer + head, buffer + end, here);
        if (here < size && all(descriptor, answer + head + here, size - here) <= 0)
            length = -1;
        else if (give(descriptor, answer, (uint64_t)head + size) < 0)
            length = -1;
    }
    int result = length < 0 && errno != ECONNRESET ? failed(text, "a request") : FLOOR_OK;
    free(answer);
    free(buffer);
    return result;
}

int socket_serve(uint16_t port, uint64_t size, int (*serve)(int, uint64_t, char *), char *text) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
    int descriptor = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;
    if (descriptor < 0)
        return failed(text, "socket");
    int result;
    if (connect(descriptor, (struct sockaddr *)&address, sizeof address) < 0)
        result = failed(text, "connect");
    else {
        setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        result = serve(descriptor, size, text);
    }
    close(descriptor);
    return result;
}
