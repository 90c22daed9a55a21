// A disk that fails on demand, for `cargo xtask soak`: preloaded into the program under test, it stands between the program
// and the C library. It watches one folder and counts the calls that change it. At a given call it
//
//   cut        takes the power away, as harshly as POSIX allows: files have what they had when they were last synced, folders
//              the entries that they had when they were last synced themselves;
//   cut-names  takes it away from a file system that keeps names and loses what is in the files (a renamed file is empty);
//   cut-zeros  takes it away from one that keeps names and lengths: what was not synced is zero bytes;
//   full       is full from then on (ENOSPC);
//   short      is full from then on, in the middle of a write;
//   sync       cannot sync from then on (EIO);
//   pause      stops the process (SIGSTOP), for somebody to do something meanwhile;
//
// or it refuses all changes from the start: `readonly` (EROFS), `denied` (EACCES). After a cut the folder is what a person
// would find after the reboot, and the process is dead. A clock that jumps is another fault, beside these.
//
// What it needs is in its environment:
//   DISK_FOLDER  the folder, absolute and without links     DISK_FAULT  one of the words above, or `none`
//   DISK_AT      the call, from 1; after the last one a cut comes at the end of the program
//   DISK_NOTES   a file outside the folder: `fault` if the disk failed, and at the end of the program `calls N`
//   DISK_CLOCK   seconds by which the clock jumps when it is read for the 3rd time
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

// The function of the C library that one of the same name here stands before.
#define NEXT(name)                               \
    static __typeof__(&name) next;               \
    if (!next) {                                 \
        next = (__typeof__(&name))dlsym(RTLD_NEXT, #name); \
    }

static void give_up(const char *what) {
    dprintf(STDERR_FILENO, "disk: %s: this is not simulated\n", what);
    abort();
}

// ---- what survives a loss of power ----

// A name in a folder.
struct entry {
    char *name;
    struct node *node;
};

// A file or folder as it was when it was last synced. A new one has nothing.
struct node {
    ino_t number; // 0 when the file is gone: its number may be that of another one then
    int is_folder;
    char *bytes;
    size_t length;
    struct entry *entries;
    size_t count;
    struct node *older;
};

static struct node *nodes;

static struct node *node_of(const struct stat *status) {
    for (struct node *node = nodes; node; node = node->older) {
        if (node->number == status->st_ino) return node;
    }
    struct node *node = calloc(1, sizeof *node);
    node->number = status->st_ino;
    node->is_folder = S_ISDIR(status->st_mode);
    node->older = nodes;
    return nodes = node;
}

// The name is about to go: if it is the last one of its file, so is the file.
static void forget(const char *path) {
    struct stat status;
    if (lstat(path, &status) == 0 && (S_ISDIR(status.st_mode) || status.st_nlink == 1)) {
        node_of(&status)->number = 0;
    }
}

static void sync_file(struct node *node, const char *path, const struct stat *status) {
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0) give_up("a file that cannot be read");
    node->length = status->st_size;
    node->bytes = realloc(node->bytes, node->length + 1);
    for (size_t done = 0; done < node->length;) {
        ssize_t some = read(file, node->bytes + done, node->length - done);
        if (some <= 0) give_up("a file that changes while it is synced");
        done += some;
    }
    close(file);
}

static void sync_folder(struct node *node, const char *path) {
    DIR *folder = opendir(path);
    if (!folder) give_up("a folder that cannot be read");
    node->count = 0;
    for (struct dirent *found; (found = readdir(folder));) {
        if (!strcmp(found->d_name, ".") || !strcmp(found->d_name, "..")) continue;
        struct stat status;
        if (fstatat(dirfd(folder), found->d_name, &status, AT_SYMLINK_NOFOLLOW)) continue;
        if (!S_ISDIR(status.st_mode) && !S_ISREG(status.st_mode)) give_up("a link");
        node->entries = realloc(node->entries, (node->count + 1) * sizeof *node->entries);
        node->entries[node->count++] = (struct entry){strdup(found->d_name), node_of(&status)};
    }
    closedir(folder);
}

// What everything below the watched folder is at the start.
static int sync_all(const char *path, const struct stat *status, int type, struct FTW *place) {
    (void)place;
    struct node *node = node_of(status);
    if (type == FTW_D) sync_folder(node, path);
    if (type == FTW_F) sync_file(node, path, status);
    return 0;
}

