/* Another wall clock for one process: LD_PRELOAD moves CLOCK_REALTIME by what stands in the file $CLOCK_SHIM, and answers for the kernel
   whether it is synchronised. Monotonic time, timers and the rest of the machine stay as they are. The file can be changed while it runs:
   two int64, nanoseconds to add, and 1 for synchronised or 0 for not. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/timex.h>
#include <time.h>
#include <unistd.h>

#define SECOND 1000000000LL

static const volatile int64_t *told(void) {
  static const int64_t nothing[2] = {0, 0};
  static const volatile int64_t *found;
  if (found) return found;
  const char *path = getenv("CLOCK_SHIM");
  int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
  void *page = file < 0 ? MAP_FAILED : mmap(NULL, sizeof nothing, PROT_READ, MAP_SHARED, file, 0);
  if (file >= 0) close(file);
  found = page == MAP_FAILED ? nothing : page;
  return found;
}

int clock_gettime(clockid_t clock, struct timespec *now) {
  static int (*real)(clockid_t, struct timespec *);
  if (!real) real = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
  int failed = real(clock, now);
  if (failed || (clock != CLOCK_REALTIME && clock != CLOCK_REALTIME_COARSE)) return failed;
  int64_t moved = now->tv_sec * SECOND + now->tv_nsec + told()[0];
  now->tv_sec = moved / SECOND;
  now->tv_nsec = moved % SECOND;
  return 0;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
  (void)zone;
  struct timespec exact;
  clock_gettime(CLOCK_REALTIME, &exact);
  now->tv_sec = exact.tv_sec;
  now->tv_usec = exact.tv_nsec / 1000;
  return 0;
}

time_t time(time_t *out) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  if (out) *out = now.tv_sec;
  return now.tv_sec;
}

int adjtimex(struct timex *state) {
  int is = told()[1] == 1;
  state->status = is ? 0 : STA_UNSYNC;
  return is ? TIME_OK : TIME_ERROR;
}
