/* What a compiler makes of the formula, written down as one would: the floor that the kernels are held against.
 * PARSEC's arithmetic and PARSEC's arrays, one for each field; built with -O3 -march=native -ffast-math.
 *
 * floor REPEATS: reads the number of options and then the six arrays from standard input, prices them as often as
 * that, and prints the seconds of each time. */
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static float normal(float d) {
    const int negative = d < 0;
    if (negative)
        d = -d;
    const float density = expf(-0.5f * d * d) * 0.39894228040143270286f;
    const float k = 1.0f / (1.0f + 0.2316419f * d);
    const float k2 = k * k, k3 = k2 * k, k4 = k3 * k, k5 = k4 * k;
    const float sum = k * 0.319381530f + k2 * -0.356563782f + k3 * 1.781477937f + k4 * -1.821255978f + k5 * 1.330274429f;
    const float below = 1.0f - sum * density;
    return negative ? 1.0f - below : below;
}

static float price(float spot, float strike, float rate, float volatility, float time, int put) {
    const float spread = volatility * sqrtf(time);
    const float d1 = ((rate + volatility * volatility * 0.5f) * time + logf(spot / strike)) / spread;
    const float n1 = normal(d1), n2 = normal(d1 - spread);
    const float paid = strike * expf(-rate * time);
    return put ? paid * (1.0f - n2) - spot * (1.0f - n1) : spot * n1 - paid * n2;
}

static double seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static void *array(size_t count) {
    void *numbers = aligned_alloc(64, (4 * count + 63) / 64 * 64);
    if (!numbers || fread(numbers, 4, count, stdin) != count)
        exit(1);
    return numbers;
}

int main(int arguments, char **argument) {
    uint64_t count;
    if (arguments != 2 || fread(&count, sizeof count, 1, stdin) != 1)
        return 1;
    const float *spot = array(count), *strike = array(count), *rate = array(count), *volatility = array(count);
    const float *time = array(count);
    const int32_t *put = array(count);
    float *prices = aligned_alloc(64, (4 * count + 63) / 64 * 64);
    if (!prices)
        return 1;
    for (size_t i = 0; i < count; i++)
        prices[i] = 0;
    for (int repeats = atoi(argument[1]); repeats > 0; repeats--) {
        const double start = seconds();
        for (size_t i = 0; i < count; i++)
            prices[i] = price(spot[i], strike[i], rate[i], volatility[i], time[i], put[i]);
        printf("%.9f\n", seconds() - start);
    }
    double sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += prices[i];
    fprintf(stderr, "%.6f\n", sum / (double)count);
    return 0;
}
