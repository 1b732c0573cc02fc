/* The next hop of the bench: epoll, one thread. Accepts everything, verifies nothing itself, writes down what came.
 *
 *   sink PORT LOGFILE
 *
 * One line for each message: "i crc32c size seconds", i from the first "X-Bench: i" field of the header section,
 * CRC-32C and size of everything behind that line (dot-unstuffed). -1: no such field. Ends at SIGTERM and then prints
 * its CPU seconds.
 */
#include "common.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

struct peer {
    int fd, data, bdat_last;
    size_t bdat_left, scanned;
    struct buffer in, message, out;
};

static volatile sig_atomic_t ended;
static FILE *record;
static int epoll_fd;

static void stop(int signal_number)
{
    (void)signal_number;
    ended = 1;
}

static void reply(struct peer *p, const char *text)
{
    put(&p->out, text, strlen(text));
}

/* The octets behind the X-Bench line, and its number. */
static void keep(struct peer *p)
{
    static const char name[] = "X-Bench: ";
    unsigned char *d = p->message.data, *end = d + p->message.len, *line = d;
    long id = -1;
    while (line < end) {
        unsigned char *lf = memchr(line, '\n', (size_t)(end - line));
        if (!lf || lf - line <= 1)
            break;
        if ((size_t)(lf - line) > sizeof name - 1 && !memcmp(line, name, sizeof name - 1)) {
            id = atol((char *)line + sizeof name - 1);
            line = lf + 1;
            break;
        }
        line = lf + 1;
    }
    if (id < 0)
        line = d;
    fprintf(record, "%ld %08x %zu %.6f\n", id, crc_add(0, line, (size_t)(end - line)), (size_t)(end - line), now_s());
    p->message.len = 0;
    reply(p, "250 2.0.0 taken\r\n");
}

static void command(struct peer *p, char *line)
{
    if (!strncasecmp(line, "EHLO", 4))
        reply(p, "250-sink\r\n250-PIPELINING\r\n250-8BITMIME\r\n250-SIZE 0\r\n250-SMTPUTF8\r\n250-CHUNKING\r\n"
                 "250 ENHANCEDSTATUSCODES\r\n");
    else if (!strncasecmp(line, "DATA", 4)) {
        p->data = 1;
        p->scanned = 0;
        reply(p, "354 go on\r\n");
    } else if (!strncasecmp(line, "BDAT ", 5)) {
        char *rest;
        p->bdat_left = strtoul(line + 5, &rest, 10);
        p->bdat_last = !strncasecmp(rest, " LAST", 5);
        if (!p->bdat_left && p->bdat_last)
            keep(p);
    } else if (!strncasecmp(line, "QUIT", 4)) {
        reply(p, "221 2.0.0 bye\r\n");
        p->data = -1;
    } else if (!strncasecmp(line, "MAIL", 4) || !strncasecmp(line, "RSET", 4)) {
        p->message.len = 0;
        reply(p, "250 2.0.0 ok\r\n");
    } else
        reply(p, "250 2.0.0 ok\r\n");
}

/* Copies the lines of a DATA section without stuffed dots. Returns the octets used, complete lines only. */
static size_t data_lines(struct peer *p, unsigned char *d, size_t n)
{
    size_t off = 0;
    unsigned char *lf;
    while (p->data == 1 && (lf = memchr(d + off, '\n', n - off))) {
        unsigned char *line = d + off;
        size_t len = (size_t)(lf - line) + 1;
        off += len;
        if (len == 3 && line[0] == '.' && line[1] == '\r') {
            p->data = 0;
            keep(p);
        } else
            put(&p->message, line + (line[0] == '.'), len - (line[0] == '.'));
    }
    return off;
}

static void consume(struct peer *p)
{
    size_t off = 0;
    for (;;) {
        unsigned char *d = p->in.data + off, *lf;
        size_t n = p->in.len - off;
        if (p->bdat_left) {
            size_t take = n < p->bdat_left ? n : p->bdat_left;
            put(&p->message, d, take);
            off += take;
            p->bdat_left -= take;
            if (p->bdat_left)
                break;
            if (p->bdat_last)
                keep(p);
            else
                reply(p, "250 2.0.0 more\r\n");
        } else if (p->data == 1) {
            size_t used = data_lines(p, d, n);
            off += used;
            if (p->data == 1)
                break;
        } else {
            if (!n || !(lf = memchr(d, '\n', n)))
                break;
            *lf = 0;
            off += (size_t)(lf - d) + 1;
            command(p, (char *)d);
        }
    }
    memmove(p->in.data, p->in.data + off, p->in.len - off);
    p->in.len -= off;
}

static void drop(struct peer *p)
{
    close(p->fd);
    free(p->in.data);
    free(p->message.data);
    free(p->out.data);
    free(p);
}

static void serve(struct peer *p)
{
    for (;;) {
        need(&p->in, 65536);
        ssize_t n = recv(p->fd, p->in.data + p->in.len, p->in.room - p->in.len, 0);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            break;
        if (n <= 0) {
            drop(p);
            return;
        }
        p->in.len += (size_t)n;
        consume(p);
        if (p->in.len < p->in.room && n < 65536)
            break;
    }
    if (p->out.len) { /* replies are short: a peer that does not read them is not served */
        if (send(p->fd, p->out.data, p->out.len, MSG_NOSIGNAL) < 0 || p->data < 0) {
            drop(p);
            return;
        }
        p->out.len = 0;
    }
}

int main(int argc, char **argv)
{
    if (argc != 3 || !(record = fopen(argv[2], "w"))) {
        fputs("usage: sink PORT LOGFILE\n", stderr);
        return 2;
    }
    crc_setup();
    signal(SIGTERM, stop);
    signal(SIGINT, stop);
    int one = 1, listener = socket(AF_INET, SOCK_STREAM, 0);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(argv[1]))};
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (bind(listener, (struct sockaddr *)&at, sizeof at) || listen(listener, 1024)) {
        perror("sink");
        return 1;
    }
    fcntl(listener, F_SETFL, O_NONBLOCK);
    epoll_fd = epoll_create1(0);
    struct epoll_event e = {.events = EPOLLIN};
    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, listener, &e);
    while (!ended) {
        struct epoll_event events[64];
        int n = epoll_wait(epoll_fd, events, 64, 1000);
        for (int i = 0; i < n; i++) {
            if (events[i].data.ptr) {
                serve(events[i].data.ptr);
                continue;
            }
            int fd;
            while ((fd = accept(listener, NULL, NULL)) >= 0) {
                struct peer *p = calloc(1, sizeof *p);
                p->fd = fd;
                fcntl(fd, F_SETFL, O_NONBLOCK);
                setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
                struct epoll_event one_event = {.events = EPOLLIN, .data.ptr = p};
                epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &one_event);
                reply(p, "220 sink ESMTP\r\n");
                if (send(fd, p->out.data, p->out.len, MSG_NOSIGNAL) < 0)
                    drop(p);
                else
                    p->out.len = 0;
            }
        }
        if (n < 64)
            fflush(record);
    }
    fclose(record);
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    printf("%.6f\n", (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
                         (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6);
    return 0;
}