// A file system that keeps names, and one that keeps lengths too.
static int is_keeping_lengths;
static int keep_names(const char *path, const struct stat *status, int type, struct FTW *place) {
    (void)place;
    struct node *node = node_of(status);
    if (type == FTW_D) sync_folder(node, path);
    if (type == FTW_F && is_keeping_lengths) {
        size_t length = status->st_size;
        node->bytes = realloc(node->bytes, length + 1);
        if (length > node->length) memset(node->bytes + node->length, 0, length - node->length);
        node->length = length;
    }
    return 0;
}

static const char *root;
static int take_away(const char *path, const struct stat *status, int type, struct FTW *place) {
    (void)status, (void)type, (void)place;
    return strcmp(path, root) ? remove(path) : 0;
}

static void put_back(const char *path, const struct node *node) {
    if (node->is_folder) {
        mkdir(path, 0777);
        for (size_t i = 0; i < node->count; i++) {
            char *name;
            if (asprintf(&name, "%s/%s", path, node->entries[i].name) < 0) abort();
            put_back(name, node->entries[i].node);
            free(name);
        }
        return;
    }
    int file = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0666);
    if (file < 0 || write(file, node->bytes, node->length) != (ssize_t)node->length) abort();
    close(file);
}

// ---- which calls fail ----

enum fault { NONE, CUT, CUT_NAMES, CUT_ZEROS, FULL, SHORT, SYNC, PAUSE, READONLY, DENIED };
static const char *const FAULTS[] = {"none",  "cut",  "cut-names", "cut-zeros", "full",
                                     "short", "sync", "pause",     "readonly",  "denied"};
// What a call wants of the disk: room, another change, that all is on the disk.
enum want { ROOM, CHANGE, SAFETY };

static enum fault fault;
static long at, calls, turns;
static const char *notes;
// In the order of what is done: whoever is in the middle of a call when the power goes stays there.
static pthread_mutex_t one_at_a_time = PTHREAD_MUTEX_INITIALIZER;
// Whether this thread does the work of this file itself.
static __thread int is_inside;

static void note(const char *what, long number) {
    int file = notes ? open(notes, O_WRONLY | O_CREAT | O_APPEND, 0666) : -1;
    if (file >= 0) {
        dprintf(file, "%s %ld\n", what, number);
        close(file);
    }
}

static void cut(void) {
    note("fault", calls);
    struct stat status;
    is_keeping_lengths = fault == CUT_ZEROS;
    if (fault != CUT) nftw(root, keep_names, 16, FTW_PHYS);
    if (stat(root, &status)) abort();
    struct node *folder = node_of(&status);
    if (nftw(root, take_away, 16, FTW_DEPTH | FTW_PHYS)) abort();
    put_back(root, folder);
    kill(getpid(), SIGKILL);
    for (;;) pause();
}

static void enter(void) {
    pthread_mutex_lock(&one_at_a_time);
    is_inside = 1;
}

static void leave(void) {
    is_inside = 0;
    int error = errno;
    pthread_mutex_unlock(&one_at_a_time);
    errno = error;
}

static int is_failing(void) {
    return turns >= at;
}

// Counts a call. Whether it may be made; else `errno` says why not.
static int is_granted(enum want want) {
    calls++;
    int is_refused = 0, error = 0;
    switch (fault) {
    case NONE: return 1;
    case CUT:
    case CUT_NAMES:
    case CUT_ZEROS:
        if (calls == at) cut();
        return 1;
    case PAUSE:
        if (calls == at) {
            note("fault", calls);
            kill(getpid(), SIGSTOP);
        }
        return 1;
    case FULL:
    case SHORT:
        turns += want == ROOM;
        is_refused = want == ROOM && is_failing();
        error = ENOSPC;
        break;
    case SYNC:
        turns += want == SAFETY;
        is_refused = want == SAFETY && is_failing();
        error = EIO;
        break;
    case READONLY:
    case DENIED:
        is_refused = want != SAFETY;
        error = fault == DENIED ? EACCES : EROFS;
        break;
    }
    if (is_refused) {
        static int is_noted;
        if (!is_noted++) note("fault", calls);
        errno = error;
    }
    return !is_refused;
}

__attribute__((constructor)) static void begin(void) {
    const char *word = getenv("DISK_FAULT"), *folder = getenv("DISK_FOLDER"), *number = getenv("DISK_AT");
    notes = getenv("DISK_NOTES");
    if (!word || !folder) return;
    size_t count = sizeof FAULTS / sizeof *FAULTS, found = 0;
    while (found < count && strcmp(FAULTS[found], word)) found++;
    if (found == count) give_up(word);
    fault = (enum fault)found;
    at = number ? atol(number) : 1;
    is_inside = 1;
    nftw(folder, sync_all, 16, FTW_PHYS);
    is_inside = 0;
    root = folder;
}

