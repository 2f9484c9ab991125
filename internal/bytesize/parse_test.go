package bytesize

import "testing"

func TestParse(t *testing.T) {
	for text, want := range map[string]int64{
		"0": 0, "1": 1, "100b": 100, "4k": 4096, "512M": 512 << 20, "2 GiB": 2 << 30, "3gb": 3 << 30, " 1T ": 1 << 40,
		"1.5G": 3 << 29, "0.5KiB": 512, "2.0": 2, "9223372036854775807": 1<<63 - 1, "5000TiB": 5000 << 40,
	} {
		if got, err := Parse(text); err != nil || got != want {
			t.Errorf("%q is %d (%v), want %d", text, got, err, want)
		}
	}
	for _, text := range []string{
		"", "M", "-1", "+1", "12 apples", "1X", "1IB", "1MM", "9999999999T", "9223372036854775808", "99999999999999999999", "1.5", "0.3B", "1..5", ".", "9999.5T",
		"1e3", "0x10", "1_000", "inf", "nan",
	} {
		if got, err := Parse(text); err == nil {
			t.Errorf("%q was read as %d", text, got)
		}
	}
}

// What one program writes, another reads to be the same.
func TestValue(t *testing.T) {
	for text, want := range map[string]string{
		"0": "0", "64M": "64MiB", "1.5G": "1536MiB", "1048577": "1048577", "1023": "1023", "3T": "3TiB", "1025K": "1025KiB", "2048T": "2048TiB",
	} {
		var first, second Value
		if err := first.Set(text); err != nil || first.String() != want {
			t.Errorf("%s is written %s, want %s: %v", text, &first, want, err)
		}
		if err := second.Set(first.String()); err != nil || first != second {
			t.Errorf("%s is written %s, and read %d: %v", text, &first, second, err)
		}
	}
	var v Value
	if err := v.Set("much"); err == nil {
		t.Error("much was read")
	}
}
