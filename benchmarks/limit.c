/* limit tcp|udp PORT FILE: the physical limit, the cost of only sending the bytes.
 *
 * Maps a pcap file of Ethernet, IPv4 and UDP, and sends each packet to or from port 5060 to 127.0.0.1:PORT after a
 * fixed HEP3 header: over TCP in writes of 64 KiB, over UDP 64 datagrams per sendmmsg. It reads only lengths and
 * ports, checks nothing and keeps no books. Prints how many it has sent.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

enum { HEADER = 99, WRITE = 1 << 16, DATAGRAMS = 64, FILE_HEADER = 24, RECORD_HEADER = 16 };

static const uint8_t template[HEADER] = {
    'H', 'E', 'P', '3', 0, 0,
    0, 0, 0, 1, 0, 7, 2,                 /* IPv4 */
    0, 0, 0, 2, 0, 7, 17,                /* UDP */
    0, 0, 0, 3, 0, 10, 0, 0, 0, 0,       /* source address, at 26 */
    0, 0, 0, 4, 0, 10, 0, 0, 0, 0,       /* destination address, at 36 */
    0, 0, 0, 7, 0, 8, 0, 0,              /* source port, at 46 */
    0, 0, 0, 8, 0, 8, 0, 0,              /* destination port, at 54 */
    0, 0, 0, 9, 0, 10, 0, 0, 0, 0,       /* seconds, at 62 */
    0, 0, 0, 10, 0, 10, 0, 0, 0, 0,      /* microseconds, at 72 */
    0, 0, 0, 11, 0, 7, 1,                /* SIP */
    0, 0, 0, 12, 0, 10, 0, 0, 7, 210,    /* capture id */
    0, 0, 0, 15, 0, 0,                   /* payload, its length at 97 */
};

static void put16(uint8_t *to, unsigned value) { to[0] = (uint8_t)(value >> 8), to[1] = (uint8_t)value; }

static void put_header(uint8_t *to, const uint8_t *record, const uint8_t *ip, const uint8_t *udp, unsigned size) {
    uint32_t time[2];
    memcpy(time, record, 8);
    time[0] = htonl(time[0]), time[1] = htonl(time[1]);
    memcpy(to, template, HEADER);
    put16(to + 4, HEADER + size);
    memcpy(to + 26, ip + 12, 4);
    memcpy(to + 36, ip + 16, 4);
    memcpy(to + 46, udp, 2);
    memcpy(to + 54, udp + 2, 2);
    memcpy(to + 62, &time[0], 4);
    memcpy(to + 72, &time[1], 4);
    put16(to + 97, size + 6);
}

static void fail(const char *what) { perror(what), exit(1); }

static void write_all(int fd, const uint8_t *data, size_t size) {
    while (size) {
        ssize_t done = write(fd, data, size);
        if (done <= 0)
            fail("write");
        data += done, size -= (size_t)done;
    }
}

static uint8_t headers[DATAGRAMS][HEADER];
static struct iovec parts[DATAGRAMS][2];
static struct mmsghdr messages[DATAGRAMS];

static void send_all(int fd, int count) {
    for (int done = 0; done < count;) {
        int sent = sendmmsg(fd, messages + done, (unsigned)(count - done), 0);
        if (sent <= 0)
            fail("sendmmsg");
        done += sent;
    }
}

static uint64_t send_file(int fd, int is_tcp, const uint8_t *at, const uint8_t *end) {
    static uint8_t buffer[WRITE + HEADER + 65535];
    size_t used = 0;
    int waiting = 0;
    uint64_t sent = 0;
    for (uint32_t captured; end - at >= RECORD_HEADER; at += RECORD_HEADER + captured) {
        memcpy(&captured, at + 8, 4);
        const uint8_t *ip = at + RECORD_HEADER + 14, *udp = ip + 20, *payload = udp + 8;
        if (ntohs(*(const uint16_t *)udp) != 5060 && ntohs(*(const uint16_t *)(udp + 2)) != 5060)
            continue;
        unsigned size = captured - 42;
        sent++;
        if (is_tcp) {
            put_header(buffer + used, at, ip, udp, size);
            memcpy(buffer + used + HEADER, payload, size);
            used += HEADER + size;
            if (used >= WRITE)
                write_all(fd, buffer, used), used = 0;
        } else {
            put_header(headers[waiting], at, ip, udp, size);
            parts[waiting][0] = (struct iovec){headers[waiting], HEADER};
            parts[waiting][1] = (struct iovec){(void *)payload, size};
            messages[waiting].msg_hdr = (struct msghdr){.msg_iov = parts[waiting], .msg_iovlen = 2};
            if (++waiting == DATAGRAMS)
                send_all(fd, waiting), waiting = 0;
        }
    }
    write_all(fd, buffer, used);
    send_all(fd, waiting);
    return sent;
}

int main(int count, char **arguments) {
    if (count != 4)
        return fputs("usage: limit tcp|udp PORT FILE\n", stderr), 2;
    int is_tcp = !strcmp(arguments[1], "tcp"), file = open(arguments[3], O_RDONLY);
    struct stat status;
    if (file < 0 || fstat(file, &status) || status.st_size < FILE_HEADER)
        fail(arguments[3]);
    const uint8_t *start = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_PRIVATE | MAP_POPULATE, file, 0);
    struct sockaddr_in there = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(arguments[2])),
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, is_tcp ? SOCK_STREAM : SOCK_DGRAM, 0);
    if (start == MAP_FAILED || connect(fd, (void *)&there, sizeof there))
        fail("limit");
    printf("%lu\n", send_file(fd, is_tcp, start + FILE_HEADER, start + status.st_size));
    return 0;
}
