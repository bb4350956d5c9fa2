/* plugins/random/source.c: Philox4x32-10 (Salmon et al., SC 2011) for nodes with a seed of their
 * own; see random.h.
 *
 * SPDX-License-Identifier: MIT */
#include "random.h"

source source_of(tn_run *ctx)
{
    const tn_attribute *seed = tn_attr(ctx->node, "seed");
    source s = { .call = &ctx->call, .seeded = seed && seed->type == TN_ATTR_FLOAT };
    s.turn = ctx->turn;
    const float value = s.seeded ? (float)seed->f : 0.0f;
    memcpy(&s.key, &value, sizeof s.key);
    return s;
}

/* The four numbers of one counter, of a trip. */
static void philox(uint64_t counter, uint64_t turn, uint32_t seed, uint32_t *out)
{
    uint32_t c[4] = { (uint32_t)counter, (uint32_t)(counter >> 32), (uint32_t)turn,
                      (uint32_t)(turn >> 32) };
    uint32_t key[2] = { seed, 0 };
    for (int round = 0; round < 10; round++) {
        const uint64_t a = UINT64_C(0xd2511f53) * c[0], b = UINT64_C(0xcd9e8d57) * c[2];
        const uint32_t next[4] = { (uint32_t)(b >> 32) ^ c[1] ^ key[0], (uint32_t)b,
                                   (uint32_t)(a >> 32) ^ c[3] ^ key[1], (uint32_t)a };
        memcpy(c, next, sizeof c);
        key[0] += UINT32_C(0x9e3779b9);
        key[1] += UINT32_C(0xbb67ae85);
    }
    memcpy(out, c, sizeof c);
}

static void seeded_words(const source *s, uint64_t first, int64_t n, uint32_t *out)
{
    uint32_t four[4];
    for (int64_t k = 0; k < n; k++) {
        const uint64_t i = first + (uint64_t)k;
        if (k == 0 || i % 4 == 0)
            philox(i / 4, s->turn, s->key, four);
        out[k] = four[i % 4];
    }
}

void source_uniform(const source *s, int64_t first, int64_t n, double *out)
{
    uint32_t words[2 * BLOCK];
    if (s->seeded)
        seeded_words(s, 2 * (uint64_t)first, 2 * n, words);
    else
        s->call->host->random(s->call, 0, 2 * (uint64_t)first, 2 * (size_t)n, words);
    for (int64_t k = 0; k < n; k++) {
        const uint64_t bits = (uint64_t)words[2 * k] << 32 | words[2 * k + 1];
        out[k] = (double)(bits >> 11) * 0x1p-53;
    }
}
