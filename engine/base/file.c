/* engine/base/file.c: files in as mappings, files out whole or not at all.
 *
 * SPDX-License-Identifier: MIT */
#define _XOPEN_SOURCE 700 /* realpath */
#include "engine/base/buffer.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* The system's text for an error number, in a buffer of ours: strerror's own is shared. */
static const char *reason(int number, char *text, size_t bytes)
{
    if (strerror_r(number, text, bytes))
        snprintf(text, bytes, "error %d", number);
    return text;
}

static tn_status raise_system(const char *what, const char *path)
{
    char text[128];
    return tn_raise(TN_ERR_IO, "cannot %s '%s': %s", what, path, reason(errno, text, sizeof text));
}

static tn_status map_open_file(int file, const char *path, tn_buffer **out)
{
    struct stat info;
    if (fstat(file, &info))
        return raise_system("read", path);
    if (S_ISDIR(info.st_mode))
        return tn_raise(TN_ERR_IO, "'%s' is a folder, not a file", path);
    if (!S_ISREG(info.st_mode))
        return tn_raise(TN_ERR_IO, "'%s' is no regular file", path);
    if (!info.st_size)
        return tn_buffer_create(0, out);
    if ((uintmax_t)info.st_size > PTRDIFF_MAX)
        return tn_raise(TN_ERR_LIMIT, "'%s' is larger than memory can map", path);
    void *bytes = mmap(NULL, (size_t)info.st_size, PROT_READ, MAP_PRIVATE, file, 0);
    if (bytes == MAP_FAILED)
        return raise_system("map", path);
    tn_status status = tn_buffer_wrap_mapping(bytes, (size_t)info.st_size, out);
    if (status != TN_OK)
        munmap(bytes, (size_t)info.st_size);
    return status;
}

/* Not blocking, so that a pipe in a model's place cannot hang its reader. */
enum { OPEN_FLAGS = O_RDONLY | O_CLOEXEC | O_NONBLOCK };

tn_status tn_file_map(const char *path, tn_buffer **out)
{
    int file = open(path, OPEN_FLAGS);
    if (file < 0)
        return raise_system("open", path);
    tn_status status = map_open_file(file, path, out);
    close(file);
    return status;
}

static bool climbs(const char *relative)
{
    for (const char *part = relative; part;) {
        if (part[0] == '.' && part[1] == '.' && (part[2] == '/' || !part[2]))
            return true;
        part = strchr(part, '/');
        part = part ? part + 1 : NULL;
    }
    return false;
}

/* True when `file`, which was opened as `path`, lies in `folder` once links are resolved. The
 * resolved path is compared with the open file itself, so that a link changed in between is seen. */
static bool lies_inside(int file, const char *path, const char *folder)
{
    char *real = realpath(path, NULL), *top = realpath(folder, NULL);
    struct stat opened, resolved;
    bool inside = real && top && !fstat(file, &opened) && !lstat(real, &resolved) &&
                  opened.st_dev == resolved.st_dev && opened.st_ino == resolved.st_ino;
    if (inside) {
        size_t count = strlen(top);
        if (count && top[count - 1] == '/')
            count--; /* the root folder */
        inside = !strncmp(real, top, count) && real[count] == '/';
    }
    free(real);
    free(top);
    return inside;
}

static bool has_other_names(int file)
{
    struct stat info;
    return !fstat(file, &info) && S_ISREG(info.st_mode) && info.st_nlink > 1;
}

tn_status tn_file_map_inside(const char *folder, const char *relative, tn_buffer **out)
{
    if (!*relative || *relative == '/' || climbs(relative))
        return tn_raise(TN_ERR_IO, "'%s' is no path inside the graph's folder", relative);
    char *path = tn_file_join(folder, relative);
    if (!path)
        return tn_raise_memory();
    tn_status status;
    int file = open(path, OPEN_FLAGS);
    if (file < 0)
        status = raise_system("open", path);
    else if (!lies_inside(file, path, folder))
        status = tn_raise(TN_ERR_IO, "'%s' leads outside the graph's folder", relative);
    else if (has_other_names(file))
        status = tn_raise(
            TN_ERR_IO, "'%s' is a hard link: another name of it may lie outside the graph's folder",
            relative);
    else
        status = map_open_file(file, path, out);
    if (file >= 0)
        close(file);
    tn_free(path);
    return status;
}

/* ---- writing ----------------------------------------------------------------------------- */

static bool write_all(int file, const char *bytes, size_t count)
{
    while (count) {
        ssize_t done = write(file, bytes, count < (1u << 30) ? count : 1u << 30);
        if (done < 0 && errno == EINTR)
            continue;
        if (done < 0)
            return false;
        bytes += done;
        count -= (size_t)done;
    }
    return true;
}

/* A new file beside `path`; its name goes to `beside`. -1 with errno. */
static int create_beside(const char *path, char *beside, size_t bytes)
{
    for (unsigned k = 0; k < 100; k++) {
        snprintf(beside, bytes, "%s.%ld.%u.part", path, (long)getpid(), k);
        int file = open(beside, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (file >= 0 || errno != EEXIST)
            return file;
    }
    return -1;
}

/* Writes, closes and puts in place; errno says what went wrong. */
static bool finish_file(int file, const char *beside, const char *path, const void *bytes,
                        size_t count)
{
    struct stat old;
    bool ok = write_all(file, bytes, count);
    if (ok && !stat(path, &old))
        ok = !fchmod(file, old.st_mode & 07777);
    ok = ok && !fsync(file);
    int kept = errno;
    if (close(file) && ok) {
        ok = false;
        kept = errno;
    }
    if (ok && rename(beside, path)) {
        ok = false;
        kept = errno;
    }
    if (!ok)
        unlink(beside);
    errno = kept;
    return ok;
}

tn_status tn_file_write(const char *path, const void *bytes, size_t count)
{
    const size_t room = strlen(path) + 48;
    char *beside = tn_alloc(room, 1);
    if (!beside)
        return tn_raise_memory();
    int file = create_beside(path, beside, room);
    bool ok = file >= 0 && finish_file(file, beside, path, bytes, count);
    tn_status status = ok ? TN_OK : raise_system("write", path);
    tn_free(beside);
    return status;
}

/* ---- paths ------------------------------------------------------------------------------- */

char *tn_file_folder(const char *path)
{
    const char *slash = strrchr(path, '/');
    if (!slash)
        return tn_strdup(".");
    size_t count = slash == path ? 1 : (size_t)(slash - path);
    char *folder = tn_alloc(count + 1, 1);
    if (folder)
        memcpy(folder, path, count);
    return folder;
}

char *tn_file_join(const char *folder, const char *name)
{
    const size_t a = strlen(folder), b = strlen(name);
    const bool slash = a && folder[a - 1] != '/';
    char *path = tn_alloc(a + b + 2, 1);
    if (!path)
        return NULL;
    memcpy(path, folder, a);
    if (slash)
        path[a] = '/';
    memcpy(path + a + slash, name, b + 1);
    return path;
}
