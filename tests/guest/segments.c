/* SPDX-License-Identifier: Apache-2.0 */
/* UDP in large pieces, which the kernel or the device cuts (UDP_SEGMENT), to who looks at each byte.
 * `segments send ADDRESS PORT SIZE COUNT`: COUNT datagrams of SIZE bytes, and a last one of one byte less, in as large pieces as
 * UDP_SEGMENT takes; each piece is answered before the next is sent. `segments receive PORT`: for good. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#define UDP_SEGMENT 103
#define PIECE_SIZE 60000U
#define SEGMENTS_MAX 64U /* of one piece */
#define HEADER_SIZE 12U

static unsigned char data[65536];

static void fail(const char *what)
{
    perror(what);
    exit(1);
}

/* A datagram: its number, its length, the number after which an answer is wanted; then bytes made of its number. */
static void fill(unsigned char *p, uint32_t number, uint32_t size, uint32_t last)
{
    uint32_t header[3] = { htonl(number), htonl(size), htonl(last) }, x = number * 2654435761U + 1;

    memcpy(p, header, sizeof(header));
    for (uint32_t i = HEADER_SIZE; i < size; i++) {
        x = x * 1664525U + 1013904223U;
        p[i] = (unsigned char)(x >> 24);
    }
}

static void receive(int port)
{
    static unsigned char right[sizeof(data)];
    struct sockaddr_in6 at = { .sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port) }, from;
    int s = socket(AF_INET6, SOCK_DGRAM, 0), off = 0;
    uint32_t header[3], next = 0;

    if (s < 0 || setsockopt(s, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off)) != 0 ||
        bind(s, (struct sockaddr *)&at, sizeof(at)) != 0)
        fail("receive");
    for (;;) {
        socklen_t from_size = sizeof(from);
        ssize_t n = recvfrom(s, data, sizeof(data), 0, (struct sockaddr *)&from, &from_size);

        if (n < (ssize_t)HEADER_SIZE)
            fail("recvfrom");
        memcpy(header, data, sizeof(header));
        next = ntohl(header[0]) == 0 ? 0 : next;
        fill(right, next, (uint32_t)n, ntohl(header[2]));
        if (ntohl(header[1]) != n || memcmp(data, right, (size_t)n) != 0) {
            fprintf(stderr, "datagram %u is wrong\n", next);
            exit(1);
        }
        if (next++ == ntohl(header[2]) &&
            sendto(s, header, sizeof(header), 0, (struct sockaddr *)&from, from_size) < 0)
            fail("sendto");
    }
}

static int reach(const char *address, int port)
{
    struct sockaddr_in6 to6 = { .sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port) };
    struct sockaddr_in to4 = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
    struct timeval limit = { .tv_sec = 10 };
    int s;

    if (inet_pton(AF_INET, address, &to4.sin_addr) == 1) {
        s = socket(AF_INET, SOCK_DGRAM, 0);
        if (connect(s, (struct sockaddr *)&to4, sizeof(to4)) != 0)
            fail(address);
    } else {
        s = socket(AF_INET6, SOCK_DGRAM, 0);
        if (inet_pton(AF_INET6, address, &to6.sin6_addr) != 1 ||
            connect(s, (struct sockaddr *)&to6, sizeof(to6)) != 0)
            fail(address);
    }
    setsockopt(s, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    return s;
}

int main(int argc, char **argv)
{
    uint32_t size, count, each, answer[3];
    int s, segment;

    if (argc == 3 && strcmp(argv[1], "receive") == 0)
        receive(atoi(argv[2]));
    if (argc != 6 || strcmp(argv[1], "send") != 0)
        return 2;
    size = (uint32_t)atoi(argv[4]);
    count = (uint32_t)atoi(argv[5]);
    if (size <= HEADER_SIZE || size > PIECE_SIZE)
        return 2;
    each = PIECE_SIZE / size < SEGMENTS_MAX ? PIECE_SIZE / size : SEGMENTS_MAX;
    s = reach(argv[2], atoi(argv[3]));
    segment = (int)size;
    if (setsockopt(s, IPPROTO_UDP, UDP_SEGMENT, &segment, sizeof(segment)) != 0)
        fail("UDP_SEGMENT");
    for (uint32_t done = 0; done < count; done += each) {
        uint32_t n = count - done < each ? count - done : each, last = done + n - 1, bytes = 0;

        for (uint32_t i = 0; i < n; i++) {
            uint32_t len = size - (done + i == count - 1);

            fill(data + bytes, done + i, len, last);
            bytes += len;
        }
        if (send(s, data, bytes, 0) != (ssize_t)bytes)
            fail("send");
        if (recv(s, answer, sizeof(answer), 0) != sizeof(answer) || ntohl(answer[0]) != last)
            fail("no answer");
    }
    printf("%u datagrams answered\n", count);
    return 0;
}
