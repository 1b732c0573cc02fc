/* libmspack on memory: an input that is read, an output of a bounded length, no file and no message. */
#ifndef MW_MSPACK_MEMORY_H
#define MW_MSPACK_MEMORY_H

#include <mspack.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* What libmspack takes for a file: it knows pointers to it alone. An output that is full fails the call that would
 * write more. */
struct mw_mspack_file {
    const uint8_t *in;
    uint8_t *out;
    size_t len; /* of the input, or room for output */
    size_t at;
    int full; /* there was more than the output has room for */
};

/* The first member is what libmspack hands back to its callbacks. */
struct mw_mspack {
    struct mspack_system system;
    struct mw_mspack_file input;
    struct mw_mspack_file output;
};

static struct mspack_file *mw_mspack_open(struct mspack_system *self, const char *name, int mode)
{
    struct mw_mspack *memory = (struct mw_mspack *)self;
    struct mw_mspack_file *file = mode == MSPACK_SYS_OPEN_READ ? &memory->input : &memory->output;

    (void)name;
    file->at = 0;
    return (struct mspack_file *)file;
}

static void mw_mspack_close(struct mspack_file *file)
{
    (void)file;
}

static int mw_mspack_read(struct mspack_file *given, void *buffer, int bytes)
{
    struct mw_mspack_file *file = (struct mw_mspack_file *)given;
    size_t n = bytes < 0 ? 0 : (size_t)bytes;

    if (file->in == NULL)
        return -1;
    if (n > file->len - file->at)
        n = file->len - file->at;
    if (n != 0)
        memcpy(buffer, file->in + file->at, n);
    file->at += n;
    return (int)n;
}

static int mw_mspack_write(struct mspack_file *given, void *buffer, int bytes)
{
    struct mw_mspack_file *file = (struct mw_mspack_file *)given;
    size_t n = bytes < 0 ? 0 : (size_t)bytes;

    if (file->in != NULL)
        return -1;
    if (n > file->len - file->at)
        n = file->len - file->at;
    if (n != 0)
        memcpy(file->out + file->at, buffer, n);
    file->at += n;
    if ((int)n == bytes)
        return bytes;
    file->full = 1;
    return -1;
}

static int mw_mspack_seek(struct mspack_file *given, off_t offset, int mode)
{
    struct mw_mspack_file *file = (struct mw_mspack_file *)given;
    off_t from = mode == MSPACK_SYS_SEEK_CUR ? (off_t)file->at : mode == MSPACK_SYS_SEEK_END ? (off_t)file->len : 0;
    off_t to;

    if (__builtin_add_overflow(from, offset, &to) || to < 0 || (size_t)to > file->len)
        return -1;
    file->at = (size_t)to;
    return 0;
}

static off_t mw_mspack_tell(struct mspack_file *file)
{
    return (off_t)((struct mw_mspack_file *)file)->at;
}

static void mw_mspack_message(struct mspack_file *file, const char *format, ...)
{
    (void)file;
    (void)format;
}

static void *mw_mspack_alloc(struct mspack_system *self, size_t bytes)
{
    (void)self;
    return malloc(bytes);
}

static void mw_mspack_copy(void *from, void *to, size_t bytes)
{
    memmove(to, from, bytes);
}

static inline void mw_mspack_init(struct mw_mspack *memory, const uint8_t *in, size_t in_len, uint8_t *out, size_t room)
{
    const struct mspack_system system = {
        mw_mspack_open, mw_mspack_close,   mw_mspack_read,  mw_mspack_write, mw_mspack_seek,
        mw_mspack_tell, mw_mspack_message, mw_mspack_alloc, free,            mw_mspack_copy, NULL,
    };

    memset(memory, 0, sizeof(*memory));
    memory->system = system;
    memory->input.in = in;
    memory->input.len = in_len;
    memory->output.out = out;
    memory->output.len = room;
}

/* The compressed section of a CHM from its start on, as much of it as there is room for. Returns an error of libmspack.
 *
 * All of the directory is read, so that nothing is looked up by its index: one that goes in circles would be followed
 * for ever. What the directory does not have is given as empty for the same reason. */
static int mw_mspack_section(struct mw_mspack *memory)
{
    struct mschm_decompressor *chm = mspack_create_chm_decompressor(&memory->system);
    struct mschmd_header *header;
    struct mschmd_file whole = {0}, none = {0};
    int error;

    if (chm == NULL)
        return MSPACK_ERR_NOMEMORY;
    header = chm->open(chm, "in");
    if (header == NULL) {
        error = chm->last_error(chm);
        mspack_destroy_chm_decompressor(chm);
        return error;
    }
    none.section = &header->sec0.base;
    none.filename = "";
    whole.section = &header->sec1.base;
    whole.length = (off_t)memory->output.len;
    whole.filename = "";
    if (header->sec1.rtable == NULL)
        header->sec1.rtable = &none;
    if (header->sec1.spaninfo == NULL)
        header->sec1.spaninfo = &none;
    if (header->sec1.content == NULL || header->sec1.control == NULL)
        error = MSPACK_ERR_DATAFORMAT;
    else
        error = chm->extract(chm, &whole, "out");
    chm->close(chm, header);
    mspack_destroy_chm_decompressor(chm);
    return error;
}

/* A file of COMPRESS.EXE (SZDD). */
static int mw_mspack_expand(struct mw_mspack *memory)
{
    struct msszdd_decompressor *szdd = mspack_create_szdd_decompressor(&memory->system);
    int error;

    if (szdd == NULL)
        return MSPACK_ERR_NOMEMORY;
    error = szdd->decompress(szdd, "in", "out");
    mspack_destroy_szdd_decompressor(szdd);
    return error;
}

#endif
