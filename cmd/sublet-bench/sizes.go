package main

import (
	"errors"
	"slices"
	"strings"

	"github.com/sublet-hpc/sublet/internal/bytesize"
)

// sizes is a list of payload sizes on a command line: 8, or 1KiB,64KiB,1MiB, or 1..4MiB, which is 1 and
// its doubles. It implements pflag.Value.
type sizes []int

// maxSize is what fits into memory several times.
const maxSize = 1 << 32

func (s *sizes) String() string {
	parts := make([]string, len(*s))
	for i, n := range *s {
		size := bytesize.Value(n)
		parts[i] = size.String()
	}
	return strings.Join(parts, ",")
}

func (s *sizes) Type() string { return "LIST" }

func (s *sizes) Set(text string) error {
	var list sizes
	for part := range strings.SplitSeq(text, ",") {
		from, to, isRange := strings.Cut(part, "..")
		first, err := oneSize(from)
		if err != nil {
			return err
		}
		last := first
		if isRange {
			if last, err = oneSize(to); err != nil {
				return err
			}
		}
		if last < first || first == 0 && last > 0 {
			return errors.New("a range goes from at least 1 up to a larger size, by doubling: 1..4MiB")
		}
		for n := first; ; n *= 2 {
			if list = append(list, n); n == 0 || 2*n > last {
				break
			}
		}
		if end := list[len(list)-1]; end != last {
			list = append(list, last)
		}
	}
	slices.Sort(list)
	*s = slices.Compact(list)
	return nil
}

func oneSize(text string) (int, error) {
	size, err := bytesize.Parse(text)
	if err != nil {
		return 0, err
	}
	if size > maxSize {
		return 0, errors.New("at most 4GiB")
	}
	return int(size), nil
}
