package options

import (
	"errors"
	"regexp"
	"strconv"
	"time"
)

// Duration is a time on a command line: 30s, 1h30m, or HH:MM:SS as Slurm writes it.
type Duration time.Duration

// String implements pflag.Value.
func (d *Duration) String() string { return time.Duration(*d).String() }

// Type implements pflag.Value.
func (d *Duration) Type() string { return "TIME" }

var clock = regexp.MustCompile(`^(\d{1,4}):([0-5]\d):([0-5]\d)$`)

// Set implements pflag.Value.
func (d *Duration) Set(text string) error {
	if parts := clock.FindStringSubmatch(text); parts != nil {
		seconds := 0
		for _, part := range parts[1:] {
			n, _ := strconv.Atoi(part) // digits
			seconds = 60*seconds + n
		}
		*d = Duration(time.Duration(seconds) * time.Second)
		return nil
	}
	value, err := time.ParseDuration(text)
	if err != nil || value < 0 {
		return errors.New("a time is written as 30s, 5m, 1h30m, or 01:30:00")
	}
	*d = Duration(value)
	return nil
}
