package config

import (
	"encoding/json"
	"math/big"
	"regexp"
	"strings"
)

// Amount is an exact decimal number that is not negative, in units of 10^-9: a price, a sum of money, or
// GB·seconds.
type Amount struct{ billionths *big.Int }

// Billionths is the amount in its units.
func (a Amount) Billionths() *big.Int {
	if a.billionths == nil {
		return new(big.Int)
	}
	return new(big.Int).Set(a.billionths)
}

// amountPlaces is how many digits stand behind the point, at most; amountDigits how many before it.
const (
	amountPlaces = 9
	amountDigits = 18
)

var decimal = regexp.MustCompile(`^(0|[1-9][0-9]{0,17})(\.[0-9]{1,9})?$`)

// ParseAmount reads a decimal number.
func ParseAmount(text string) (amount Amount, ok bool) {
	if !decimal.MatchString(text) {
		return Amount{}, false
	}
	whole, fraction, _ := strings.Cut(text, ".")
	n, ok := new(big.Int).SetString(whole+fraction+strings.Repeat("0", amountPlaces-len(fraction)), 10)
	return Amount{n}, ok
}

// amount reads one, as a number or in quotation marks.
type amount struct{ into **Amount }

func (a amount) allowed() string {
	return "a decimal number that is not negative, with at most 18 digits before the point and 9 behind it, such as 0.00025"
}

func (a amount) read(r *reader, path string) error {
	token, err := r.token()
	if err != nil {
		return err
	}
	var text string
	switch token := token.(type) {
	case json.Number:
		text = token.String()
	case string:
		text = token
	}
	value, ok := ParseAmount(text)
	if !ok {
		return r.wrong(path, token, a.allowed())
	}
	*a.into = &value
	return nil
}

// table is an object whose keys are names that the file's author chooses.
type table struct {
	of    string // what they are
	check func(name string) error
	next  func(name string) value
}

func (t table) allowed() string { return "an object of " + t.of }

func (t table) read(r *reader, path string) error {
	token, err := r.token()
	if err != nil {
		return err
	}
	if token != json.Delim('{') {
		return r.wrong(path, token, t.allowed())
	}
	seen := map[string]bool{}
	for r.decoder.More() {
		if token, err = r.token(); err != nil {
			return err
		}
		name, _ := token.(string) // the decoder takes nothing else for a key
		if err := t.readKey(r, path, name, seen); err != nil {
			return err
		}
	}
	_, err = r.token()
	return err
}

func (t table) readKey(r *reader, path, name string, seen map[string]bool) error {
	if err := t.check(name); err != nil {
		if err := r.note(r.line(), "%s: %v", path, err); err != nil {
			return err
		}
	}
	if seen[name] {
		if err := r.note(r.line(), "%s stands here for the second time", join(path, name)); err != nil {
			return err
		}
	}
	seen[name] = true
	return t.next(name).read(r, join(path, name))
}
