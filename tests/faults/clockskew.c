/* Preloaded into one process, it moves that process's wall clock while it runs; monotonic time, timers and everybody else stay true.

   CLOCKSKEW_FILE names a file with one double, the seconds to add to CLOCK_REALTIME; it is mapped, so a write to it counts at once.

   cc -shared -fPIC -O2 -o clockskew.so clockskew.c */
#define _GNU_SOURCE
#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static const volatile double none = 0.0;
static const volatile double *skew;

static double seconds(void)
{
    if (!skew) {
        const char *name = getenv("CLOCKSKEW_FILE");
        int file = name ? open(name, O_RDONLY | O_CLOEXEC) : -1;
        void *mapped = file < 0 ? MAP_FAILED : mmap(NULL, sizeof(double), PROT_READ, MAP_SHARED, file, 0);
        if (file >= 0)
            close(file);
        skew = mapped == MAP_FAILED ? &none : mapped;
    }
    return *skew;
}

int clock_gettime(clockid_t clock, struct timespec *at)
{
    /* Past the vDSO: a few hundred nanoseconds more, and no second libc function to find. */
    int failed = (int)syscall(SYS_clock_gettime, clock, at);
    if (!failed && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) {
        double ahead = seconds(), whole = floor(ahead);
        at->tv_sec += (time_t)whole;
        at->tv_nsec += (long)((ahead - whole) * 1e9);
        if (at->tv_nsec >= 1000000000L) {
            at->tv_nsec -= 1000000000L;
            at->tv_sec++;
        }
    }
    return failed;
}

int gettimeofday(struct timeval *restrict at, void *restrict zone)
{
    struct timespec now;
    int failed = clock_gettime(CLOCK_REALTIME, &now);
    (void)zone;
    if (!failed && at) {
        at->tv_sec = now.tv_sec;
        at->tv_usec = now.tv_nsec / 1000;
    }
    return failed;
}

time_t time(time_t *at)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (at)
        *at = now.tv_sec;
    return now.tv_sec;
}
