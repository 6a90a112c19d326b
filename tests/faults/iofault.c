/* Preloaded into one process, it lets the N-th write below a folder fail, and every one after it, until it is told otherwise.

   IOFAULT_FOLDER  what is below it
   IOFAULT_FILE    three 64-bit numbers, mapped: writes left until it begins (negative: never; 0: now), the errno they fail with,
                   and how many have failed. With EIO, fsync and fdatasync fail too; with ENOSPC they do not.

   cc -shared -fPIC -O2 -o iofault.so iofault.c */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

struct order {
    volatile int64_t left, number, failed;
};

static struct order none = {-1, 0, 0}, *given;
static const char *folder;

static struct order *order(void)
{
    if (!given) {
        const char *name = getenv("IOFAULT_FILE");
        int file = name ? open(name, O_RDWR | O_CLOEXEC) : -1;
        void *mapped = file < 0 ? MAP_FAILED : mmap(NULL, sizeof(struct order), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
        if (file >= 0)
            close(file);
        folder = getenv("IOFAULT_FOLDER");
        given = mapped == MAP_FAILED || !folder ? &none : mapped;
    }
    return given;
}

static int below(int file)
{
    char link[40], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t length = readlink(link, path, sizeof path);
    size_t wanted = strlen(folder);
    return length >= (ssize_t)wanted && !memcmp(path, folder, wanted);
}

/* Whether this call is to fail; errno is set then. */
static int fails(int file, int syncs)
{
    struct order *o = order();
    int before = errno;
    if (o->left < 0 || !below(file)) {
        errno = before;
        return 0;
    }
    errno = before;
    if (syncs && o->number != EIO)
        return 0;
    if (!syncs && o->left > 0 && __sync_fetch_and_sub(&o->left, 1) > 1)
        return 0;
    if (o->left > 0)
        return 0;
    __sync_fetch_and_add(&o->failed, 1);
    errno = (int)o->number;
    return 1;
}

ssize_t write(int file, const void *from, size_t count)
{
    return fails(file, 0) ? -1 : syscall(SYS_write, file, from, count);
}

ssize_t pwrite64(int file, const void *from, size_t count, off64_t at)
{
    return fails(file, 0) ? -1 : syscall(SYS_pwrite64, file, from, count, at);
}

ssize_t pwrite(int file, const void *from, size_t count, off_t at)
{
    return pwrite64(file, from, count, at);
}

int ftruncate64(int file, off64_t length)
{
    return fails(file, 0) ? -1 : (int)syscall(SYS_ftruncate, file, length);
}

int ftruncate(int file, off_t length)
{
    return ftruncate64(file, length);
}

int fsync(int file)
{
    return fails(file, 1) ? -1 : (int)syscall(SYS_fsync, file);
}

int fdatasync(int file)
{
    return fails(file, 1) ? -1 : (int)syscall(SYS_fdatasync, file);
}
