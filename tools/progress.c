/* tools/progress.c: a bar on stderr for what takes more than two seconds, when that is a terminal.
 *
 * SPDX-License-Identifier: MIT */
#include "tool.h"

#include <unistd.h>

#define PATIENCE 2.0 /* seconds before it shows */
#define REFRESH 0.1
enum { WIDTH = 30 };

void progress_begin(progress *p, const char *what, int64_t total)
{
    *p = (progress){ .what = what, .total = total, .begin = now() };
}

void progress_step(progress *p, int64_t done)
{
    const double time = now(), spent = time - p->begin;
    int filled;
    if (spent < PATIENCE || time - p->shown < REFRESH || !isatty(STDERR_FILENO) || p->total < 1 ||
        done < 1)
        return;
    filled = (int)(WIDTH * done / p->total);
    fprintf(stderr, "\r%s [", p->what);
    for (int k = 0; k < WIDTH; k++)
        fputc(k < filled ? '#' : '.', stderr);
    fprintf(stderr, "] %d %%, %.0f s left \033[K", (int)(100 * done / p->total),
            spent * (double)(p->total - done) / (double)done);
    fflush(stderr);
    p->shown = time;
    p->visible = true;
}

void progress_line(void *user, const char *line)
{
    progress *p = user;
    const double time = now();
    if (time - p->begin < PATIENCE || time - p->shown < REFRESH || !isatty(STDERR_FILENO))
        return;
    fprintf(stderr, "\r%s \033[K", line);
    fflush(stderr);
    p->shown = time;
    p->visible = true;
}

void progress_end(progress *p)
{
    if (p->visible)
        fputs("\r\033[K", stderr);
    p->visible = false;
}
