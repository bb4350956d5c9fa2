/* plugins/text/utf8.c: code points in and out of UTF-8 (RFC 3629).
 *
 * SPDX-License-Identifier: MIT */
#include "text.h"

static int is_continuation(char byte)
{
    return ((unsigned char)byte & 0xc0) == 0x80;
}

uint32_t utf8_read(const char *bytes, size_t count, size_t at, size_t *taken)
{
    static const uint32_t lowest[] = { 0, 0x80, 0x800, 0x10000 };
    const unsigned char first = (unsigned char)bytes[at];
    const size_t more = first < 0x80   ? 0
                        : first < 0xc2 ? 4
                        : first < 0xe0 ? 1
                        : first < 0xf0 ? 2
                        : first < 0xf5 ? 3
                                       : 4;
    uint32_t code = more == 0 ? first : first & (0x3fu >> more);
    *taken = 1;
    if (more == 4 || more >= count - at)
        return more == 0 ? code : 0xfffd;
    for (size_t k = 1; k <= more; k++) {
        if (!is_continuation(bytes[at + k]))
            return 0xfffd;
        code = code << 6 | ((unsigned char)bytes[at + k] & 0x3f);
    }
    if (code < lowest[more] || code > 0x10ffff || (code >= 0xd800 && code < 0xe000))
        return 0xfffd;
    *taken = more + 1;
    return code;
}

size_t utf8_write(uint32_t code, char *out)
{
    const size_t more = code < 0x80 ? 0 : code < 0x800 ? 1 : code < 0x10000 ? 2 : 3;
    static const unsigned char heads[] = { 0, 0xc0, 0xe0, 0xf0 };
    for (size_t k = more; k > 0; k--) {
        out[k] = (char)(0x80 | (code & 0x3f));
        code >>= 6;
    }
    out[0] = (char)(heads[more] | code);
    return more + 1;
}

int utf8_is_space(uint32_t code)
{
    return code == ' ' || (code >= 9 && code <= 13) || (code >= 0x1c && code <= 0x1f) ||
           code == 0x85 || code == 0xa0 || code == 0x1680 || (code >= 0x2000 && code <= 0x200a) ||
           code == 0x2028 || code == 0x2029 || code == 0x202f || code == 0x205f || code == 0x3000;
}
