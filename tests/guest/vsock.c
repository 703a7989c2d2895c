/* SPDX-License-Identifier: Apache-2.0 */
/* Stream sockets between virtual machines. `vsock listen PORT` goes into the background once it listens, and writes what the
 * first to connect sends to stdout; `vsock sink PORT` does so and drops what any send, for ever; `vsock connect CID PORT`
 * sends stdin and then writes what comes back. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/vm_sockets.h>

static void check(int result, const char *what)
{
    if (result < 0) {
        perror(what);
        exit(1);
    }
}

static void copy(int from, int to)
{
    static char buf[65536];
    ssize_t n;

    while ((n = read(from, buf, sizeof(buf))) > 0)
        for (ssize_t done = 0, part; done < n; done += part) {
            part = write(to, buf + done, (size_t)(n - done));
            check(part <= 0 ? -1 : 0, "write");
        }
    check((int)n, "read");
}

/* In a process for each: one whose peer has gone without a word hears of nothing any more. */
static void drop_all(int s)
{
    static char buf[65536];
    int c;

    (void)signal(SIGCHLD, SIG_IGN);
    while ((c = accept(s, NULL, NULL)) >= 0) {
        if (fork() == 0) {
            while (read(c, buf, sizeof(buf)) > 0)
                ;
            exit(0);
        }
        (void)close(c);
    }
    check(c, "accept");
}

int main(int argc, char **argv)
{
    struct sockaddr_vm a = { .svm_family = AF_VSOCK, .svm_cid = VMADDR_CID_ANY };
    int s = socket(AF_VSOCK, SOCK_STREAM, 0), c;

    check(s, "socket");
    if (argc == 3 && (strcmp(argv[1], "listen") == 0 || strcmp(argv[1], "sink") == 0)) {
        a.svm_port = (unsigned)atoi(argv[2]);
        check(bind(s, (struct sockaddr *)&a, sizeof(a)), "bind");
        check(listen(s, 8), "listen");
        c = fork();
        check(c, "fork");
        if (c != 0)
            return 0;
        if (argv[1][0] == 's')
            drop_all(s);
        c = accept(s, NULL, NULL);
        check(c, "accept");
        copy(c, STDOUT_FILENO);
        return 0;
    }
    if (argc != 4 || strcmp(argv[1], "connect") != 0)
        return 2;
    a.svm_cid = (unsigned)strtoul(argv[2], NULL, 0);
    a.svm_port = (unsigned)atoi(argv[3]);
    check(connect(s, (struct sockaddr *)&a, sizeof(a)), "connect");
    copy(STDIN_FILENO, s);
    (void)shutdown(s, SHUT_WR); /* the other side may have hung up */
    copy(s, STDOUT_FILENO);
    return 0;
}