__attribute__((destructor)) static void end(void) {
    if (!root) return;
    enter();
    if ((fault == CUT || fault == CUT_NAMES || fault == CUT_ZEROS) && calls < at) cut();
    note("calls", calls);
    leave();
}

// ---- what is watched ----

static char is_watched[4096]; // open files, by their numbers

static int is_below(const char *path) {
    if (!root || is_inside || !path) return 0;
    char whole[PATH_MAX];
    if (path[0] != '/') {
        if (!getcwd(whole, sizeof whole)) return 0;
        size_t length = strlen(whole);
        if (length + strlen(path) + 2 > sizeof whole) return 0;
        whole[length] = '/';
        strcpy(whole + length + 1, path);
        path = whole;
    }
    size_t length = strlen(root);
    int is = !strncmp(path, root, length) && (path[length] == '/' || !path[length]);
    if (is && strstr(path, "/..")) give_up("a path with ..");
    return is;
}

static int is_open_below(int file) {
    return !is_inside && file >= 0 && file < (int)sizeof is_watched && is_watched[file];
}

static int opened(int file) {
    if (file >= (int)sizeof is_watched) give_up("so many open files");
    if (file >= 0) is_watched[file] = 1;
    return file;
}

// ---- the calls ----

#define OPEN(name)                                                                                     \
    int name(const char *path, int flags, ...) {                                                       \
        NEXT(name)                                                                                     \
        mode_t mode = 0;                                                                               \
        if (flags & (O_CREAT | O_TMPFILE)) {                                                           \
            va_list more;                                                                              \
            va_start(more, flags);                                                                     \
            mode = va_arg(more, mode_t);                                                               \
            va_end(more);                                                                              \
        }                                                                                              \
        if (!is_below(path)) return next(path, flags, mode);                                           \
        int is_read = (flags & O_ACCMODE) == O_RDONLY && !(flags & (O_CREAT | O_TRUNC));               \
        if (is_read) return opened(next(path, flags, mode));                                           \
        enter();                                                                                       \
        int is_new = (flags & O_CREAT) && access(path, F_OK);                                          \
        int file = is_granted(is_new ? ROOM : CHANGE) ? opened(next(path, flags, mode)) : -1;          \
        leave();                                                                                       \
        return file;                                                                                   \
    }
OPEN(open)
OPEN(open64)

int close(int file) {
    NEXT(close)
    if (is_open_below(file)) is_watched[file] = 0;
    return next(file);
}

ssize_t write(int file, const void *bytes, size_t length) {
    NEXT(write)
    if (!is_open_below(file)) return next(file, bytes, length);
    enter();
    ssize_t written = -1;
    if (is_granted(ROOM)) {
        written = next(file, bytes, length);
    } else if (fault == SHORT && turns == at && length > 1) {
        written = next(file, bytes, length / 2);
    }
    leave();
    return written;
}

ssize_t writev(int file, const struct iovec *parts, int count) {
    NEXT(writev)
    if (!is_open_below(file)) return next(file, parts, count);
    enter();
    ssize_t written = is_granted(ROOM) ? next(file, parts, count) : -1;
    leave();
    return written;
}

#define TRUNCATE(name, type)                                         \
    int name(int file, type length) {                                \
        NEXT(name)                                                   \
        if (!is_open_below(file)) return next(file, length);         \
        enter();                                                     \
        struct stat status;                                          \
        int is_longer = !fstat(file, &status) && length > status.st_size; \
        int result = is_granted(is_longer ? ROOM : CHANGE) ? next(file, length) : -1; \
        leave();                                                     \
        return result;                                               \
    }
TRUNCATE(ftruncate, off_t)
TRUNCATE(ftruncate64, off64_t)

#define SYNCS(name)                                                  \
    int name(int file) {                                             \
        NEXT(name)                                                   \
        if (!is_open_below(file)) return next(file);                 \
        enter();                                                     \
        int result = -1;                                             \
        if (is_granted(SAFETY)) {                                    \
            char path[64];                                           \
            struct stat status;                                      \
            snprintf(path, sizeof path, "/proc/self/fd/%d", file);   \
            if (fstat(file, &status)) give_up("a file without a status"); \
            struct node *node = node_of(&status);                    \
            if (node->is_folder) sync_folder(node, path);            \
            else sync_file(node, path, &status);                     \
            result = 0; /* the real disk may take its time */        \
        }                                                            \
        leave();                                                     \
        return result;                                               \
    }
