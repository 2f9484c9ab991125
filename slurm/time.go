package slurm

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Unlimited is a time limit that there is none of.
const Unlimited = time.Duration(math.MaxInt64)

// maxTime is the longest time that is read or written: Slurm counts minutes in 32 bits, of which time.Duration
// can have 292 years.
const maxTime = 100 * 365 * 24 * time.Hour

// ParseTime reads a time as Slurm's commands take it (minutes, minutes:seconds, hours:minutes:seconds,
// days-hours, days-hours:minutes, days-hours:minutes:seconds, UNLIMITED), or as Go does (30s, 1h30m). A number
// alone is minutes, as it is for sbatch.
func ParseTime(text string) (time.Duration, error) {
	d, err := parseTime(text)
	if err == nil && d != Unlimited && d > maxTime {
		err = errors.New("it is longer than 100 years")
	}
	if err != nil {
		return 0, fmt.Errorf("time %s: %w; write minutes, hours:minutes:seconds, days-hours:minutes:seconds, UNLIMITED, or 90s, 30m, 1h", shown(text), err)
	}
	return d, nil
}

func parseTime(text string) (time.Duration, error) {
	switch strings.ToUpper(text) {
	case "UNLIMITED", "INFINITE", "-1":
		return Unlimited, nil
	}
	if strings.Trim(text, "0123456789:-") != "" {
		return parseGoTime(text)
	}
	days, clock, hasDays := strings.Cut(text, "-")
	if !hasDays {
		days, clock = "0", text
	}
	units := []time.Duration{time.Hour, time.Minute, time.Second}
	fields := strings.Split(clock, ":")
	if !hasDays && len(fields) < 3 {
		units = units[1:] // minutes come first
	}
	if len(fields) > len(units) {
		return 0, errors.New("it has too many parts")
	}
	d, err := parseCount(days, 24*time.Hour)
	for i, field := range fields {
		var part time.Duration
		if err == nil {
			part, err = parseCount(field, units[i])
			d += part
		}
	}
	return d, err
}

func parseGoTime(text string) (time.Duration, error) {
	d, err := time.ParseDuration(text)
	switch {
	case err != nil:
		return 0, errors.New("it is no time")
	case d < 0:
		return 0, errors.New("it is negative")
	}
	return d, nil
}

// parseCount reads how many of a unit there are.
func parseCount(digits string, unit time.Duration) (time.Duration, error) {
	if digits == "" || strings.Trim(digits, "0123456789") != "" {
		return 0, fmt.Errorf("%q is no number", digits)
	}
	n, err := strconv.ParseUint(digits, 10, 63)
	if err != nil || n > uint64(maxTime/unit) {
		return 0, errors.New("it is longer than 100 years")
	}
	return time.Duration(n) * unit, nil
}

// FormatTime writes a time as all of Slurm's commands take it: D-HH:MM:SS, or UNLIMITED. What is less than a second is
// rounded up, so that nothing but 0 becomes 0; less than 0 is 0.
func FormatTime(d time.Duration) string {
	if d > maxTime {
		return "UNLIMITED"
	}
	seconds := int64((max(d, 0) + time.Second - 1) / time.Second)
	const minute, hour, day = 60, 3600, 86400
	return fmt.Sprintf("%d-%02d:%02d:%02d", seconds/day, seconds%day/hour, seconds%hour/minute, seconds%minute)
}
