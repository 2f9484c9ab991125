package api_test

import (
	"math/big"
	"testing"

	"pgregory.net/rapid"

	"github.com/sublet-hpc/sublet/resources/api"
)

// Uint128 computes as math/big does, and stops at its ends.
func TestUint128(t *testing.T) {
	most := new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 128), big.NewInt(1))
	number := rapid.Custom(func(t *rapid.T) api.Uint128 {
		hi := rapid.OneOf(rapid.Just(uint64(0)), rapid.Uint64()).Draw(t, "hi")
		return api.Uint128{Hi: hi, Lo: rapid.Uint64().Draw(t, "lo")}
	})
	rapid.Check(t, func(t *rapid.T) {
		a, b := number.Draw(t, "a"), number.Draw(t, "b")
		sum := new(big.Int).Add(a.Big(), b.Big())
		if sum.Cmp(most) > 0 {
			sum = most
		}
		if got := a.Plus(b); got.Big().Cmp(sum) != 0 {
			t.Fatalf("%v + %v = %v", a, b, got)
		}
		difference := new(big.Int).Sub(a.Big(), b.Big())
		if difference.Sign() < 0 {
			difference.SetInt64(0)
		}
		if got := a.Minus(b); got.Big().Cmp(difference) != 0 {
			t.Fatalf("%v - %v = %v", a, b, got)
		}
		if a.Less(b) != (a.Big().Cmp(b.Big()) < 0) {
			t.Fatalf("%v < %v: %v", a, b, a.Less(b))
		}
		product := new(big.Int).Mul(api.Uint128Of(a.Lo).Big(), api.Uint128Of(b.Lo).Big())
		if got := api.Product(a.Lo, b.Lo); got.Big().Cmp(product) != 0 {
			t.Fatalf("%d * %d = %v", a.Lo, b.Lo, got)
		}
		text, err := a.MarshalText()
		var back api.Uint128
		if err != nil || back.UnmarshalText(text) != nil || back != a || string(text) != a.Big().String() {
			t.Fatalf("%v is written as %s and read as %v", a, text, back)
		}
		// What people read is the number itself, too.
		rational, ok := new(big.Rat).SetString(a.Decimal(9))
		if want := new(big.Rat).SetFrac(a.Big(), big.NewInt(1_000_000_000)); !ok || rational.Cmp(want) != 0 {
			t.Fatalf("%v nanoseconds are %s seconds", a, a.Decimal(9))
		}
	})
	for _, wrong := range []string{"", "-1", "1.5", "1e3", " 1", "x", "340282366920938463463374607431768211456", "9999999999999999999999999999999999999999"} {
		var u api.Uint128
		if err := u.UnmarshalText([]byte(wrong)); err == nil {
			t.Errorf("%q is read as %v", wrong, u)
		}
	}
	for _, c := range []struct {
		of   api.Uint128
		want string
	}{{api.Uint128{}, "0"}, {api.Uint128Of(1), "0.000000001"}, {api.Uint128Of(1_500_000_000), "1.5"}, {api.Uint128Of(20_000_000_000), "20"}} {
		if got := c.of.Decimal(9); got != c.want {
			t.Errorf("%v: %s, want %s", c.of, got, c.want)
		}
	}
}
