package config

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"math"
	"slices"
	"strconv"
)

// Secret is a number that nobody is told: whatever prints it prints that it is one.
type Secret struct{ number uint64 }

// Number is the secret itself.
func (s Secret) Number() uint64 { return s.number }

// hidden is what is printed instead.
const hidden = "(secret)"

func (s Secret) String() string { return hidden }

// Format keeps every verb of fmt from printing it.
func (s Secret) Format(state fmt.State, _ rune) { _, _ = io.WriteString(state, hidden) }

// LogValue implements slog.LogValuer.
func (s Secret) LogValue() slog.Value { return slog.StringValue(hidden) }

// MarshalText keeps encoders from writing it.
func (s Secret) MarshalText() ([]byte, error) { return []byte(hidden), nil }

// secret reads one.
type secret struct{ into *Secret }

func (s secret) allowed() string {
	return "a whole number, 0 to " + strconv.FormatUint(math.MaxUint64, 10)
}

func (s secret) read(r *reader, path string) error {
	token, err := r.token()
	if err != nil {
		return err
	}
	number, ok := token.(json.Number)
	n, err := strconv.ParseUint(string(number), 10, 64)
	if !ok || err != nil {
		// It is not quoted: even a wrong one may be somebody's secret.
		if err := r.note(r.line(), "%s is not %s", path, s.allowed()); err != nil {
			return err
		}
		return r.skip(token)
	}
	s.into.number = n
	return nil
}

// Pinning says which cores threads are bound to: none, distinct ones of the manager's choice, or those
// of a list.
type Pinning struct {
	Pin   bool  // false pins nothing
	Cores []int // if there are any, these
}

// maxCore is the highest CPU number that Linux is built for.
const maxCore = 8191

type pinning struct{ into *Pinning }

func (p pinning) allowed() string {
	return "true, false or an array of different cores, 0 to " + strconv.Itoa(maxCore)
}

func (p pinning) read(r *reader, path string) error {
	token, err := r.token()
	if err != nil {
		return err
	}
	if pin, ok := token.(bool); ok {
		*p.into = Pinning{Pin: pin}
		return nil
	}
	if token != json.Delim('[') {
		return r.wrong(path, token, p.allowed())
	}
	line := r.line()
	var core int
	var cores []int
	elements := list{
		next: func(int) value { core = -1; return whole{&core, 0, maxCore} },
		done: func(r *reader, _, line int, path string) error {
			if core >= 0 && slices.Contains(cores, core) {
				return r.note(line, "%s is %d for the second time; it is one of %s", path, core, p.allowed())
			}
			cores = append(cores, core)
			return nil
		},
	}
	if err := elements.elements(r, path); err != nil {
		return err
	}
	if len(cores) == 0 {
		return r.note(line, "%s is an empty array; it is %s", path, p.allowed())
	}
	*p.into = Pinning{Pin: true, Cores: cores}
	return nil
}
