package portfolio

import (
	"math"
	"strconv"
)

// generated is an option in the units in which text has it, so that it is the same in text and in
// both precisions.
type generated struct {
	spot, strike     uint64 // cents
	rate             uint64 // of 1/10000 a year
	volatility, time uint64 // of 1/100
	put              bool
}

// generate is option i of a seed.
//
// Its values are as in PARSEC's data, which is 1000 options again and again: a spot price from 20.00
// to 99.99, a strike price of 75 to 125 % of that, a rate from 0.0100 to 0.1000, a volatility from
// 0.05 to 0.65, and a time from 0.05 to 1.00. They are equally distributed and independent; half of
// the options are puts.
func generate(i int64, seed uint64) generated {
	key := mix(seed)
	a, b, c := mix(key^uint64(4*i)), mix(key^uint64(4*i+1)), mix(key^uint64(4*i+2))
	spot := 2000 + pick(a>>32, 8000)
	return generated{
		spot:       spot,
		strike:     spot * (7500 + pick(a&math.MaxUint32, 5001)) / 10000,
		rate:       100 + pick(b>>32, 901),
		volatility: 5 + pick(b&math.MaxUint32, 61),
		time:       5 + pick(c>>32, 96),
		put:        c&1 != 0,
	}
}

// pick makes one of n numbers, from 0, of a random 32 bits.
func pick(random, n uint64) uint64 { return random * n >> 32 }

// Generate fills blocks with options first, first+1 and so on of a seed, which are the same on every
// machine however they are divided among calls, and pads the last block. The blocks are as many as
// hold n options, see [Blocks]; the values are exactly those that readers read in the text of
// [AppendGenerated].
//
// Unless reference is nil, it gets their prices as float32, and 0 for what is padded; there are Lanes
// places for each block. The prices are, rounded to 18 decimals as in text, what the closed form of Black and Scholes ("The Pricing
// of Options and Corporate Liabilities", Journal of Political Economy 81, 1973, equation 13) gives
// in exact arithmetic, to 1e-11:
//
//	d₁ = (log(S/K) + (r + v²/2)·T) / (v·√T),  d₂ = d₁ − v·√T
//	call = S·Φ(d₁) − K·exp(−r·T)·Φ(d₂)
//	put  = K·exp(−r·T)·Φ(−d₂) − S·Φ(−d₁)
func Generate[T Float](blocks []Block[T], reference []float32, first int64, n int, seed uint64) {
	for i := range n {
		g := generate(first+int64(i), seed)
		b, lane := &blocks[i/Lanes], i%Lanes
		b.Spot[lane] = T(g.spot) / 100
		b.Strike[lane] = T(g.strike) / 100
		b.Rate[lane] = T(g.rate) / 10000
		b.Volatility[lane] = T(g.volatility) / 100
		b.Time[lane] = T(g.time) / 100
		b.Put[lane] = 0
		if g.put {
			b.Put[lane] = 1
		}
		if reference != nil {
			reference[i] = g.reference()
		}
	}
	if used := n % Lanes; used != 0 {
		blocks[n/Lanes].Pad(used)
		if reference != nil {
			clear(reference[n:][:Lanes-used])
		}
	}
}

// AppendGenerated appends options first, first+1 and so on, n of them, of a seed in PARSEC's text
// format, with their reference prices in double precision, to 18 decimals. All machines print the same.
func AppendGenerated(text []byte, first int64, n int, seed uint64) []byte {
	for i := range n {
		g := generate(first+int64(i), seed)
		text = append(appendHundredths(text, g.spot), ' ')
		text = append(appendHundredths(text, g.strike), ' ')
		text = append(appendHundredths(text, g.rate/100), byte('0'+g.rate/10%10), byte('0'+g.rate%10))
		text = append(text, " 0.00 "...)
		text = append(appendHundredths(text, g.volatility), ' ')
		text = appendHundredths(text, g.time)
		if g.put {
			text = append(text, " P 0.00 "...)
		} else {
			text = append(text, " C 0.00 "...)
		}
		text = appendPrice(text, g.price())
	}
	return text
}

func appendHundredths(text []byte, x uint64) []byte {
	if x < 10000 && x >= 1000 {
		text = append(text, byte('0'+x/1000), byte('0'+x/100%10))
	} else {
		text = strconv.AppendUint(text, x/100, 10)
	}
	return append(text, '.', byte('0'+x/10%10), byte('0'+x%10))
}