SYNCS(fsync)
SYNCS(fdatasync)

int rename(const char *from, const char *to) {
    NEXT(rename)
    if (!is_below(from) && !is_below(to)) return next(from, to);
    enter();
    int result = -1;
    if (is_granted(ROOM)) {
        struct stat here, there;
        int is_same = !lstat(from, &here) && !lstat(to, &there) && here.st_ino == there.st_ino;
        if (!is_same) forget(to);
        result = next(from, to);
    }
    leave();
    return result;
}

#define REMOVES(name)                                                \
    int name(const char *path) {                                     \
        NEXT(name)                                                   \
        if (!is_below(path)) return next(path);                      \
        enter();                                                     \
        int result = -1;                                             \
        if (is_granted(CHANGE)) {                                    \
            forget(path);                                            \
            result = next(path);                                     \
        }                                                            \
        leave();                                                     \
        return result;                                               \
    }
REMOVES(unlink)
REMOVES(rmdir)

int mkdir(const char *path, mode_t mode) {
    NEXT(mkdir)
    if (!is_below(path)) return next(path, mode);
    enter();
    // A folder that is there needs no room.
    int is_there = !access(path, F_OK);
    int result = is_there || is_granted(ROOM) ? next(path, mode) : -1;
    leave();
    return result;
}

// What the program does not do today: if it ever does, this says so instead of watching half of it.
#define NOT_SIMULATED(name, type, parameters, arguments, is_concerned) \
    type name parameters {                                           \
        NEXT(name)                                                   \
        if (is_concerned) give_up(#name);                            \
        return next arguments;                                       \
    }
NOT_SIMULATED(creat, int, (const char *path, mode_t mode), (path, mode), is_below(path))
NOT_SIMULATED(truncate, int, (const char *path, off_t length), (path, length), is_below(path))
NOT_SIMULATED(link, int, (const char *from, const char *to), (from, to), is_below(to))
NOT_SIMULATED(linkat, int, (int a, const char *from, int b, const char *to, int flags), (a, from, b, to, flags),
              is_below(to))
NOT_SIMULATED(symlink, int, (const char *from, const char *to), (from, to), is_below(to))
NOT_SIMULATED(renameat, int, (int a, const char *from, int b, const char *to), (a, from, b, to), is_below(to))
NOT_SIMULATED(renameat2, int, (int a, const char *from, int b, const char *to, unsigned flags),
              (a, from, b, to, flags), is_below(to))
NOT_SIMULATED(mkdirat, int, (int folder, const char *path, mode_t mode), (folder, path, mode), is_below(path))
NOT_SIMULATED(pwrite, ssize_t, (int file, const void *bytes, size_t length, off_t place),
              (file, bytes, length, place), is_open_below(file))
NOT_SIMULATED(pwrite64, ssize_t, (int file, const void *bytes, size_t length, off64_t place),
              (file, bytes, length, place), is_open_below(file))
NOT_SIMULATED(pwritev, ssize_t, (int file, const struct iovec *parts, int count, off_t place),
              (file, parts, count, place), is_open_below(file))
NOT_SIMULATED(sendfile, ssize_t, (int to, int from, off_t *place, size_t length), (to, from, place, length),
              is_open_below(to))
NOT_SIMULATED(copy_file_range, ssize_t,
              (int from, off64_t *a, int to, off64_t *b, size_t length, unsigned flags),
              (from, a, to, b, length, flags), is_open_below(to))

// ---- the clock ----

static time_t jump(void) {
    static int reads;
    const char *seconds = getenv("DISK_CLOCK");
    return seconds && __atomic_add_fetch(&reads, 1, __ATOMIC_RELAXED) >= 3 ? atol(seconds) : 0;
}

// The steady clock is the system's promise and goes on; that of the day jumps.
int clock_gettime(clockid_t clock, struct timespec *now) {
    NEXT(clock_gettime)
    int result = next(clock, now);
    if (!result && clock == CLOCK_REALTIME) now->tv_sec += jump();
    return result;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
    struct timespec precise;
    (void)zone;
    int result = clock_gettime(CLOCK_REALTIME, &precise);
    *now = (struct timeval){precise.tv_sec, precise.tv_nsec / 1000};
    return result;
}

time_t time(time_t *now) {
    struct timespec precise;
    clock_gettime(CLOCK_REALTIME, &precise);
    if (now) *now = precise.tv_sec;
    return precise.tv_sec;
}
