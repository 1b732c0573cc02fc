/* SMTP load generator: epoll, one thread, closed loop, or open with a RATE. Loopback only.
 *
 *   load PORT SESSIONS PER_SESSION COUNT RECIPIENT LOGFILE [RATE] < list-of-files
 *
 * With RATE, messages in a second, each is due at its time, and its latency is counted from then on: also the time that
 * it waits for a session, of which there have to be enough.
 *
 * Message i is file i modulo the list, sent with the header field "X-Bench: i". The log has one line for each
 * final answer: "i code seconds-from-MAIL-to-answer seconds-since-start". A connection that is lost sends its
 * message again in a new one, as a real client does; such a message may rightly arrive twice and is logged as
 * "i resent". Prints "answered seconds cpu-seconds".
 * SIGTERM ends the load early: messages in work are finished first.
 */
#include "common.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

enum { GREETING, EHLO, IDLE, ENVELOPE, BODY, QUIT };

struct file {
    unsigned char *data; /* dot-stuffed, with the final dot */
    size_t len;
};

struct session {
    int fd, state, replies, wanted, sent_in_connection;
    long message; /* -1: none */
    int failed, resend;
    double started;
    unsigned char in[8192];
    size_t in_len;
    struct buffer out;
    size_t out_off;
    uint32_t events;
};

static struct file *files;
static long file_count, count, next_message, answered, per_session, connect_failures;
static int port, epoll_fd;
static const char *recipient;
static FILE *record;
static double start, rate;
static volatile sig_atomic_t enough;

static void stop(int signal_number)
{
    (void)signal_number;
    enough = 1;
}

static void load_files(void)
{
    char path[4096];
    long room = 0;
    while (fgets(path, sizeof path, stdin)) {
        path[strcspn(path, "\n")] = 0;
        FILE *f = fopen(path, "rb");
        if (!f) {
            perror(path);
            exit(1);
        }
        struct buffer b = {0};
        int c, at_start = 1, prev = 0;
        while ((c = getc_unlocked(f)) != EOF) {
            need(&b, 2);
            if (at_start && c == '.')
                b.data[b.len++] = '.';
            b.data[b.len++] = (unsigned char)c;
            at_start = c == '\n' && prev == '\r';
            prev = c;
        }
        fclose(f);
        if (!at_start)
            put(&b, "\r\n", 2);
        put(&b, ".\r\n", 3);
        if (file_count == room) {
            room = room ? room * 2 : 64;
            files = realloc(files, (size_t)room * sizeof *files);
            if (!files)
                exit(1);
        }
        files[file_count++] = (struct file){b.data, b.len};
    }
    if (!file_count) {
        fputs("no files to send\n", stderr);
        exit(1);
    }
}

static void watch(struct session *s, uint32_t events)
{
    struct epoll_event e = {.events = events, .data.ptr = s};
    if (s->events != events)
        epoll_ctl(epoll_fd, s->events ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, s->fd, &e);
    s->events = events;
}

static void open_session(struct session *s)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    s->fd = socket(AF_INET, SOCK_STREAM, 0);
    int one = 1;
    setsockopt(s->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    s->events = 0;
    s->in_len = s->out.len = s->out_off = 0;
    s->state = GREETING;
    s->replies = 0;
    s->wanted = 1;
    s->sent_in_connection = 0;
    if (connect(s->fd, (struct sockaddr *)&to, sizeof to)) {
        close(s->fd);
        s->fd = -1;
        if (++connect_failures > 60000) { /* a minute of a gateway that is down */
            fputs("the gateway does not come back\n", stderr);
            exit(1);
        }
        return; /* tried again by the main loop */
    }
    connect_failures = 0;
    fcntl(s->fd, F_SETFL, O_NONBLOCK);
    watch(s, EPOLLIN);
}

static void flush_out(struct session *s)
{
    while (s->out_off < s->out.len) {
        ssize_t n = send(s->fd, s->out.data + s->out_off, s->out.len - s->out_off, MSG_NOSIGNAL);
        if (n < 0)
            break;
        s->out_off += (size_t)n;
    }
    if (s->out_off == s->out.len)
        s->out.len = s->out_off = 0;
    watch(s, s->out.len ? EPOLLIN | EPOLLOUT : EPOLLIN);
}

static void say(struct session *s, const char *text, int replies)
{
    put(&s->out, text, strlen(text));
    s->replies = 0;
    s->wanted = replies;
    flush_out(s);
}

static double due(long message)
{
    return start + (double)message / rate;
}

/* Sets the alarm for the next message. One that is due waits for no alarm, but for a session. */
static void wake_for_next(int alarm)
{
    double at = due(next_message);
    if (at <= now_s())
        return;
    struct itimerspec when = {.it_value = {(time_t)at, (long)((at - (double)(time_t)at) * 1e9)}};
    timerfd_settime(alarm, TFD_TIMER_ABSTIME, &when, NULL);
}

