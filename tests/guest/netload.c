/* SPDX-License-Identifier: Apache-2.0 */
/* Network load for measuring: netload send|burst|trip|tcp ADDRESS PORT COUNT. UDP packets of 18 bytes: COUNT sent; COUNT
 * received, in bursts of 32 that each are asked for; COUNT round trips. TCP: COUNT writes of 64 KiB. */
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

int main(int argc, char **argv)
{
    struct sockaddr_in to = { .sin_family = AF_INET };
    struct timeval limit = { .tv_sec = 5 };
    int tcp = argc == 5 && strcmp(argv[1], "tcp") == 0;
    int count, s;

    if (argc != 5) {
        fprintf(stderr, "usage: netload send|burst|trip|tcp ADDRESS PORT COUNT\n");
        return 2;
    }
    count = atoi(argv[4]);
    to.sin_port = htons((unsigned short)atoi(argv[3]));
    s = socket(AF_INET, tcp ? SOCK_STREAM : SOCK_DGRAM, 0);
    if (s < 0 || inet_aton(argv[2], &to.sin_addr) == 0 || connect(s, (struct sockaddr *)&to, sizeof(to)) != 0)
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
