/* Reads 1000 blocks in single and 1000 in double precision, as they are in memory, and writes their prices by
 * each variant, in single and in double precision, and then by PARSEC's arithmetic. */
#include <stdio.h>

#include "pricing.h"

enum { COUNT = 1000 };

static struct block_single singles[COUNT];
static struct block_double doubles[COUNT];
static float prices[COUNT * LANES];
static double more[COUNT * LANES];

int main(void) {
    if (fread(singles, sizeof singles, 1, stdin) != 1 || fread(doubles, sizeof doubles, 1, stdin) != 1)
        return 1;
    for (size_t i = 0; pricing_variant(i); i++) {
        pricing_variant(i)->single(singles, prices, COUNT);
        pricing_variant(i)->dbl(doubles, more, COUNT);
        if (fwrite(prices, sizeof prices, 1, stdout) != 1 || fwrite(more, sizeof more, 1, stdout) != 1)
            return 1;
    }
    pricing_parsec(singles, prices, COUNT);
    return fwrite(prices, sizeof prices, 1, stdout) != 1;
}
