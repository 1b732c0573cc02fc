/* Lines of header sections. */
#ifndef MW_SECTION_H
#define MW_SECTION_H

#include "span.h"

/* End of the line that begins at i < n: the first CR or LF, or n. Notes in flags (mime.pyx) what mail may not hold. */
static inline size_t mw_section_line(const uint8_t *p, size_t n, size_t i, int *flags, int wide)
{
    for (;;) {
        i += mw_find3(p + i, n - i, '\r', '\n', 0, wide);
        if (i == n || p[i] == '\n')
            return i;
        if (p[i] == '\r') {
            if (n - i < 2 || p[i + 1] != '\n')
                *flags |= 2;
            return i;
        }
        *flags |= 1;
        i++;
    }
}

#endif
