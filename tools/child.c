/* SPDX-License-Identifier: Apache-2.0 */
/* QEMU as a child that never outlives this program, whose signals and exit status are its own. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "tools/keel.h"

#define EXIT_NOT_STARTED 127

static const int forwarded[] = { SIGTERM, SIGINT, SIGHUP, SIGQUIT };

/* What QEMU changes on the terminal it is given, and leaves so when it is killed. */
struct terminal {
    bool saved;
    struct termios mode;
    int flags;
};

static void terminal_save(struct terminal *t)
{
    t->saved = tcgetattr(STDIN_FILENO, &t->mode) == 0;
    t->flags = fcntl(STDIN_FILENO, F_GETFL);
}

static void terminal_restore(const struct terminal *t)
{
    if (t->saved)
        tcsetattr(STDIN_FILENO, TCSANOW, &t->mode);
    if (t->flags >= 0)
        fcntl(STDIN_FILENO, F_SETFL, t->flags);
}

static void exec_child(char **argv, const sigset_t *mask, pid_t parent)
{
    /* SIGTERM, so that QEMU sets the terminal right even when this program is killed hard */
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != parent)
        _exit(EXIT_NOT_STARTED);
    sigprocmask(SIG_SETMASK, mask, NULL);
    execvp(argv[0], argv);
    complain("cannot run %s: %s", argv[0], strerror(errno));
    _exit(EXIT_NOT_STARTED);
}

/* Copies what is there to stderr. Goes on when that fails: a full pipe would stop QEMU. */
static bool copy_log(int log)
{
    char buf[4096];
    ssize_t n = read(log, buf, sizeof(buf));

    return n > 0 && (write_all(STDERR_FILENO, buf, (size_t)n) || errno != EPIPE);
}

/* QEMU's machine protocol (docs/interop/qmp-spec): a message a line. Events come after the greeting was answered. */
struct monitor {
    int fd;
    bool reset; /* the guest reset the machine */
    size_t used;
    char line[512];
};

#define QMP_ANSWER "{\"execute\": \"qmp_capabilities\"}\n"

static void monitor_line(struct monitor *m)
{
    if (strstr(m->line, "\"QMP\"") != NULL)
        (void)write_all(m->fd, QMP_ANSWER, strlen(QMP_ANSWER));
    if (strstr(m->line, "\"SHUTDOWN\"") != NULL && strstr(m->line, "guest-reset") != NULL)
        m->reset = true;
}

/* What of a line is too long is of no interest. */
static void monitor_read(struct monitor *m)
{
    char buf[512];
    ssize_t n = recv(m->fd, buf, sizeof(buf), MSG_DONTWAIT);

    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
        m->fd = -1;
    for (ssize_t i = 0; i < n; i++) {
        if (buf[i] == '\n') {
            m->line[m->used] = '\0';
            monitor_line(m);
            m->used = 0;
        } else if (m->used < sizeof(m->line) - 1) {
            m->line[m->used++] = buf[i];
        }
    }
}

/* One signal; true when it says that the child has ended. *sent: what was passed on. */
static bool take_signal(int signals, pid_t child, int *sent, int *status)
{
    struct signalfd_siginfo info;

    if (read(signals, &info, sizeof(info)) != (ssize_t)sizeof(info))
        return false;
    if (info.ssi_signo == SIGCHLD)
        return waitpid(child, status, WNOHANG) == child;
    /* who asks twice means it */
    kill(child, *sent != 0 ? SIGKILL : (int)info.ssi_signo);
    *sent = (int)info.ssi_signo;
    return false;
}

static int exit_status(int status, int sent)
{
    if (sent != 0)
        return 128 + sent; /* QEMU ends with 0 when told to end, which is no success here */
    if (WIFSIGNALED(status))
        return 128 + WTERMSIG(status);
    return WEXITSTATUS(status) == EXIT_NOT_STARTED ? EXIT_BAD_INPUT : WEXITSTATUS(status);
}

int child_run(char **argv, int log, int monitor)
{
    struct pollfd watch[3];
    struct monitor mon = { .fd = monitor };
    struct terminal terminal;
    sigset_t mask, before;
    pid_t parent = getpid();
    int status = 0;
    int sent = 0;
    pid_t child;

    sigemptyset(&mask);
    sigaddset(&mask, SIGCHLD);
    for (u32 i = 0; i < ARRAY_SIZE(forwarded); i++)
        sigaddset(&mask, forwarded[i]);
    sigprocmask(SIG_BLOCK, &mask, &before);
    watch[0] = (struct pollfd){ .fd = signalfd(-1, &mask, SFD_CLOEXEC), .events = POLLIN };
    watch[1] = (struct pollfd){ .fd = log, .events = POLLIN };
    watch[2].events = POLLIN;
    terminal_save(&terminal);
    fflush(NULL);
    child = watch[0].fd >= 0 ? fork() : -1;
    if (child == 0)
        exec_child(argv, &before, parent);
    if (child < 0) {
        complain("cannot start %s: %s", argv[0], strerror(errno));
        return EXIT_BAD_INPUT;
    }
    for (;;) {
        watch[2].fd = mon.fd;
        if (poll(watch, ARRAY_SIZE(watch), -1) < 0 && errno != EINTR)
            break;
        if (watch[1].revents != 0)
            copy_log(log);
        if (watch[2].revents != 0)
            monitor_read(&mon);
        if ((watch[0].revents & POLLIN) && take_signal(watch[0].fd, child, &sent, &status))
            break;
    }
    terminal_restore(&terminal);
    /* what the pipe still holds; it has no end, as this program has its other side open too */
    if (log >= 0 && fcntl(log, F_SETFL, O_NONBLOCK) == 0) {
        while (copy_log(log))
            ;
    }
    if (mon.fd >= 0)
        monitor_read(&mon); /* the last words */
    status = exit_status(status, sent);
    return status == 0 && mon.reset ? EXIT_FAILURE : status;
}
