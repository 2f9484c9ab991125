/* Reads, prices and writes options as PARSEC's program does, one after the other: what its output is compared with.
 *
 * parsec INPUT OUTPUT
 */
#include <math.h>
#include <stdio.h>

struct option {
    float s, k, r, divq, v, t, divs, reference;
    char type;
};

/* The distribution by Abramowitz and Stegun 26.2.17. Constants are of 64 bits, variables of 32. */
static float distribution(float x) {
    int sign = 0;
    if (x < 0.0) {
        x = -x;
        sign = 1;
    }
    float e = expf(-0.5f * x * x);
    e = e * 0.39894228040143270286;
    float k = 0.2316419 * x;
    k = 1.0 + k;
    k = 1.0 / k;
    float square = k * k;
    float cube = square * k;
    float fourth = cube * k;
    float fifth = fourth * k;
    float first = k * 0.319381530;
    float rest = square * (-0.356563782);
    float next = cube * 1.781477937;
    rest = rest + next;
    next = fourth * (-1.821255978);
    rest = rest + next;
    next = fifth * 1.330274429;
    rest = rest + next;
    first = rest + first;
    float result = first * e;
    result = 1.0 - result;
    return sign ? 1.0 - result : result;
}

static float price(const struct option *o) {
    float root = sqrtf(o->t);
    float log = logf(o->s / o->k);
    float power = o->v * o->v;
    power = power * 0.5;
    float d1 = o->r + power;
    d1 = d1 * o->t;
    d1 = d1 + log;
    float spread = o->v * root;
    d1 = d1 / spread;
    float d2 = d1 - spread;
    float n1 = distribution(d1);
    float n2 = distribution(d2);
    float future = o->k * (expf(-(o->r) * (o->t)));
    if (o->type != 'P')
        return (o->s * n1) - (future * n2);
    float rest1 = 1.0 - n1;
    float rest2 = 1.0 - n2;
    return (future * rest2) - (o->s * rest1);
}

int main(int arguments, char **argument) {
    if (arguments != 3)
        return 2;
    FILE *in = fopen(argument[1], "r"), *out = fopen(argument[2], "w");
    int count;
    if (!in || !out || fscanf(in, "%d", &count) != 1)
        return 1;
    fprintf(out, "%d\n", count);
    for (int i = 0; i < count; i++) {
        struct option o;
        if (fscanf(in, "%f %f %f %f %f %f %c %f %f", &o.s, &o.k, &o.r, &o.divq, &o.v, &o.t, &o.type, &o.divs, &o.reference) != 9)
            return 1;
        fprintf(out, "%.18f\n", price(&o));
    }
    return fclose(out) != 0;
}
