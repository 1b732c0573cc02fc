/* CRC-32C (Castagnoli, RFC 3720 appendix B.4): reflected polynomial 0x82F63B78, all ones in, inverted out.
 *
 * The instruction takes eight octets every cycle but answers after three, so one chain runs at a third of its speed.
 * Hence three chains over neighbouring lanes. A chain's value is moved over the octets of the next lane by a table: the
 * register is linear, so what L zero octets do to it is the exclusive-or of what they do to each of its bits. Of what is
 * larger than the caches (a definitions image) lanes are longer than a page, and the next round is fetched ahead.
 */
#ifndef MW_CRC32C_H
#define MW_CRC32C_H

#include "cpu.h"

enum { MW_LANE_VAST = 8192, MW_LANE_LONG = 2048, MW_LANE_SHORT = 256 };

typedef struct {
    uint32_t octet[8][256]; /* [k][v]: octet v followed by k zero octets */
    uint32_t over_vast[4][256]; /* [k][v]: octet k of the register is v, then a lane of zeros */
    uint32_t over_long[4][256];
    uint32_t over_short[4][256];
} mw_crc_tables;

static mw_crc_tables mw_crc; /* filled once at import, then read only */

MW_INLINE uint64_t mw_load64le(const uint8_t *p)
{
    uint64_t v;
    memcpy(&v, p, sizeof v);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    v = __builtin_bswap64(v);
#endif
    return v;
}

/* Slicing by 8: the portable twin. crc is the bare register. */
static uint32_t mw_crc32c_scalar(uint32_t crc, const uint8_t *p, size_t n)
{
    for (; n >= 8; p += 8, n -= 8) {
        uint64_t v = mw_load64le(p) ^ crc;
        crc = 0;
        for (int k = 0; k < 8; k++)
            crc ^= mw_crc.octet[7 - k][(v >> (8 * k)) & 0xff];
    }
    for (; n != 0; p++, n--)
        crc = crc >> 8 ^ mw_crc.octet[0][(crc ^ *p) & 0xff];
    return crc;
}

static void mw_crc_lane_init(uint32_t table[4][256], size_t lane)
{
    static const uint8_t zeros[256];
    uint32_t bit[32];
    for (int b = 0; b < 32; b++) {
        bit[b] = (uint32_t)1 << b;
        for (size_t at = 0; at < lane; at += sizeof zeros)
            bit[b] = mw_crc32c_scalar(bit[b], zeros, sizeof zeros);
    }
    for (int k = 0; k < 4; k++)
        for (int v = 0; v < 256; v++) {
            table[k][v] = 0;
            for (int b = 0; b < 8; b++)
                if (v >> b & 1)
                    table[k][v] ^= bit[8 * k + b];
        }
}

static void mw_crc32c_init(void)
{
    for (uint32_t v = 0; v < 256; v++) {
        uint32_t crc = v;
        for (int b = 0; b < 8; b++)
            crc = crc >> 1 ^ (crc & 1 ? 0x82F63B78u : 0);
        mw_crc.octet[0][v] = crc;
    }
    for (int k = 1; k < 8; k++)
        for (int v = 0; v < 256; v++) {
            uint32_t before = mw_crc.octet[k - 1][v];
            mw_crc.octet[k][v] = before >> 8 ^ mw_crc.octet[0][before & 0xff];
        }
    mw_crc_lane_init(mw_crc.over_vast, MW_LANE_VAST);
    mw_crc_lane_init(mw_crc.over_long, MW_LANE_LONG);
    mw_crc_lane_init(mw_crc.over_short, MW_LANE_SHORT);
}

#if MW_X86
MW_INLINE uint32_t mw_crc_over(uint32_t table[4][256], uint32_t crc)
{
    return table[0][crc & 0xff] ^ table[1][crc >> 8 & 0xff] ^ table[2][crc >> 16 & 0xff] ^ table[3][crc >> 24];
}

#define MW_CRC_LANES(lane, table, ahead)                                                                               \
    for (; n >= 3 * (size_t)(lane); p += 3 * (lane), n -= 3 * (size_t)(lane)) {                                        \
        uint64_t a = crc, b = 0, c = 0;                                                                                \
        for (size_t row = 0; row < (lane); row += 64) {                                                                \
            if (ahead)                                                                                                 \
                for (int k = 3; k < 6; k++)                                                                            \
                    _mm_prefetch((const char *)((uintptr_t)p + row + (size_t)k * (lane)), _MM_HINT_T0);                \
            for (size_t at = row; at < row + 64; at += 8) {                                                            \
                a = _mm_crc32_u64(a, mw_load64le(p + at));                                                             \
                b = _mm_crc32_u64(b, mw_load64le(p + at + (lane)));                                                    \
                c = _mm_crc32_u64(c, mw_load64le(p + at + 2 * (lane)));                                                \
            }                                                                                                          \
        }                                                                                                              \
        crc = mw_crc_over(table, (uint32_t)a) ^ (uint32_t)b;                                                           \
        crc = mw_crc_over(table, crc) ^ (uint32_t)c;                                                                   \
    }

MW_TARGET("sse4.2") static uint32_t mw_crc32c_sse42(uint32_t crc, const uint8_t *p, size_t n)
{
    MW_CRC_LANES(MW_LANE_VAST, mw_crc.over_vast, 1)
    MW_CRC_LANES(MW_LANE_LONG, mw_crc.over_long, 0)
    MW_CRC_LANES(MW_LANE_SHORT, mw_crc.over_short, 0)
    for (; n >= 8; p += 8, n -= 8)
        crc = (uint32_t)_mm_crc32_u64(crc, mw_load64le(p));
    for (; n != 0; p++, n--)
        crc = _mm_crc32_u8(crc, *p);
    return crc;
}
#endif

static inline uint32_t mw_crc32c(uint32_t value, const uint8_t *p, size_t n, int wide)
{
#if MW_X86
    if (wide)
        return ~mw_crc32c_sse42(~value, p, n);
#endif
    (void)wide;
    return ~mw_crc32c_scalar(~value, p, n);
}

#endif
