/* sha256: FIPS 180-4, to name inputs and to compare outputs. */
#ifndef SHA256_H
#define SHA256_H

#include <stddef.h>
#include <stdint.h>

struct sha256 {
    uint32_t state[8];
    uint64_t length;
    uint8_t block[64];
};

void sha256_begin(struct sha256 *hash);
void sha256_add(struct sha256 *hash, const void *data, size_t length);
/* Lower-case hexadecimal and a '\0'. */
void sha256_end(struct sha256 *hash, char text[65]);

#endif
