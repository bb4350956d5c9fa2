/* engine/base/cache.c: how large the processor's caches are, as the system tells.
 *
 * SPDX-License-Identifier: MIT */
#include "engine/base/base.h"

#include <omp.h>
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>

static tn_caches found;
static pthread_once_t once = PTHREAD_ONCE_INIT;

/* How many processors a list such as "0-3,8" names. */
static uint32_t count_list(const char *text)
{
    uint32_t count = 0;
    for (const char *at = text; *at;) {
        char *end;
        const long first = strtol(at, &end, 10);
        const long last = end != at && *end == '-' ? strtol(end + 1, &end, 10) : first;
        if (end == at || last < first)
            break;
        count += (uint32_t)(last - first + 1);
        at = *end == ',' ? end + 1 : end;
    }
    return count;
}

static bool read_text(int index, const char *name, char *text, int bytes)
{
    char path[96];
    snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu0/cache/index%d/%s", index, name);
    FILE *file = fopen(path, "re");
    const bool read = file && fgets(text, bytes, file);
    if (file)
        fclose(file);
    return read;
}

/* "512K", "8M". */
static size_t parse_size(const char *text)
{
    char *end;
    const unsigned long long number = strtoull(text, &end, 10);
    return (size_t)number << (*end == 'K' ? 10 : *end == 'M' ? 20 : 0);
}

static void ask_folder(tn_caches *c)
{
    char level[16], size[32], shared[256];
    for (int index = 0; read_text(index, "level", level, sizeof level); index++) {
        if (!read_text(index, "size", size, sizeof size) ||
            !read_text(index, "shared_cpu_list", shared, sizeof shared))
            continue;
        if (atoi(level) == 2)
            c->second = parse_size(size);
        if (atoi(level) == 3) {
            c->third = parse_size(size);
            c->third_shared = count_list(shared);
        }
    }
}

/* Where there is no such folder the C library may know; not among how many the last one is shared. */
static void ask(void)
{
    ask_folder(&found);
#ifdef _SC_LEVEL2_CACHE_SIZE
    if (!found.second) {
        const long second = sysconf(_SC_LEVEL2_CACHE_SIZE), third = sysconf(_SC_LEVEL3_CACHE_SIZE);
        found.second = second > 0 ? (size_t)second : 0;
        found.third = third > 0 ? (size_t)third : 0;
    }
#endif
    if (!found.third_shared)
        found.third_shared = (uint32_t)omp_get_num_procs();
}

tn_caches tn_caches_of_processor(void)
{
    pthread_once(&once, ask);
    return found;
}
