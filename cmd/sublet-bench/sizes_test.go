package main

import "testing"

func TestSizes(t *testing.T) {
	for text, want := range map[string]string{
		"8": "8", "1KiB,8": "8,1KiB", "1..16": "1,2,4,8,16", "1..20": "1,2,4,8,16,20", "0": "0", "0,8..8": "0,8",
		"512KiB..4MiB": "512KiB,1MiB,2MiB,4MiB", "8,8,8": "8", "3..13": "3,6,12,13",
	} {
		var got sizes
		if err := got.Set(text); err != nil || got.String() != want {
			t.Errorf("%s: %s, want %s; %v", text, &got, want, err)
		}
	}
	for _, text := range []string{"", "x", "8..4", "0..8", "1..", "..4", "-1", "8,,9", "5GiB"} {
		var got sizes
		if err := got.Set(text); err == nil {
			t.Errorf("%q is read as %s", text, &got)
		}
	}
}
