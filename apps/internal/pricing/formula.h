/* The closed form of Black and Scholes for one width of vectors. It is included once for each precision,
 * with these defined:
 *
 *   NAME(x)        x with the precision's and the width's name
 *   TARGET         attribute of functions that use the width's instructions
 *   scalar, bits   a floating-point number and an unsigned integer of its size
 *   V, U           vectors of WIDTH of them
 *   BLOCK          struct of 16 options
 *   MULTIPLY_ADD(a, b, c), ROOT(a), LEAST(a, b), MOST(a, b)
 *   DOUBLE         1 or 0
 *
 *   d1 = (ln(S/K) + (r + v²/2) T) / (v √T)        d2 = d1 - v √T
 *   call = S N(d1) - K exp(-rT) N(d2)             put = K exp(-rT) N(-d2) - S N(-d1)
 *
 * N is the polynomial of Abramowitz and Stegun, Handbook of Mathematical Functions, 26.2.17, whose own
 * error is below 7.5e-8: for x >= 0, N(-x) = φ(x) (b1 k + b2 k² + ... + b5 k⁵) with k = 1 / (1 + 0.2316419 x).
 * The polynomials of exp and log were computed for this file, by Remez's algorithm in 60 digits.
 */

#define INLINE static inline __attribute__((always_inline)) TARGET

#if DOUBLE
#define MANTISSA 52
#define EXPONENTS 2048      /* that numbers have */
#define MAGIC 0x1.8p52      /* added to a small integer it leaves that in the last bits */
#define LN2_HIGH 0x1.62e42fefa3800p-1 /* times an exponent it is exact */
#define LN2_LOW 5.4979230187083711747e-14
#define SMALLEST 1e-290     /* v √T, S and K are taken for as much */
#define FARTHEST 37.0       /* φ of it is no subnormal number; N of it is 1 */
#define STEEPEST 700.0      /* |rT| counts up to this: exp of it is finite, and of its negative not 0 */
#define LARGEST 0x1p1023
#else
#define MANTISSA 23
#define EXPONENTS 256
#define MAGIC 0x1.8p23f
#define LN2_HIGH 0x1.62e4p-1f
#define LN2_LOW 1.4286068203094172321e-6f
#define SMALLEST 1e-35f
#define FARTHEST 13.0f
#define STEEPEST 80.0f
#define LARGEST 0x1p127f
#endif

INLINE V NAME(all)(double value) {
    V v;
    for (size_t i = 0; i < sizeof v / sizeof v[0]; i++)
        v[i] = (scalar)value;
    return v;
}

INLINE V NAME(load)(const scalar *from) {
    V v;
    __builtin_memcpy(&v, from, sizeof v);
    return v;
}

#define ALL(value) NAME(all)(value)
#define STEP(sum, x, coefficient) ((sum) = MULTIPLY_ADD((sum), (x), ALL(coefficient)))

/* exp(x), |x| at most STEEPEST: x = n ln2 + r, and exp(r) = 1 + r + r² q(r). */
INLINE V NAME(exponential)(V x) {
    const V shifted = MULTIPLY_ADD(x, ALL(1.4426950408889634074), ALL(MAGIC));
    const V n = shifted - ALL(MAGIC);
    const V r = MULTIPLY_ADD(n, ALL(-LN2_LOW), MULTIPLY_ADD(n, ALL(-LN2_HIGH), x));
#if DOUBLE
    V q = ALL(2.511120397630788978e-8);
    STEP(q, r, 2.762134082562083231e-7);
    STEP(q, r, 2.755723924445853349e-6);
    STEP(q, r, 0.00002480151863611151965);
    STEP(q, r, 0.0001984126988935183831);
    STEP(q, r, 0.001388888891894321453);
    STEP(q, r, 0.00833333333332129466);
    STEP(q, r, 0.04166666666662062867);
    STEP(q, r, 0.1666666666666667534);
    STEP(q, r, 0.5000000000000001128);
#else
    V q = ALL(0.001394216536);
    STEP(q, r, 0.008363776015);
    STEP(q, r, 0.0416663634);
    STEP(q, r, 0.1666657336);
    STEP(q, r, 0.5000000029);
#endif
    const V p = MULTIPLY_ADD(r * r, q, r) + ALL(1);
    return (V)((U)p + ((U)shifted << MANTISSA));
}

/* ln(a/b) of positive numbers: a = c 2^e with c/b between 2/3 and 3/2, and ln(c/b) = 2 artanh(z) with
 * z = (c-b) / (c+b), which is as exact as can be where a is nearly b. */
