/* A HEP3 collector on UDP and TCP of one loopback port: it counts packets, bytes, broken messages and kernel drops.
 *
 * Prints its port and receive buffer, then works until SIGTERM, reads what is left, and prints its counts as JSON.
 * It reads on a timer: a collector that waits in poll() has the sender pay for waking it up.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { BATCH = 256, LARGEST = 65536, STREAM = 1 << 20, CONNECTIONS = 64, TICK_NS = 1000000 };
enum { UDP_BUFFER = 512 << 20, TCP_BUFFER = 32 << 20 };

struct stream {
    int fd, lost_track;
    size_t used;
    uint8_t *bytes;
};

static uint64_t packets, bytes, broken;
static struct stream streams[CONNECTIONS];
static volatile sig_atomic_t ending;

static void on_end(int number) { (void)number, ending = 1; }

static unsigned big16(const uint8_t *at) { return (unsigned)at[0] << 8 | at[1]; }

static long content_length(const uint8_t *line, const uint8_t *end) {
    while (line < end) {
        if (end - line > 15 && !strncasecmp((const char *)line, "Content-Length:", 15))
            return strtol((const char *)line + 15, NULL, 10);
        line = memchr(line, '\n', (size_t)(end - line));
        if (!line++)
            break;
    }
    return -1;
}

/* SIP by its first line, and a body as long as Content-Length says: cut or merged messages fail here. */
static int is_whole_sip(const uint8_t *data, size_t size) {
    const uint8_t *first_end = memchr(data, '\r', size), *blank = memmem(data, size, "\r\n\r\n", 4);
    if (!first_end || !blank || !memmem(data, (size_t)(first_end - data), "SIP/2.0", 7))
        return 0;
    return content_length(data, blank + 2) == (long)(data + size - (blank + 4));
}

static int is_whole(const uint8_t *data, size_t size) {
    if (size < 6 || memcmp(data, "HEP3", 4) || big16(data + 4) != size)
        return 0;
    int whole = 0;
    for (size_t at = 6; at < size;) {
        if (size - at < 6 || big16(data + at + 4) < 6 || big16(data + at + 4) > size - at)
            return 0;
        size_t length = big16(data + at + 4);
        if (big16(data + at) == 0 && big16(data + at + 2) == 15)
            whole = is_whole_sip(data + at + 6, length - 6);
        at += length;
    }
    return whole;
}

static void count(const uint8_t *data, size_t size) {
    packets++;
    bytes += size;
    broken += !is_whole(data, size);
}

static int drain_datagrams(int fd) {
    static uint8_t space[BATCH][LARGEST];
    static struct mmsghdr messages[BATCH];
    static struct iovec parts[BATCH];
    for (int i = 0; i < BATCH; i++) {
        parts[i] = (struct iovec){space[i], LARGEST};
        messages[i].msg_hdr = (struct msghdr){.msg_iov = &parts[i], .msg_iovlen = 1};
    }
    int got = recvmmsg(fd, messages, BATCH, MSG_DONTWAIT, NULL);
    for (int i = 0; i < got; i++)
        count(space[i], messages[i].msg_len);
    return got > 0;
}

static void cut(struct stream *stream) {
    size_t at = 0;
    while (stream->used - at >= 6) {
        size_t size = big16(stream->bytes + at + 4);
        if (memcmp(stream->bytes + at, "HEP3", 4) || size < 6) {
            stream->lost_track = 1;
            broken++;
            break;
        }
        if (stream->used - at < size)
            break;
        count(stream->bytes + at, size);
        at += size;
    }
    memmove(stream->bytes, stream->bytes + at, stream->used -= at);
}

static int drain_stream(struct stream *stream) {
    if (stream->lost_track)
        stream->used = 0;
    ssize_t got = recv(stream->fd, stream->bytes + stream->used, STREAM - stream->used, MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return 0;
    if (got <= 0) {
        broken += stream->used > 0 && !stream->lost_track;
        close(stream->fd);
        free(stream->bytes);
        stream->bytes = NULL;
        return 1;
    }
    stream->used += (size_t)got;
    if (!stream->lost_track)
        cut(stream);
    return 1;
}

static int drain(int udp, int listener) {
    int some = drain_datagrams(udp);
    for (int i = 0; i < CONNECTIONS; i++) {
        if (!streams[i].bytes) {
            int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
            if (fd < 0)
                continue;
            streams[i] = (struct stream){.fd = fd, .bytes = malloc(STREAM)};
        }
        some |= drain_stream(&streams[i]);
    }
    return some;
}

/* As root as large as requested, otherwise as large as the system allows. Returns the actual size. */
static int widen(int fd, int size) {
    socklen_t length = sizeof size;
    if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size))
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
    getsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, &length);
    return size;
}

static int open_both(int *udp, int *listener) {
    for (int attempt = 0; attempt < 100; attempt++) {
        struct sockaddr_in here = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        socklen_t length = sizeof here;
        *udp = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
        *listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        widen(*listener, TCP_BUFFER);
        if (!bind(*udp, (void *)&here, sizeof here) && !getsockname(*udp, (void *)&here, &length) &&
            !bind(*listener, (void *)&here, sizeof here) && !listen(*listener, CONNECTIONS))
            return ntohs(here.sin_port);
        close(*udp);
        close(*listener);
    }
    perror("sink");
    exit(1);
}

int main(void) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    signal(SIGTERM, on_end);
    signal(SIGINT, SIG_IGN);
    int udp, listener, port = open_both(&udp, &listener);
    printf("%d %d\n", port, widen(udp, UDP_BUFFER));
    fflush(stdout);
    while (!ending) {
        while (drain(udp, listener))
            ;
        nanosleep(&(struct timespec){.tv_nsec = TICK_NS}, NULL);
    }
    while (drain(udp, listener))
        ;
    uint32_t memory[SK_MEMINFO_VARS] = {0};
    socklen_t length = sizeof memory;
    getsockopt(udp, SOL_SOCKET, SO_MEMINFO, memory, &length);
    printf("{\"packets\": %lu, \"bytes\": %lu, \"broken\": %lu, \"dropped\": %u}\n", packets, bytes, broken,
           memory[SK_MEMINFO_DROPS]);
    return 0;
}
