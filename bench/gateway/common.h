/* What the load generator and the sink share: CRC-32C of message octets, a growing buffer, the clock. */
#ifndef MW_BENCH_COMMON_H
#define MW_BENCH_COMMON_H

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static uint32_t crc_table[8][256];

/* Slicing by eight over the reflected polynomial 0x1EDC6F41. */
static inline void crc_setup(void)
{
    for (int i = 0; i < 256; i++) {
        uint32_t c = (uint32_t)i;
        for (int k = 0; k < 8; k++)
            c = c & 1 ? c >> 1 ^ 0x82F63B78u : c >> 1;
        crc_table[0][i] = c;
    }
    for (int i = 0; i < 256; i++)
        for (int t = 1; t < 8; t++)
            crc_table[t][i] = crc_table[t - 1][i] >> 8 ^ crc_table[0][crc_table[t - 1][i] & 255];
}

static inline uint32_t crc_add(uint32_t crc, const unsigned char *p, size_t n)
{
    crc = ~crc;
    for (; n >= 8; n -= 8, p += 8) {
        uint64_t v;
        memcpy(&v, p, 8);
        v ^= crc;
        crc = crc_table[7][v & 255] ^ crc_table[6][v >> 8 & 255] ^ crc_table[5][v >> 16 & 255] ^
              crc_table[4][v >> 24 & 255] ^ crc_table[3][v >> 32 & 255] ^ crc_table[2][v >> 40 & 255] ^
              crc_table[1][v >> 48 & 255] ^ crc_table[0][v >> 56];
    }
    for (; n; n--, p++)
        crc = crc >> 8 ^ crc_table[0][(crc ^ *p) & 255];
    return ~crc;
}

struct buffer {
    unsigned char *data;
    size_t len, room;
};

static void need(struct buffer *b, size_t more)
{
    if (b->room - b->len >= more)
        return;
    size_t room = b->room ? b->room : 65536;
    while (room - b->len < more)
        room *= 2;
    b->data = realloc(b->data, room);
    if (!b->data) {
        fputs("out of memory\n", stderr);
        exit(1);
    }
    b->room = room;
}

static inline void put(struct buffer *b, const void *p, size_t n)
{
    need(b, n);
    memcpy(b->data + b->len, p, n);
    b->len += n;
}

static inline double now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

#endif