INLINE V NAME(log_ratio)(V a, V b) {
    const bits half = (bits)1 << (MANTISSA - 1), bias = (bits)EXPONENTS << MANTISSA;
    const U e = (((U)a - (U)b) + (half + bias)) >> MANTISSA; /* and EXPONENTS */
    const V c = (V)((U)a - ((e - EXPONENTS) << MANTISSA));
    const V exponent = (V)((U)ALL(MAGIC) + (e - EXPONENTS)) - ALL(MAGIC);
    const V z = (c - b) / (c + b), w = z * z;
#if DOUBLE
    V g = ALL(0.1361636497318448115);
    STEP(g, w, 0.1320872816687264381);
    STEP(g, w, 0.1538891911440898925);
    STEP(g, w, 0.1818173629838117557);
    STEP(g, w, 0.2222222306593357669);
    STEP(g, w, 0.2857142856716551266);
    STEP(g, w, 0.4000000000000819994);
    STEP(g, w, 0.6666666666666666408);
#else
    V g = ALL(0.2996679228);
    STEP(g, w, 0.3997864151);
    STEP(g, w, 0.666667149);
#endif
    const V low = MULTIPLY_ADD(exponent, ALL(LN2_LOW), z * w * g);
    return MULTIPLY_ADD(exponent, ALL(LN2_HIGH), z + z + low);
}

/* N(-x) for x from 0 to FARTHEST; u = 1 - k. The polynomial is that of k, multiplied out for u: where the tail is
 * large u is small, and the terms with their different signs take no digits from the sum. */
INLINE V NAME(tail)(V x, V u) {
    const V density = NAME(exponential)(x * x * ALL(-0.5)) * ALL(0.39894228040143267794);
    V sum = ALL(-1.330274429);
    STEP(sum, u, 4.830116167);
    STEP(sum, u, -7.799198315);
    STEP(sum, u, 7.363078451);
    STEP(sum, u, -4.317036010);
    STEP(sum, u, 1.253314136);
    return density * sum;
}

/* N(d), where tail is N(-|d|). */
INLINE V NAME(normal)(V d, V tail) {
    const U negative = -((U)d >> (8 * sizeof(scalar) - 1));
    return (V)(((U)tail & negative) | ((U)(ALL(1) - tail) & ~negative));
}

INLINE V NAME(price)(V spot, V strike, V rate, V volatility, V time, U put) {
    const U top = (U)ALL(-0.0);
    const V spread = MOST(volatility * ROOT(time), ALL(SMALLEST));
    const V drift = MULTIPLY_ADD(volatility * volatility, ALL(0.5), rate);
    const V log = NAME(log_ratio)(MOST(spot, ALL(SMALLEST)), MOST(strike, ALL(SMALLEST)));
    const V d1 = MULTIPLY_ADD(drift, time, log) / spread;
    const V d2 = d1 - spread;

    /* Both us, s / (1 + s), by one division. */
    const V x1 = LEAST((V)((U)d1 & ~top), ALL(FARTHEST)), x2 = LEAST((V)((U)d2 & ~top), ALL(FARTHEST));
    const V s1 = x1 * ALL(0.2316419), s2 = x2 * ALL(0.2316419), t1 = s1 + ALL(1), t2 = s2 + ALL(1);
    const V both = ALL(1) / (t1 * t2);
    const V n1 = NAME(normal)((V)((U)d1 ^ put), NAME(tail)(x1, s1 * (t2 * both)));
    const V n2 = NAME(normal)((V)((U)d2 ^ put), NAME(tail)(x2, s2 * (t1 * both)));

    const V discount = NAME(exponential)(MOST(LEAST(-rate * time, ALL(STEEPEST)), ALL(-STEEPEST)));
    const V paid = LEAST(strike * discount, ALL(LARGEST)) * n2;
    return (V)((U)MULTIPLY_ADD(spot, n1, -paid) ^ put);
}

TARGET static void NAME(blocks)(const BLOCK *blocks, scalar *prices, size_t count) {
    enum { WIDTH = sizeof(V) / sizeof(scalar) };
    for (const BLOCK *b = blocks; b < blocks + count; b++, prices += LANES)
        for (size_t i = 0; i < LANES; i += WIDTH) {
            U put;
            for (size_t k = 0; k < WIDTH; k++)
                put[k] = (bits)b->put[i + k] << (8 * sizeof(scalar) - 1);
            const V price = NAME(price)(NAME(load)(b->spot + i), NAME(load)(b->strike + i), NAME(load)(b->rate + i),
                                        NAME(load)(b->volatility + i), NAME(load)(b->time + i), put);
            __builtin_memcpy(prices + i, &price, sizeof price);
        }
}

#undef INLINE
#undef MANTISSA
#undef EXPONENTS
#undef MAGIC
#undef LN2_HIGH
#undef LN2_LOW
#undef SMALLEST
#undef FARTHEST
#undef STEEPEST
#undef LARGEST
#undef ALL
#undef STEP
