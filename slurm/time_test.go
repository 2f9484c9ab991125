package slurm

import (
	"strings"
	"testing"
	"time"
)

func TestParseTime(t *testing.T) {
	const day = 24 * time.Hour
	for text, want := range map[string]time.Duration{
		"30":         30 * time.Minute,
		"0":          0,
		"90":         90 * time.Minute,
		"30:00":      30 * time.Minute,
		"0:30":       30 * time.Second,
		"1:30:00":    90 * time.Minute,
		"100:00:01":  100*time.Hour + time.Second,
		"1-12":       day + 12*time.Hour,
		"1-12:30":    day + 12*time.Hour + 30*time.Minute,
		"1-12:30:15": day + 12*time.Hour + 30*time.Minute + 15*time.Second,
		"0-0":        0,
		"UNLIMITED":  Unlimited,
		"infinite":   Unlimited,
		"-1":         Unlimited,
		"30s":        30 * time.Second,
		"1h":         time.Hour,
		"1h30m":      90 * time.Minute,
		"250ms":      250 * time.Millisecond,
	} {
		if got, err := ParseTime(text); err != nil || got != want {
			t.Errorf("%s: %v, %v; want %v", text, got, err, want)
		}
	}
}

func TestParseTimeRefuses(t *testing.T) {
	for text, reason := range map[string]string{
		"":                     `"" is no number`,
		":":                    `"" is no number`,
		"1:":                   `"" is no number`,
		"1-":                   `"" is no number`,
		"-5":                   `"" is no number`,
		"1--2":                 `"-2" is no number`,
		"1:2:3:4":              "too many parts",
		"1-2:3:4:5":            "too many parts",
		"soon":                 "it is no time",
		"1 h":                  "it is no time",
		"+5":                   "it is no time",
		"-5s":                  "it is negative",
		"1d":                   "it is no time",
		"99999999999999999999": "longer than 100 years",
		"9999999999":           "longer than 100 years",
		"36500-1":              "longer than 100 years",
		"1000000h":             "longer than 100 years",
	} {
		d, err := ParseTime(text)
		if err == nil {
			t.Errorf("%q was read as %v", text, d)
		} else if !strings.Contains(err.Error(), reason) || !strings.Contains(err.Error(), "hours:minutes:seconds") {
			t.Errorf("%q: %v; it should say %s", text, err, reason)
		}
	}
}

func TestFormatTime(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0:                            "0-00:00:00",
		-time.Second:                 "0-00:00:00",
		time.Millisecond:             "0-00:00:01",
		90 * time.Minute:             "0-01:30:00",
		59*time.Second + 1:           "0-00:01:00",
		36*time.Hour + 5*time.Second: "1-12:00:05",
		Unlimited:                    "UNLIMITED",
	} {
		if got := FormatTime(d); got != want {
			t.Errorf("%v: %s, want %s", d, got, want)
		}
	}
}

// What is read is written so that it is read the same, to the second.
func FuzzParseTime(f *testing.F) {
	for _, seed := range []string{"30", "30:00", "1:30:00", "1-12", "1-12:30:15", "UNLIMITED", "1h30m", "36500-00:00:00"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		d, err := ParseTime(text)
		if err != nil {
			return
		}
		again, err := ParseTime(FormatTime(d))
		if err != nil || again < d || again != Unlimited && again >= d+time.Second {
			t.Errorf("%q is %v, written as %s, read as %v: %v", text, d, FormatTime(d), again, err)
		}
	})
}
