package bytesize

import "testing"

func TestFormat(t *testing.T) {
	for bytes, want := range map[int64]string{
		0: "0 B", 1: "1 B", 1023: "1023 B", 1024: "1 KiB", 1536: "1.5 KiB", 64 << 20: "64 MiB", 1<<30 - 1: "1 GiB",
		1 << 30: "1 GiB", 25276502016: "23.5 GiB", 1<<63 - 1: "8 EiB", -2048: "-2 KiB", -1 << 63: "-8 EiB",
	} {
		if got := Format(bytes); got != want {
			t.Errorf("%d bytes are %q, want %q", bytes, got, want)
		}
	}
}
