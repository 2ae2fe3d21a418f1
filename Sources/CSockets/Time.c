#define _GNU_SOURCE
#include "CSockets.h"

#include <time.h>

static int64_t read_clock(clockid_t clock) {
  struct timespec time;
  clock_gettime(clock, &time);
  return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

int64_t freshet_monotonic(void) { return read_clock(CLOCK_MONOTONIC); }

int64_t freshet_unix_time(void) { return read_clock(CLOCK_REALTIME); }

int64_t freshet_boot_time(void) { return read_clock(CLOCK_BOOTTIME); }
