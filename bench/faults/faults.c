/* Preloaded into every process of a gateway: numbers the calls that change files, and fails or kills at one of them.

   What is to happen stands on a board, a file that the bench and all processes map (board.py has the same layout).
   Each of its slots can have a fault; the process that meets the call disarms it, so that it happens once, or as often
   as the slot says. The clock can be set in the same way, for all processes at once. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum role { OTHER, SUPERVISOR, RELAY, SCANNER, CONTROL, ROLES };
enum call { OPEN, WRITE, SYNC, RENAME, LINK, UNLINK, TRUNCATE, ALLOCATE, MKDIR, CHANNEL, CALLS };
enum place { NOWHERE, FAST, SLOW, HOLD, TMP, CORRUPT, JOURNAL, QUARANTINE, DEFINITIONS, PAGES, RUN, ROOT, SOCKET, PLACES };
enum act { NOTHING, KILL_BEFORE, KILL_AFTER, SHORT, TORN, FAIL };

enum { SLOTS = 8, STARTS = 256 };

struct slot {
    _Atomic uint32_t armed; /* an act */
    uint32_t role, call, place, error;
    _Atomic int32_t skip;  /* so many calls pass first */
    _Atomic int32_t times; /* so often it happens, for SHORT and FAIL */
    _Atomic uint32_t happened;
    _Atomic uint64_t first_ns, when_ns; /* monotonic, of the first and the last one */
};

struct board {
    struct slot slots[SLOTS];
    _Atomic int64_t clock_ns; /* added to the time of day */
    _Atomic uint32_t counts[ROLES][CALLS][PLACES];
    _Atomic uint32_t started; /* relays; the last ones at these times, monotonic */
    _Atomic uint64_t starts_ns[STARTS];
};

static struct board *board;
static char root[512];
static size_t root_len;
static enum role role;

#define REAL(name) ((__typeof__(&name))real(&real_##name, #name))
static void *real(void **kept, const char *name) {
    if (!*kept)
        *kept = dlsym(RTLD_NEXT, name);
    return *kept;
}

