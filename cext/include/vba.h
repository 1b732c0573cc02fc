/* The compressed containers of VBA projects (MS-OVBA s2.4.1): chunks of up to 4096 octets, each with literals and copies
 * that reach back no further than its own begin. */
#ifndef MW_VBA_H
#define MW_VBA_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define MW_VBA_CHUNK_LEN 4096

/* Octets that the container at p[0..n) can yield at most; 0 if it is none. Looks at chunk headers only. */
static size_t mw_vba_bound(const uint8_t *p, size_t n)
{
    size_t i = 1, bound = 0;
    if (n < 3 || p[0] != 1)
        return 0;
    while (n - i >= 2) {
        unsigned header = p[i] | p[i + 1] << 8;
        size_t len = (header & 0xFFF) + 3;
        if ((header & 0x7000) != 0x3000)
            break;
        bound += MW_VBA_CHUNK_LEN;
        if (n - i <= len)
            break;
        i += len;
    }
    return bound;
}

/* Bits that tell how far a copy reaches back, when `made` octets of the chunk exist (1 <= made <= 4096). */
static inline unsigned mw_vba_reach_bits(size_t made)
{
    unsigned bits = 4;
    while (((size_t)1 << bits) < made)
        bits++;
    return bits;
}

/* One compressed chunk p[0..n) to out[0..room); returns octets made, *broken set if it does not hold together. */
static size_t mw_vba_chunk(const uint8_t *p, size_t n, uint8_t *out, size_t room, int *broken)
{
    size_t i = 0, made = 0;
    while (i < n) {
        unsigned flags = p[i++];
        for (int bit = 0; bit < 8 && i < n; bit++, flags >>= 1) {
            if (!(flags & 1)) {
                if (made == room)
                    return made;
                out[made++] = p[i++];
                continue;
            }
            if (n - i < 2 || made == 0) {
                *broken = 1;
                return made;
            }
            unsigned token = p[i] | p[i + 1] << 8, bits = mw_vba_reach_bits(made);
            size_t len = (token & (0xFFFFu >> bits)) + 3, back = (token >> (16 - bits)) + 1;
            i += 2;
            if (back > made) {
                *broken = 1;
                return made;
            }
            if (len > room - made)
                len = room - made;
            for (size_t k = 0; k < len; k++, made++) /* octet by octet: copies overlap what they make */
                out[made] = out[made - back];
            if (made == room)
                return made;
        }
    }
    return made;
}

/* The container at p[0..n) to out[0..room). Returns octets made; *used: octets of the container; *broken: it does not
 * hold together. Every turn uses at least three octets of input. */
static size_t mw_vba_decompress(const uint8_t *p, size_t n, uint8_t *out, size_t room, size_t *used, int *broken)
{
    size_t i = 1, made = 0;
    *broken = 0;
    while (i < n && n - i >= 2 && made < room) {
        unsigned header = p[i] | p[i + 1] << 8;
        size_t len = (header & 0xFFF) + 3, left = room - made, got;
        if ((header & 0x7000) != 0x3000)
            break;
        if (len > n - i) {
            len = n - i;
            *broken = 1;
        }
        if (left > MW_VBA_CHUNK_LEN)
            left = MW_VBA_CHUNK_LEN;
        if (header & 0x8000) {
            got = len > 2 ? mw_vba_chunk(p + i + 2, len - 2, out + made, left, broken) : 0;
        } else {
            got = len - 2 < left ? len - 2 : left;
            memcpy(out + made, p + i + 2, got);
        }
        made += got;
        i += len;
    }
    *used = i;
    return made;
}

#endif
