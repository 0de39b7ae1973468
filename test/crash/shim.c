/*
 * Preloaded into the server by the crash tests. Counts the calls that change what a directory
 * holds, one counter for all threads, and at the n-th kills the process before the call happens,
 * or makes the call fail. The count and a line for each call stand in a shared mapping of a file,
 * so that they outlive the process.
 *
 *   CRASH_DIR       only paths and descriptors below this absolute path count
 *   CRASH_STATE     the file for count and trace
 *   CRASH_AT        the n-th call, from 1; 0 or absent: none
 *   CRASH_ERRNO     absent: kill; else the errno that the n-th call fails with; for ENOSPC only
 *                   calls that may take space are counted
 *   CRASH_CLOCK_MS  added to the wall clock
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define TRACE_BYTES (256 * 1024)

struct state {
  atomic_ulong count;
  atomic_ulong used;
  char trace[TRACE_BYTES - 16];
};

static struct state *state;
static char directory[4096];
static size_t directory_bytes;
static unsigned long at;
static int failure;
static long long clock_ms;

/* The libc's own function; looked up once each, before any thread but the first exists. */
#define REAL(name) real_##name
#define DECLARE(result, name, ...) static result (*real_##name)(__VA_ARGS__);
#define LOAD(name) *(void **)&real_##name = dlsym(RTLD_NEXT, #name);
#define ALL(X) X(write) X(writev) X(pwrite64) X(pwritev64) X(fsync) X(fdatasync) X(msync) \
  X(ftruncate64) X(rename) X(link) X(unlink) X(mkdir) X(rmdir) X(openat64) X(open64) \
  X(clock_gettime) X(gettimeofday)

DECLARE(ssize_t, write, int, const void *, size_t)
DECLARE(ssize_t, writev, int, const struct iovec *, int)
DECLARE(ssize_t, pwrite64, int, const void *, size_t, off64_t)
DECLARE(ssize_t, pwritev64, int, const struct iovec *, int, off64_t)
DECLARE(int, fsync, int)
DECLARE(int, fdatasync, int)
DECLARE(int, msync, void *, size_t, int)
DECLARE(int, ftruncate64, int, off64_t)
DECLARE(int, rename, const char *, const char *)
DECLARE(int, link, const char *, const char *)
DECLARE(int, unlink, const char *)
DECLARE(int, mkdir, const char *, mode_t)
DECLARE(int, rmdir, const char *)
DECLARE(int, openat64, int, const char *, int, ...)
DECLARE(int, open64, const char *, int, ...)
DECLARE(int, clock_gettime, clockid_t, struct timespec *)
DECLARE(int, gettimeofday, struct timeval *, void *)

static unsigned long number_of(const char *name) {
  const char *value = getenv(name);
  return value ? strtoul(value, NULL, 10) : 0;
}

