/* What the blackscholes of PARSEC 3.0 computes, in single precision, one option at a time. To get its prices
 * to the last bit, every result is rounded to a float when it is there, also those of operations whose
 * other operand is a constant of 64 bits; logarithm, root and exponential are libm's of floats, as C++, in
 * which that program is compiled, chooses them. */
#include <math.h>

#include "pricing.h"

/* A product with a constant of 64 bits. */
static inline float times(double constant, float x) { return (float)(constant * x); }

static float normal(float d) {
    const float x = d < 0 ? -d : d;
    const float density = times(0.39894228040143270286, expf(-0.5f * x * x));
    const float k = (float)(1.0 / (float)(1.0 + times(0.2316419, x)));
    const float k2 = k * k, k3 = k2 * k, k4 = k3 * k, k5 = k4 * k;
    float higher = times(-0.356563782, k2) + times(1.781477937, k3);
    higher = higher + times(-1.821255978, k4);
    higher = higher + times(1.330274429, k5);
    const float sum = higher + times(0.319381530, k);
    const float below = (float)(1.0 - sum * density);
    return d < 0 ? (float)(1.0 - below) : below;
}

void pricing_parsec(const struct block_single *blocks, float *prices, size_t count) {
    for (const struct block_single *b = blocks; b < blocks + count; b++)
        for (size_t i = 0; i < LANES; i++) {
            const float spot = b->spot[i], strike = b->strike[i], rate = b->rate[i], time = b->time[i];
            const float volatility = b->volatility[i];
            const float half = times(0.5, volatility * volatility);
            float d1 = (rate + half) * time;
            d1 = d1 + logf(spot / strike);
            const float spread = volatility * sqrtf(time);
            d1 = d1 / spread;
            const float d2 = d1 - spread;
            const float n1 = normal(d1), n2 = normal(d2);
            const float paid = strike * expf(-rate * time);
            *prices++ = b->put[i] ? paid * (float)(1.0 - n2) - spot * (float)(1.0 - n1) : spot * n1 - paid * n2;
        }
}
