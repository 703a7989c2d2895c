/* SPDX-License-Identifier: Apache-2.0 */
/* Stream sockets between virtual machines, for measuring: `sock listen PORT` serves one after the other who connects, as
 * the first byte says: t: sends each 64 bytes back, s: throws away what comes. `sock trip CID PORT N`: N times 64 bytes to
 * it and back. `sock send CID PORT N`: N writes of 64 KiB. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/vm_sockets.h>

#define TRIP 64
#define BLOCK 65536

static char buf[BLOCK];

static ssize_t check(ssize_t result, const char *what)
{
    if (result < 0) {
        perror(what);
        exit(1);
    }
    return result;
}

static void put(int s, size_t n)
{
    for (size_t done = 0; done < n;)
        done += (size_t)check(write(s, buf + done, n - done), "write");
}

/* False: the other side has hung up. */
static int get(int s, size_t n)
{
    for (size_t done = 0; done < n;) {
        ssize_t part = check(read(s, buf, n - done), "read");

        if (part == 0)
            return 0;
        done += (size_t)part;
    }
    return 1;
}

static void serve(int s)
{
    char what;

    if (check(read(s, &what, 1), "read") == 1 && what == 't')
        while (get(s, TRIP))
            put(s, TRIP);
    else
        while (check(read(s, buf, BLOCK), "read") > 0)
            ;
    close(s);
}

int main(int argc, char **argv)
{
    struct sockaddr_vm a = { .svm_family = AF_VSOCK, .svm_cid = VMADDR_CID_ANY };
    int s = (int)check(socket(AF_VSOCK, SOCK_STREAM, 0), "socket");

    if (argc == 3 && strcmp(argv[1], "listen") == 0) {
        a.svm_port = (unsigned)atoi(argv[2]);
        check(bind(s, (struct sockaddr *)&a, sizeof(a)), "bind");
        check(listen(s, 1), "listen");
        for (;;)
            serve((int)check(accept(s, NULL, NULL), "accept"));
    }
    if (argc != 5)
        return 2;
    a.svm_cid = (unsigned)atoi(argv[2]);
    a.svm_port = (unsigned)atoi(argv[3]);
    check(connect(s, (struct sockaddr *)&a, sizeof(a)), "connect");
    buf[0] = argv[1][0];
    put(s, 1);
    for (int i = 0; i < atoi(argv[4]); i++) {
        put(s, argv[1][0] == 't' ? TRIP : BLOCK);
        if (argv[1][0] == 't' && !get(s, TRIP))
            return 1;
    }
    check(shutdown(s, SHUT_WR), "shutdown");
    (void)get(s, 1); /* it has taken all */
    return 0;
}