static void next(struct session *s)
{
    if (s->message < 0 && next_message < count) {
        if (rate && due(next_message) > now_s()) {
            s->state = IDLE;
            return;
        }
        s->message = next_message++;
        s->resend = 0;
    }
    if (s->message < 0 || (per_session && s->sent_in_connection == per_session)) {
        s->state = QUIT;
        say(s, "QUIT\r\n", 1);
        return;
    }
    char text[600];
    snprintf(text, sizeof text, "MAIL FROM:<sender%ld@bench.example>\r\nRCPT TO:<%s>\r\nDATA\r\n", s->message, recipient);
    s->state = ENVELOPE;
    s->failed = 0;
    if (!s->resend)
        s->started = rate ? due(s->message) : now_s();
    s->sent_in_connection++;
    say(s, text, 3);
}

static void lost(struct session *s)
{
    close(s->fd);
    s->fd = -1;
    if (s->message >= 0 && s->state == BODY) {
        fprintf(record, "%ld resent 0 0\n", s->message);
        s->resend = 1;
    }
}

static void answer(struct session *s, int code)
{
    double t = now_s();
    fprintf(record, "%ld %d %.6f %.6f\n", s->message, code, t - s->started, t - start);
    s->message = -1;
    answered++;
    next(s);
}

static void on_reply(struct session *s, int code)
{
    char text[64];
    switch (s->state) {
    case GREETING:
        if (code != 220) {
            lost(s);
            return;
        }
        s->state = EHLO;
        say(s, "EHLO load.bench.example\r\n", 1);
        return;
    case EHLO:
        next(s);
        return;
    case ENVELOPE:
        s->failed = code >= 400 && !s->failed ? code : s->failed;
        if (++s->replies < s->wanted)
            return;
        if (code == 354) {
            struct file *f = &files[s->message % file_count];
            s->state = BODY;
            snprintf(text, sizeof text, "X-Bench: %ld\r\n", s->message);
            put(&s->out, text, strlen(text));
            put(&s->out, f->data, f->len);
            flush_out(s);
        } else if (code == 421) {
            lost(s);
        } else {
            answer(s, s->failed);
        }
        return;
    case BODY:
        answer(s, code);
        return;
    default:
        close(s->fd);
        s->fd = -1;
        return;
    }
}

static void on_input(struct session *s)
{
    ssize_t n = recv(s->fd, s->in + s->in_len, sizeof s->in - s->in_len, 0);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        lost(s);
        return;
    }
    s->in_len += (size_t)n;
    size_t off = 0;
    unsigned char *end;
    while (s->fd >= 0 && (end = memchr(s->in + off, '\n', s->in_len - off))) {
        unsigned char *line = s->in + off;
        off = (size_t)(end - s->in) + 1;
        if (end - line >= 4 && line[3] != '-')
            on_reply(s, atoi((char *)line));
    }
    if (s->fd >= 0) {
        memmove(s->in, s->in + off, s->in_len - off);
        s->in_len -= off;
    }
}

int main(int argc, char **argv)
{
    if (argc != 7 && argc != 8) {
        fputs("usage: load PORT SESSIONS PER_SESSION COUNT RECIPIENT LOGFILE [RATE] < list\n", stderr);
        return 2;
    }
    port = atoi(argv[1]);
    int sessions = atoi(argv[2]);
    per_session = atol(argv[3]);
    count = atol(argv[4]);
    recipient = argv[5];
    record = fopen(argv[6], "w");
    rate = argc == 8 ? atof(argv[7]) : 0;
    if (!record || sessions < 1 || count < 1 || rate < 0)
        return 2;
    load_files();
    signal(SIGTERM, stop);
    epoll_fd = epoll_create1(0);
    int alarm = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
    struct epoll_event on_alarm = {.events = EPOLLIN, .data.ptr = NULL};
    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, alarm, &on_alarm);
    struct session *all = calloc((size_t)sessions, sizeof *all);
    start = now_s();
    for (int i = 0; i < sessions; i++) {
        all[i].message = -1;
        all[i].fd = -1;
    }
    while (answered < count) {
        if (enough && count > next_message)
            count = next_message;
        if (rate && next_message < count) {
            for (int i = 0; i < sessions && due(next_message) <= now_s(); i++)
                if (all[i].fd >= 0 && all[i].state == IDLE)
                    next(&all[i]);
            wake_for_next(alarm);
        }
        struct epoll_event events[64];
        int waiting = 0;
        for (int i = 0; i < sessions; i++)
            if (all[i].fd < 0 && (all[i].message >= 0 || next_message < count)) {
                open_session(&all[i]);
                waiting |= all[i].fd < 0;
            }
        int n = epoll_wait(epoll_fd, events, 64, waiting ? 1 : 1000);
        for (int i = 0; i < n; i++) {
            struct session *s = events[i].data.ptr;
            if (!s) {
                uint64_t expirations;
                (void)!read(alarm, &expirations, sizeof expirations);
                continue;
            }
            if (s->fd >= 0 && events[i].events & EPOLLOUT)
                flush_out(s);
            if (s->fd >= 0 && events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR))
                on_input(s);
        }
    }
    double end = now_s();
    fclose(record);
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    printf("%ld %.6f %.6f\n", answered, end - start,
           (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
               (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6);
    return 0;
}