__attribute__((constructor)) static void start(void) {
  ALL(LOAD)
  const char *path = getenv("CRASH_STATE");
  const char *below = getenv("CRASH_DIR");
  const char *shift = getenv("CRASH_CLOCK_MS");
  clock_ms = shift ? atoll(shift) : 0;
  /* What the server itself starts is not what is tested. */
  unsetenv("LD_PRELOAD");
  if (!path || !below) return;
  snprintf(directory, sizeof directory, "%s", below);
  directory_bytes = strlen(directory);
  at = number_of("CRASH_AT");
  failure = (int)number_of("CRASH_ERRNO");
  int fd = real_open64(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
  if (fd < 0 || real_ftruncate64(fd, TRACE_BYTES)) abort();
  void *memory = mmap(NULL, TRACE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (memory == MAP_FAILED) abort();
  close(fd);
  state = memory;
}

static int is_below(const char *path) {
  if (!state || strncmp(path, directory, directory_bytes)) return 0;
  return path[directory_bytes] == 0 || path[directory_bytes] == '/';
}

static int takes_space(const char *name) {
  static const char *const others[] = {"fsync", "fdatasync", "msync", "unlink", "rmdir"};
  for (size_t i = 0; i < sizeof others / sizeof *others; i++)
    if (!strcmp(name, others[i])) return 0;
  return 1;
}

/* Counts a call. Does not return at the one to be killed before; true at the one to fail. */
static int count_path(const char *name, const char *path) {
  if (!is_below(path) || (failure == ENOSPC && !takes_space(name))) return 0;
  unsigned long number = atomic_fetch_add(&state->count, 1) + 1;
  char line[512];
  const char *rest = path[directory_bytes] ? path + directory_bytes + 1 : ".";
  int bytes = snprintf(line, sizeof line, "%lu %s %s\n", number, name, rest);
  unsigned long from = atomic_fetch_add(&state->used, bytes);
  if (from + bytes <= sizeof state->trace) memcpy(state->trace + from, line, bytes);
  if (number != at) return 0;
  if (failure) {
    errno = failure;
    return 1;
  }
  kill(getpid(), SIGKILL);
  for (;;) pause();
}

static int count_fd(const char *name, int fd) {
  if (!state) return 0;
  char link_path[64], target[4096];
  snprintf(link_path, sizeof link_path, "/proc/self/fd/%d", fd);
  ssize_t bytes = readlink(link_path, target, sizeof target - 1);
  if (bytes < 0) return 0;
  target[bytes] = 0;
  return count_path(name, target);
}

#define ON_FD(result, name, parameters, fd, ...) \
  result name parameters { return count_fd(#name, fd) ? -1 : REAL(name)(__VA_ARGS__); }
#define ON_PATH(name, parameters, path, ...) \
  int name parameters { return count_path(#name, path) ? -1 : REAL(name)(__VA_ARGS__); }

ON_FD(ssize_t, write, (int fd, const void *from, size_t bytes), fd, fd, from, bytes)
ON_FD(ssize_t, writev, (int fd, const struct iovec *from, int n), fd, fd, from, n)
ON_FD(ssize_t, pwrite64, (int fd, const void *from, size_t bytes, off64_t to), fd, fd, from, bytes, to)
ON_FD(ssize_t, pwritev64, (int fd, const struct iovec *from, int n, off64_t to), fd, fd, from, n, to)
ON_FD(int, fsync, (int fd), fd, fd)
ON_FD(int, fdatasync, (int fd), fd, fd)
ON_FD(int, ftruncate64, (int fd, off64_t bytes), fd, fd, bytes)
ON_PATH(rename, (const char *from, const char *to), to, from, to)
ON_PATH(link, (const char *from, const char *to), to, from, to)
ON_PATH(unlink, (const char *path), path, path)
ON_PATH(mkdir, (const char *path, mode_t mode), path, path, mode)
ON_PATH(rmdir, (const char *path), path, path)
/* Mappings do not tell their file; nothing else in the server uses msync. */
ON_PATH(msync, (void *from, size_t bytes, int flags), directory, from, bytes, flags)

/* On 64 bits the plain names are the same functions. */
ssize_t pwrite(int fd, const void *from, size_t n, off_t to) { return pwrite64(fd, from, n, to); }
ssize_t pwritev(int fd, const struct iovec *from, int n, off_t to) {
  return pwritev64(fd, from, n, to);
}
int ftruncate(int fd, off_t bytes) { return ftruncate64(fd, bytes); }

static int open_counted(int at_fd, const char *path, int flags, mode_t mode) {
  /* An open of an existing file changes nothing, unless it truncates. */
  int creates = (flags & O_TRUNC) || ((flags & O_CREAT) && access(path, F_OK));
  if (creates && count_path("open", path)) return -1;
  return REAL(openat64)(at_fd, path, flags, mode);
}

#define MODE(flags) \
  mode_t mode = 0; \
  if ((flags) & (O_CREAT | O_TMPFILE)) { \
    va_list rest; \
    va_start(rest, flags); \
    mode = va_arg(rest, mode_t); \
    va_end(rest); \
  }

int open64(const char *path, int flags, ...) { MODE(flags) return open_counted(AT_FDCWD, path, flags, mode); }
int open(const char *path, int flags, ...) { MODE(flags) return open_counted(AT_FDCWD, path, flags, mode); }
int openat64(int fd, const char *path, int flags, ...) { MODE(flags) return open_counted(fd, path, flags, mode); }
int openat(int fd, const char *path, int flags, ...) { MODE(flags) return open_counted(fd, path, flags, mode); }

int clock_gettime(clockid_t clock, struct timespec *now) {
  int result = REAL(clock_gettime)(clock, now);
  if (result || !clock_ms || (clock != CLOCK_REALTIME && clock != CLOCK_REALTIME_COARSE)) return result;
  long long ns = now->tv_nsec + (clock_ms % 1000) * 1000000LL;
  now->tv_sec += clock_ms / 1000 + (ns < 0 ? -1 : ns / 1000000000LL);
  now->tv_nsec = (ns + 1000000000LL) % 1000000000LL;
  return 0;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
  struct timespec shifted;
  if (!clock_ms) return REAL(gettimeofday)(now, zone);
  if (clock_gettime(CLOCK_REALTIME, &shifted)) return -1;
  now->tv_sec = shifted.tv_sec;
  now->tv_usec = shifted.tv_nsec / 1000;
  return 0;
}