static uint64_t monotonic(void) {
    struct timespec now;
    syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static long raw(long number, long a, long b, long c) {
    long result;
    __asm__ volatile("syscall" : "=a"(result) : "0"(number), "D"(a), "S"(b), "d"(c) : "rcx", "r11", "memory");
    return result;
}

__attribute__((constructor)) static void begin(void) {
    const char *path = getenv("MAILWARD_FAULTS"), *where = getenv("MAILWARD_FAULTS_ROOT");
    if (!path || !where)
        return;
    long fd = syscall(SYS_open, path, O_RDWR | O_CLOEXEC, 0);
    if (fd < 0)
        return;
    void *mapped = mmap(NULL, sizeof *board, PROT_READ | PROT_WRITE, MAP_SHARED, (int)fd, 0);
    syscall(SYS_close, fd);
    if (mapped == MAP_FAILED)
        return;
    root_len = strlen(where);
    strncpy(root, where, sizeof root - 1);
    board = mapped;
}

/* What a process of the nursery is from now on; lists of processes show it, too. */
void faults_become(enum role is) {
    static const char *names[ROLES] = {"other", "supervisor", "relay", "scanner", "control"};
    role = is;
    if (board && is == RELAY)
        board->starts_ns[atomic_fetch_add(&board->started, 1) % STARTS] = monotonic();
    raw(SYS_prctl, PR_SET_NAME, (long)names[is], 0);
}

/* --- where ----------------------------------------------------------------------------------------- */

static enum place place_of(const char *path) {
    static const struct {
        const char *prefix;
        enum place place;
    } known[] = {
        {"/queue/fast", FAST}, {"/queue/slow", SLOW}, {"/queue/hold", HOLD}, {"/queue/tmp", TMP},
        {"/queue/corrupt", CORRUPT}, {"/log/journal", JOURNAL}, {"/quarantine", QUARANTINE},
        {"/definitions", DEFINITIONS}, {"/control", PAGES}, {"/run", RUN}, {"", ROOT},
    };
    if (strncmp(path, root, root_len) != 0)
        return NOWHERE;
    for (size_t index = 0;; index++)
        if (!strncmp(path + root_len, known[index].prefix, strlen(known[index].prefix)))
            return known[index].place;
}

static enum place place_of_fd(int fd) {
    char link[40] = "/proc/self/fd/", digits[12], path[1024];
    int count = 0;
    if (role == SCANNER) /* its sandbox lets it ask nothing */
        return SOCKET;
    for (unsigned rest = (unsigned)fd; count == 0 || rest; rest /= 10)
        digits[count++] = (char)('0' + rest % 10);
    for (size_t at = strlen(link); count; at++)
        link[at] = digits[--count];
    long length = raw(SYS_readlink, (long)link, (long)path, sizeof path - 1);
    if (length <= 0)
        return NOWHERE;
    path[length] = 0;
    return place_of(path);
}

/* --- what happens ---------------------------------------------------------------------------------- */

static void die(void) {
    raw(SYS_kill, raw(SYS_getpid, 0, 0, 0), SIGKILL, 0);
    __builtin_trap(); /* a scanner may signal nobody */
}

struct met {
    enum act act;
    int error;
};

static enum act meet_one(struct slot *slot, enum call call, enum place place) {
    enum act act = atomic_load(&slot->armed);
    if (!act || slot->role != role || slot->call != call || slot->place != place)
        return NOTHING;
    if (atomic_fetch_sub(&slot->skip, 1) > 0)
        return NOTHING;
    int left = atomic_fetch_sub(&slot->times, 1);
    if (left <= 0)
        return NOTHING;
    if (left == 1)
        slot->armed = NOTHING;
    if (role != SCANNER) {
        uint64_t never = 0, now = monotonic();
        atomic_compare_exchange_strong(&slot->first_ns, &never, now);
        slot->when_ns = now;
    }
    slot->happened++;
    if (act == KILL_BEFORE)
        die();
    return act;
}

/* Counts the call. Returns what is to be done at it: NOTHING, nearly always. */
static struct met meet(enum call call, enum place place) {
    if (!board || !role || place == NOWHERE)
        return (struct met){NOTHING, 0};
    board->counts[role][call][place]++;
    for (int index = 0; index < SLOTS; index++) {
        enum act act = meet_one(board->slots + index, call, place);
        if (act)
            return (struct met){act, (int)board->slots[index].error};
    }
    return (struct met){NOTHING, 0};
}

static long end(enum act act, long result) {
    if (act == KILL_AFTER || act == TORN)
        die();
    return result;
}

#define MEET(call, place)                                                                                              \
    int saved = errno;                                                                                                 \
    struct met met = meet(call, place);                                                                                \
    enum act act = met.act;                                                                                            \
    errno = saved;                                                                                                     \
    if (act == FAIL) {                                                                                                 \
        errno = met.error;                                                                                             \
        return -1;                                                                                                     \
    }

/* --- files ----------------------------------------------------------------------------------------- */

#define OPENING(name)                                                                                                  \
    static void *real_##name;                                                                                          \
    int name(const char *path, int flags, ...) {                                                                       \
        va_list rest;                                                                                                  \
        va_start(rest, flags);                                                                                         \
        unsigned mode = flags & (O_CREAT | __O_TMPFILE) ? va_arg(rest, unsigned) : 0;                                  \
        va_end(rest);                                                                                                  \
        MEET(OPEN, place_of(path))                                                                                     \
        return (int)end(act, REAL(name)(path, flags, mode));                                                           \
    }
OPENING(open)
OPENING(open64)

#define ON_PATH(call, name, declared, given)                                                                           \
    static void *real_##name;                                                                                          \
    int name declared {                                                                                                \
        MEET(call, place_of(path))                                                                                     \
        return (int)end(act, REAL(name) given);                                                                        \
    }
ON_PATH(RENAME, rename, (const char *old, const char *path), (old, path))
ON_PATH(LINK, link, (const char *old, const char *path), (old, path))
ON_PATH(UNLINK, unlink, (const char *path), (path))
ON_PATH(MKDIR, mkdir, (const char *path, mode_t mode), (path, mode))

#define ON_FD(call, name, declared, given)                                                                             \
    static void *real_##name;                                                                                          \
    int name declared {                                                                                                \
        MEET(call, place_of_fd(fd))                                                                                    \
        return (int)end(act, REAL(name) given);                                                                        \
    }
ON_FD(SYNC, fsync, (int fd), (fd))
ON_FD(SYNC, fdatasync, (int fd), (fd))
ON_FD(TRUNCATE, ftruncate, (int fd, off_t length), (fd, length))
ON_FD(TRUNCATE, ftruncate64, (int fd, off64_t length), (fd, length))

#define ALLOCATING(name, offset_type)                                                                                  \
    static void *real_##name;                                                                                          \
    int name(int fd, offset_type from, offset_type length) {                                                           \
        struct met met = meet(ALLOCATE, place_of_fd(fd));                                                              \
        if (met.act == FAIL)                                                                                           \
            return met.error;                                                                                          \
        return (int)end(met.act, REAL(name)(fd, from, length));                                                            \
    }
ALLOCATING(posix_fallocate, off_t)
ALLOCATING(posix_fallocate64, off64_t)

#define WRITING(name, declared, given, whole, halved)                                                                  \
    static void *real_##name;                                                                                          \
    ssize_t name declared {                                                                                            \
        MEET(WRITE, place_of_fd(fd))                                                                                   \
        if ((act == SHORT || act == TORN) && (whole) > 1)                                                              \
            return end(act, halved);                                                                                   \
        return end(act, REAL(name) given);                                                                             \
    }
WRITING(write, (int fd, const void *from, size_t length), (fd, from, length), length,
        REAL(write)(fd, from, length / 2))
WRITING(pwrite64, (int fd, const void *from, size_t length, off64_t at), (fd, from, length, at), length,
        REAL(pwrite64)(fd, from, length / 2, at))

static size_t first_of(const struct iovec *parts, int count) {
    for (int index = 0; index < count; index++)
        if (parts[index].iov_len > 1)
            return (size_t)index + 1;
    return 0;
}

/* Of several parts: those before the first long one, and half of that. */
static ssize_t half_of(int fd, const struct iovec *parts, int count, off64_t at) {
    struct iovec fewer[1024];
    size_t last = first_of(parts, count);
    memcpy(fewer, parts, last * sizeof *parts);
    fewer[last - 1].iov_len /= 2;
    return syscall(SYS_pwritev, fd, fewer, last, at, 0);
}

#define SCATTERED(name, offset_type, extra, extra_given)                                                               \
    static void *real_##name;                                                                                          \
    ssize_t name(int fd, const struct iovec *parts, int count, offset_type at extra) {                                 \
        MEET(WRITE, place_of_fd(fd))                                                                                   \
        if ((act == SHORT || act == TORN) && first_of(parts, count))                                                   \
            return end(act, half_of(fd, parts, count, at));                                                            \
        return end(act, REAL(name)(fd, parts, count, at extra_given));                                                 \
    }
#define FLAGS , int flags
#define GIVEN , flags
#define NONE
SCATTERED(pwritev64, off64_t, NONE, NONE)
SCATTERED(pwritev64v2, off64_t, FLAGS, GIVEN)

/* --- the channel between relay and scanner ----------------------------------------------------------- */

static void *real_sendmsg, *real_recvmsg;

ssize_t sendmsg(int fd, const struct msghdr *message, int flags) {
    enum act act = role == SCANNER ? meet(CHANNEL, SOCKET).act : NOTHING;
    return end(act, REAL(sendmsg)(fd, message, flags));
}

ssize_t recvmsg(int fd, struct msghdr *message, int flags) {
    enum act act = role == SCANNER ? meet(CHANNEL, SOCKET).act : NOTHING;
    return end(act, REAL(recvmsg)(fd, message, flags));
}

/* --- processes --------------------------------------------------------------------------------------- */

/* Scanners are forked by the bare call: so a new one is known. */
long syscall(long number, ...) {
    va_list rest;
    va_start(rest, number);
    long a = va_arg(rest, long), b = va_arg(rest, long), c = va_arg(rest, long);
    register long d __asm__("r10") = va_arg(rest, long);
    register long e __asm__("r8") = va_arg(rest, long);
    register long f __asm__("r9") = va_arg(rest, long);
    va_end(rest);
    long result;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "0"(number), "D"(a), "S"(b), "d"(c), "r"(d), "r"(e), "r"(f)
                     : "rcx", "r11", "memory");
    if (number == SYS_clone && result == 0)
        faults_become(SCANNER);
    if (result < 0 && result > -4096) {
        errno = (int)-result;
        return -1;
    }
    return result;
}

/* --- the clock --------------------------------------------------------------------------------------- */

static void *real_clock_gettime;
int clock_gettime(clockid_t clock, struct timespec *now) {
    int result = REAL(clock_gettime)(clock, now);
    int64_t by = board ? board->clock_ns : 0;
    if (!result && by && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) {
        int64_t ns = now->tv_nsec + by % 1000000000, s = now->tv_sec + by / 1000000000;
        now->tv_sec = s + (ns >= 1000000000) - (ns < 0);
        now->tv_nsec = ns + (ns < 0) * 1000000000L - (ns >= 1000000000) * 1000000000L;
    }
    return result;
}

time_t time(time_t *kept) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (kept)
        *kept = now.tv_sec;
    return now.tv_sec;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
    struct timespec precise;
    (void)zone;
    clock_gettime(CLOCK_REALTIME, &precise);
    now->tv_sec = precise.tv_sec;
    now->tv_usec = precise.tv_nsec / 1000;
    return 0;
}
