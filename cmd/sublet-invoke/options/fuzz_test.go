package options

import "testing"

// Whatever is written: it is refused, or a time that is not negative and is written so that it is read as
// the same.
func FuzzDuration(f *testing.F) {
	for _, seed := range []string{"30s", "1h30m", "01:30:00", "9999:59:59", "00:60:00", "-1s", "2562047h47m16.854775807s", "1e9s", ".5s", "0"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var d, again Duration
		if d.Set(text) != nil {
			return
		}
		if err := again.Set(d.String()); d < 0 || again != d || err != nil {
			t.Errorf("%q is %s, which is %s, %v", text, d.String(), again.String(), err)
		}
	})
}
