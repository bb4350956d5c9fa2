/* plugins/motion/cut.c: the least cut of a network.
 *
 * By phases of blocking flows (Dinic, "Algorithm for solution of a problem of maximum flow in a
 * network", 1970). Networks here are as long as a graph is deep, so nothing recurses. What rounding
 * leaves of a full edge counts as nothing.
 *
 * SPDX-License-Identifier: MIT */
#include "motion.h"

#include <stdlib.h>

#define NOTHING 1e-9

/* The array with room for more; 0, and as it was: no memory. */
#define WIDEN(array, count)                                                                        \
    ((wider = realloc(array, (count) * sizeof *(array))) != NULL && ((array) = wider) != NULL)

uint32_t cut_nodes(least_cut *c, uint32_t count)
{
    const uint32_t begin = c->node_count;
    if (begin + count > c->node_room) {
        const uint32_t room = 2 * (begin + count) + 16;
        void *wider;
        if (!WIDEN(c->first, room) || !WIDEN(c->level, room) || !WIDEN(c->now, room) ||
            !WIDEN(c->path, room))
            return UINT32_MAX;
        c->node_room = room;
    }
    for (uint32_t k = 0; k < count; k++)
        c->first[begin + k] = UINT32_MAX;
    c->node_count += count;
    return begin;
}

static void link_edge(least_cut *c, uint32_t from, uint32_t to, double room)
{
    const uint32_t edge = c->edge_count++;
    c->to[edge] = to;
    c->room[edge] = room;
    c->next[edge] = c->first[from];
    c->first[from] = edge;
}

int cut_edge(least_cut *c, uint32_t from, uint32_t to, double room)
{
    if (c->edge_count + 2 > c->edge_room) {
        const uint32_t room_now = 2 * c->edge_room + 64;
        void *wider;
        if (!WIDEN(c->next, room_now) || !WIDEN(c->to, room_now) || !WIDEN(c->room, room_now))
            return 0;
        c->edge_room = room_now;
    }
    link_edge(c, from, to, room);
    link_edge(c, to, from, 0.0);
    return 1;
}

/* How many edges away from the source each node is; `path` is the queue. 0: the sink is out of
 * reach. */
static int measure(least_cut *c)
{
    uint32_t count = 1;
    memset(c->level, 0xff, c->node_count * sizeof *c->level);
    memcpy(c->now, c->first, c->node_count * sizeof *c->now);
    c->level[0] = 0;
    c->path[0] = 0;
    for (uint32_t k = 0; k < count; k++)
        for (uint32_t e = c->first[c->path[k]]; e != UINT32_MAX; e = c->next[e])
            if (c->room[e] > NOTHING && c->level[c->to[e]] == UINT32_MAX) {
                c->level[c->to[e]] = c->level[c->path[k]] + 1;
                c->path[count++] = c->to[e];
            }
    return c->level[1] != UINT32_MAX;
}

/* Fills a path that has reached the sink; answers how much of it stays before its first full edge. */
static uint32_t fill(least_cut *c, uint32_t length)
{
    double least = CUT_ENDLESS;
    uint32_t kept = length;
    for (uint32_t k = 0; k < length; k++)
        least = c->room[c->path[k]] < least ? c->room[c->path[k]] : least;
    for (uint32_t k = length; k-- > 0;) {
        c->room[c->path[k]] -= least;
        c->room[c->path[k] ^ 1] += least;
        kept = c->room[c->path[k]] > NOTHING ? kept : k;
    }
    return kept;
}

/* All that goes through by shortest ways. */
static void block(least_cut *c)
{
    uint32_t length = 0;
    for (;;) {
        const uint32_t at = length ? c->to[c->path[length - 1]] : 0;
        uint32_t *edge = &c->now[at];
        if (at == 1) {
            length = fill(c, length);
            continue;
        }
        while (*edge != UINT32_MAX &&
               !(c->room[*edge] > NOTHING && c->level[c->to[*edge]] == c->level[at] + 1))
            *edge = c->next[*edge];
        if (*edge != UINT32_MAX)
            c->path[length++] = *edge;
        else if (!length)
            return;
        else {
            const uint32_t edge_here = c->path[--length];
            c->now[c->to[edge_here ^ 1]] = c->next[edge_here];
        }
    }
}

void cut_solve(least_cut *c)
{
    while (measure(c))
        block(c);
}

int cut_is_source(const least_cut *c, uint32_t node)
{
    return c->level[node] != UINT32_MAX;
}

void cut_fini(least_cut *c)
{
    free(c->first);
    free(c->next);
    free(c->to);
    free(c->room);
    free(c->level);
    free(c->now);
    free(c->path);
    *c = (least_cut){ 0 };
}
