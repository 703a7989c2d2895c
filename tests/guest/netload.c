/* SPDX-License-Identifier: Apache-2.0 */
/* Network load for measuring: netload send|burst|trip|tcp ADDRESS PORT COUNT. UDP packets of 18 bytes: COUNT sent; COUNT
 * received, in bursts of 32 that each are asked for; COUNT round trips. TCP: COUNT writes of 64 KiB. `peer` is the other
 * end of all of them, for good. */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#define PAYLOAD 18
#define BURST 32
#define WRITE_SIZE 65536

static char data[WRITE_SIZE];

static void fail(const char *what)
{
    perror(what);
    exit(1);
}

static void send_one(int s)
{
    if (send(s, data, PAYLOAD, 0) != PAYLOAD)
        fail("send");
}

/* What got lost on the way is not waited for. */
static void receive(int s, int count)
{
    char buf[64];

    for (int i = 0; i < count; i++)
        if (recv(s, buf, sizeof(buf), 0) < 0)
            fail("recv");
}

static void peer(const struct sockaddr_in *at)
{
    int u = socket(AF_INET, SOCK_DGRAM, 0), t = socket(AF_INET, SOCK_STREAM, 0), c;
    struct sockaddr_in from;
    socklen_t size = sizeof(from);
    char buf[64];
    ssize_t n;

    if (bind(u, (const struct sockaddr *)at, sizeof(*at)) != 0 ||
        bind(t, (const struct sockaddr *)at, sizeof(*at)) != 0 || listen(t, 1) != 0)
        fail("peer");
    if (fork() == 0)
        while ((c = accept(t, NULL, NULL)) >= 0) {
            while (read(c, data, sizeof(data)) > 0)
                ;
            close(c);
        }
    while ((n = recvfrom(u, buf, sizeof(buf), 0, (struct sockaddr *)&from, &size)) > 0)
        for (int i = buf[0] == 'b' ? BURST : buf[0] == 't'; i > 0; i--)
            sendto(u, buf, (size_t)n, 0, (struct sockaddr *)&from, size);
    fail("peer");
}

int main(int argc, char **argv)
{
    struct sockaddr_in to = { .sin_family = AF_INET };
    struct timeval limit = { .tv_sec = 5 };
    int tcp = argc == 5 && strcmp(argv[1], "tcp") == 0;
    int count, s;

    if (argc != 5) {
        fprintf(stderr, "usage: netload send|burst|trip|tcp|peer ADDRESS PORT COUNT\n");
        return 2;
    }
    count = atoi(argv[4]);
    to.sin_port = htons((unsigned short)atoi(argv[3]));
    if (inet_aton(argv[2], &to.sin_addr) != 0 && strcmp(argv[1], "peer") == 0)
        peer(&to);
    s = socket(AF_INET, tcp ? SOCK_STREAM : SOCK_DGRAM, 0);
    if (s < 0 || to.sin_addr.s_addr == 0 || connect(s, (struct sockaddr *)&to, sizeof(to)) != 0)
        fail(argv[2]);
    setsockopt(s, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    strcpy(data, argv[1]);
    for (int i = 0; i < count; i += strcmp(argv[1], "burst") == 0 ? BURST : 1) {
        if (tcp) {
            for (int done = 0, n; done < WRITE_SIZE; done += n) {
                n = (int)write(s, data, (size_t)(WRITE_SIZE - done));
                if (n <= 0)
                    fail("write");
            }
            continue;
        }
        send_one(s);
        if (strcmp(argv[1], "burst") == 0)
            receive(s, BURST);
        else if (strcmp(argv[1], "trip") == 0)
            receive(s, 1);
    }
    return 0;
}
