package offload

import "testing"

// What is said against offloading is a reason.
func TestComparison(t *testing.T) {
	for _, c := range []struct {
		with float64
		want string
	}{
		{0.003, "a step of 100 items takes 1ms here and 3ms with executors"},
		{0.001001, "a step of 100 items takes 1ms here and 1ms with executors"},
		{0.00099, "a step of 100 items takes 1ms here and hardly less with executors"},
		{0.0005, "a step of 100 items takes 1ms here, too little to send any of it to executors"},
	} {
		if got := comparison(100, 0.001, c.with); got != c.want {
			t.Errorf("%v s: %q; want %q", c.with, got, c.want)
		}
	}
}
