package bytesize

import "testing"

// Whatever is written: it is refused, or an amount that is not negative and that a value writes so that it
// is read as the same.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{"512M", "1.5G", "0", "9223372036854775807", "8388608T", "1e3", ".", "-1", "1 KiB", "9007199254740993B"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		n, err := Parse(text)
		if err != nil {
			return
		}
		value := Value(n)
		if again, err := Parse(value.String()); n < 0 || again != n || err != nil {
			t.Errorf("%q is %d, which is written %q, which is %d, %v", text, n, value.String(), again, err)
		}
	})
}
