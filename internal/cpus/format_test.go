package cpus

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func TestFormat(t *testing.T) {
	for want, numbers := range map[string][]int{"": nil, "3": {3}, "0-1": {1, 0}, "0-2,5,7-8": {8, 0, 1, 2, 5, 7, 2}} {
		if got := Format(numbers); got != want {
			t.Errorf("%v: %q, want %q", numbers, got, want)
		}
	}
}

// What is written is read again.
func TestFormatIsParsed(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		numbers := rapid.SliceOfNDistinct(rapid.IntRange(0, 40), 1, 20, rapid.ID[int]).Draw(t, "numbers")
		parsed, err := Parse(Format(numbers))
		if slices.Sort(numbers); err != nil || !slices.Equal(parsed, numbers) {
			t.Fatalf("%v became %v, %v", numbers, parsed, err)
		}
	})
}
