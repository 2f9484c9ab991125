package bytesize

import "testing"

func TestFormat(t *testing.T) {
	for bytes, want := range map[int64]string{
		0: "0 B", 1: "1 B", 1023: "1023 B", 1024: "1 KiB", 1536: "1.5 KiB", 64 << 20: "64 MiB", 1<<30 - 1: "1 GiB",
		1 << 30: "1 GiB", 25276502016: "23.5 GiB", 1<<63 - 1: "8 EiB", -2048: "-2 KiB",
	} {
		if got := Format(bytes); got != want {
			t.Errorf("%d bytes are %q, want %q", bytes, got, want)
		}
	}
}

func TestParse(t *testing.T) {
	for text, want := range map[string]int64{
		"0": 0, "1": 1, "100b": 100, "4k": 4096, "512M": 512 << 20, "2 GiB": 2 << 30, "3gb": 3 << 30, " 1T ": 1 << 40,
	} {
		if got, err := Parse(text); err != nil || got != want {
			t.Errorf("%q is %d (%v), want %d", text, got, err, want)
		}
	}
	for _, text := range []string{"", "M", "-1", "1.5G", "12 apples", "1X", "1IB", "1MM", "9999999999T"} {
		if got, err := Parse(text); err == nil {
			t.Errorf("%q was read as %d", text, got)
		}
	}
}

func TestValue(t *testing.T) {
	var v Value
	if err := v.Set("64M"); err != nil || v != 64<<20 || v.String() != "64MiB" {
		t.Errorf("%d, %s: %v", v, v.String(), err)
	}
	if err := v.Set("much"); err == nil {
		t.Error("much was read")
	}
}
