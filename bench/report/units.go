package report

import "fmt"

// Clock writes nanoseconds with three digits.
func Clock(ns float64) string {
	for _, unit := range []struct {
		size float64
		name string
	}{{1e9, "s"}, {1e6, "ms"}, {1e3, "µs"}} {
		if ns >= 0.9995*unit.size {
			return Digits(ns/unit.size) + " " + unit.name
		}
	}
	return fmt.Sprintf("%.0f ns", ns)
}

// Digits writes a value with three digits.
func Digits(value float64) string {
	switch {
	case value >= 99.95:
		return fmt.Sprintf("%.0f", value)
	case value >= 9.995:
		return fmt.Sprintf("%.1f", value)
	}
	return fmt.Sprintf("%.2f", value)
}

// Size writes bytes.
func Size(bytes int) string {
	switch {
	case bytes >= 1<<20 && bytes%(1<<20) == 0:
		return fmt.Sprintf("%d MiB", bytes>>20)
	case bytes >= 1<<10 && bytes%(1<<10) == 0:
		return fmt.Sprintf("%d KiB", bytes>>10)
	}
	return fmt.Sprintf("%d B", bytes)
}

// rate writes operations per second.
func rate(perSecond float64) string {
	switch {
	case perSecond >= 1e6:
		return Digits(perSecond/1e6) + " M/s"
	case perSecond >= 1e3:
		return Digits(perSecond/1e3) + " k/s"
	}
	return Digits(perSecond) + " /s"
}
