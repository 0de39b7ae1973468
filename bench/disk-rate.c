// disk-rate FOLDER SECONDS: what the disk itself can do, as one JSON line. The yardstick of writes.
//
// Three measurements on one new file each, one write at a time: 4 KiB appended and fdatasync;
// 4 KiB appended through O_DIRECT | O_DSYNC; 8 MiB appended through O_DIRECT.
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { SMALL_BYTES = 4096, LARGE_BYTES = 8 << 20, SAMPLES_MAX = 1 << 22 };
static const double FILE_BYTES_MAX = 8e9;
static float samples[SAMPLES_MAX];

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec + t.tv_nsec * 1e-9;
}

static void die(const char *what) {
  perror(what);
  exit(1);
}

static int ascending(const void *a, const void *b) {
  float x = *(const float *)a, y = *(const float *)b;
  return (x > y) - (x < y);
}

static void measure(const char *path, const char *name, int flags, size_t bytes, double seconds) {
  void *block;
  if (posix_memalign(&block, SMALL_BYTES, bytes)) die("memory");
  memset(block, 0x5a, bytes);
  int file = open(path, O_CREAT | O_EXCL | O_WRONLY | flags, 0600);
  if (file < 0) die(path);
  long count = 0;
  double started = now(), at = started;
  while (at - started < seconds && count < SAMPLES_MAX && count * (double)bytes < FILE_BYTES_MAX) {
    double before = at;
    if (write(file, block, bytes) != (ssize_t)bytes) die("write");
    if (!(flags & O_DIRECT) && fdatasync(file)) die("fdatasync");
    at = now();
    samples[count++] = (at - before) * 1e3;
  }
  if (fdatasync(file)) die("fdatasync");
  double took = now() - started;
  close(file);
  unlink(path);
  free(block);
  qsort(samples, count, sizeof *samples, ascending);
  printf("\"%s\":{\"perSecond\":%.1f,\"mbPerSecond\":%.1f,\"p50Ms\":%.4f,\"p99Ms\":%.4f}", name,
         count / took, count * (double)bytes / took / 1e6, samples[count / 2],
         samples[(long)(count * .99)]);
}

int main(int argc, char **argv) {
  if (argc < 3) {
    fprintf(stderr, "usage: disk-rate FOLDER SECONDS\n");
    return 2;
  }
  char path[4096];
  snprintf(path, sizeof path, "%s/disk-rate", argv[1]);
  double seconds = atof(argv[2]);
  printf("{");
  measure(path, "fdatasync", 0, SMALL_BYTES, seconds);
  printf(",");
  measure(path, "direct", O_DIRECT | O_DSYNC, SMALL_BYTES, seconds);
  printf(",");
  measure(path, "sequential", O_DIRECT, LARGE_BYTES, seconds);
  printf("}\n");
  return 0;
}
