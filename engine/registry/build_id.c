/* The build id of a shared object: what its linker computed of its contents, read from the file
 * without loading it (System V ABI, program headers and notes; the note's name is "GNU", its type
 * NT_GNU_BUILD_ID). Stripping and copying keep it.
 *
 * In: a path. Out: the id as hexadecimal text; false when the file has none.
 * SPDX-License-Identifier: MIT */
#define _GNU_SOURCE 1
#include "engine/registry/tables.h"

#include <elf.h>
#include <fcntl.h>
#include <link.h>
#include <stdio.h>
#include <unistd.h>

/* Headers and this note stand in an object's first page. */
typedef struct head {
    _Alignas(16) unsigned char bytes[4096];
    size_t count;
} head;

static bool read_head(const char *file, head *h)
{
    const int fd = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    const ssize_t count = fd < 0 ? -1 : pread(fd, h->bytes, sizeof h->bytes, 0);
    if (fd >= 0)
        close(fd);
    h->count = count > 0 ? (size_t)count : 0;
    return count > 0;
}

/* Copies [offset, offset + bytes) of the head; false where that is not all inside. */
static bool take(const head *h, uint64_t offset, void *to, size_t bytes)
{
    if (offset > h->count || h->count - offset < bytes)
        return false;
    memcpy(to, h->bytes + offset, bytes);
    return true;
}

static void write_hex(const unsigned char *bytes, size_t count, char *text)
{
    for (size_t k = 0; k < count; k++)
        snprintf(text + 2 * k, 3, "%02x", bytes[k]);
}

/* The notes in [offset, end), each a header, a name and a descriptor, both padded to 4 bytes. */
static bool find_note(const head *h, uint64_t offset, uint64_t end, char *text)
{
    ElfW(Nhdr) note;
    unsigned char id[TN_BUILD_ID_BYTES];
    char name[4];
    while (offset < end && take(h, offset, &note, sizeof note)) {
        const uint64_t at = offset + sizeof note;
        const uint64_t descriptor = at + tn_align(note.n_namesz, 4);
        if (note.n_type == NT_GNU_BUILD_ID && note.n_namesz == sizeof name &&
            take(h, at, name, sizeof name) && memcmp(name, "GNU", sizeof name) == 0)
            return note.n_descsz && note.n_descsz <= sizeof id &&
                   take(h, descriptor, id, note.n_descsz) &&
                   (write_hex(id, note.n_descsz, text), true);
        offset = descriptor + tn_align(note.n_descsz, 4);
    }
    return false;
}

bool tn_build_id(const char *file, char text[TN_BUILD_ID_TEXT])
{
    head h;
    ElfW(Ehdr) header;
    ElfW(Phdr) part;
    const unsigned char own = sizeof(void *) == 8 ? ELFCLASS64 : ELFCLASS32;
    if (!read_head(file, &h) || !take(&h, 0, &header, sizeof header) ||
        memcmp(header.e_ident, ELFMAG, SELFMAG) != 0 || header.e_ident[EI_CLASS] != own ||
        header.e_phentsize != sizeof part)
        return false;
    for (uint32_t k = 0; k < header.e_phnum; k++)
        if (take(&h, header.e_phoff + (uint64_t)k * sizeof part, &part, sizeof part) &&
            part.p_type == PT_NOTE &&
            find_note(&h, part.p_offset, part.p_offset + part.p_filesz, text))
            return true;
    return false;
}
