/* The formula with libm and in long double: what errors are measured against.
 *
 * Reads the number of options and then the six arrays, all numbers doubles, and writes the prices. */
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

static long double normal(long double d) {
    const long double x = fabsl(d), k = 1 / (1 + 0.2316419L * x);
    const long double sum =
        k * (0.319381530L + k * (-0.356563782L + k * (1.781477937L + k * (-1.821255978L + k * 1.330274429L))));
    const long double tail = expl(-x * x / 2) * 0.398942280401432677939946059934L * sum;
    return d < 0 ? tail : 1 - tail;
}

static double *array(size_t count) {
    double *numbers = malloc(8 * count);
    if (!numbers || fread(numbers, 8, count, stdin) != count)
        exit(1);
    return numbers;
}

int main(void) {
    uint64_t count;
    if (fread(&count, sizeof count, 1, stdin) != 1)
        return 1;
    const double *spot = array(count), *strike = array(count), *rate = array(count), *volatility = array(count);
    const double *time = array(count), *put = array(count);
    for (size_t i = 0; i < count; i++) {
        const long double v = volatility[i], t = time[i], r = rate[i];
        const long double spread = v * sqrtl(t), sign = put[i] ? -1 : 1;
        const long double d1 = (logl((long double)spot[i] / strike[i]) + (r + v * v / 2) * t) / spread, d2 = d1 - spread;
        const double price =
            (double)(sign * (spot[i] * normal(sign * d1) - strike[i] * expl(-r * t) * normal(sign * d2)));
        if (fwrite(&price, sizeof price, 1, stdout) != 1)
            return 1;
    }
    return 0;
}
