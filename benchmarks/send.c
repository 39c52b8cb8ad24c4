/* send INTERFACE RATE FILE: send the frames of a pcap file on an interface, RATE per second.
 *
 * In bursts of BURST frames, each at its own moment: a sender that is late catches up by sending the next one at once.
 * Prints how many frames it has sent and in how many seconds.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { BURST = 32, FILE_HEADER = 24, RECORD_HEADER = 16 };

static void fail(const char *what) { perror(what), exit(1); }

static int64_t now_ns(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * INT64_C(1000000000) + time.tv_nsec;
}

static void wait_until(int64_t moment) {
    struct timespec time = {moment / INT64_C(1000000000), moment % INT64_C(1000000000)};
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &time, NULL))
        ;
}

static void send_all(int fd, struct mmsghdr *messages, unsigned count) {
    for (unsigned done = 0; done < count;) {
        int sent = sendmmsg(fd, messages + done, count - done, 0);
        if (sent <= 0)
            fail("sendmmsg");
        done += (unsigned)sent;
    }
}

int main(int argc, char **argv) {
    if (argc != 4)
        return fprintf(stderr, "usage: send INTERFACE RATE FILE\n"), 2;
    long rate = atol(argv[2]);
    int file = open(argv[3], O_RDONLY);
    struct stat status;
    if (rate < 1 || file < 0 || fstat(file, &status))
        fail(argv[3]);
    size_t size = (size_t)status.st_size;
    const uint8_t *data = mmap(NULL, size, PROT_READ, MAP_PRIVATE | MAP_POPULATE, file, 0);
    struct sockaddr_ll link = {.sll_family = AF_PACKET, .sll_ifindex = (int)if_nametoindex(argv[1])};
    int on = 1, fd = socket(AF_PACKET, SOCK_RAW, 0); /* protocol 0: it receives nothing */
    if (data == MAP_FAILED || fd < 0 || bind(fd, (struct sockaddr *)&link, sizeof link) ||
        setsockopt(fd, SOL_PACKET, PACKET_QDISC_BYPASS, &on, sizeof on))
        fail(argv[1]);

    struct mmsghdr messages[BURST] = {0};
    struct iovec parts[BURST];
    int64_t begun = now_ns();
    long sent = 0;
    unsigned count = 0;
    for (size_t at = FILE_HEADER; at + RECORD_HEADER <= size;) {
        uint32_t length;
        memcpy(&length, data + at + 8, 4);
        at += RECORD_HEADER;
        if (length > size - at)
            break;
        parts[count] = (struct iovec){(void *)(data + at), length};
        messages[count].msg_hdr.msg_iov = &parts[count];
        messages[count].msg_hdr.msg_iovlen = 1;
        at += length;
        if (++count < BURST && at + RECORD_HEADER <= size)
            continue;
        wait_until(begun + sent * INT64_C(1000000000) / rate);
        send_all(fd, messages, count);
        sent += count, count = 0;
    }
    printf("%ld %f\n", sent, (double)(now_ns() - begun) / 1e9);
    return 0;
}
