// Package pricing prices options by the closed form of Black and Scholes.
//
// [Vector] is C that prices up to 16 options at once, with the vectors that the CPU has. The same C, compiled
// for executors, is in the function library libblackscholes.so, and gives the same prices to the last bit on
// CPUs with the same vectors. [Parsec] is C that does PARSEC's operations one by one, with libm, for its prices to
// the last bit. [Go] is pure Go, for comparison.
//
// # The formula
//
//	d1 = (ln(S/K) + (r + v²/2) T) / (v √T)        d2 = d1 - v √T
//	call = S N(d1) - K exp(-rT) N(d2)             put = K exp(-rT) N(-d2) - S N(-d1)
//
// as PARSEC's program has it: N is the polynomial of Abramowitz and Stegun, Handbook of Mathematical Functions,
// 26.2.17, which is off by 7.5e-8 at most.
//
// # Errors
//
// Vector and Go differ from that formula, evaluated with libm in more digits, by less than [ErrorBound] of S + K exp(-rT);
// with PARSEC's inputs that is at most 3e-5 in single precision, and 1e-13 in double. Where time or
// volatility is 0, or so small that it makes no difference, the price is the limit: what exercising the option
// at the discounted strike brings, or 0. With finite numbers, S and K not below 0 and |rT| up to 80, no
// price is NaN; beyond that rT counts as 80 (700 in double precision). Parsec gives NaN where that program
// does.
package pricing
