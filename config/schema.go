package config

import (
	"encoding/json"
	"fmt"
	"math"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
)

// value reads one value of a kind, of which it has a description.
type value interface {
	read(r *reader, path string) error
	allowed() string
}

// key is one key of an object.
type key struct {
	name  string
	value value
	means string // for people
	need  bool   // it must be there
}

// object is a JSON object with these keys and no others.
type object []key

func (o object) allowed() string { return "an object" }

func (o object) read(r *reader, path string) error {
	token, err := r.token()
	if err != nil {
		return err
	}
	if token != json.Delim('{') {
		return r.wrong(place(path), token, o.allowed())
	}
	begins := r.line()
	seen := map[string]bool{}
	for r.decoder.More() {
		if token, err = r.token(); err != nil {
			return err
		}
		name, _ := token.(string) // the decoder takes nothing else for a key
		if err := o.readKey(r, path, name, seen); err != nil {
			return err
		}
	}
	if _, err = r.token(); err != nil {
		return err
	}
	for _, k := range o {
		if k.need && !seen[k.name] {
			if err := r.note(begins, "%s lacks the key %s: %s", place(path), k.name, k.means); err != nil {
				return err
			}
		}
	}
	return nil
}

func (o object) readKey(r *reader, path, name string, seen map[string]bool) error {
	for _, k := range o {
		if k.name != name {
			continue
		}
		if seen[name] {
			if err := r.note(r.line(), "%s stands here for the second time", join(path, name)); err != nil {
				return err
			}
		}
		seen[name] = true
		return k.value.read(r, join(path, name))
	}
	names := make([]string, len(o))
	for i, k := range o {
		names[i] = k.name
	}
	if err := r.note(r.line(), "%s has no key %q; there are %s", place(path), name, strings.Join(names, ", ")); err != nil {
		return err
	}
	token, err := r.token()
	if err != nil {
		return err
	}
	return r.skip(token)
}

// place names an object in an error.
func place(path string) string {
	if path == "" {
		return "the file"
	}
	return path
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

// list is an array; each element is read by what next returns for its index.
type list struct {
	next func(index int) value
	done func(r *reader, index, line int, path string) error // may be nil
	of   string
}

func (l list) allowed() string { return "an array of " + l.of }

func (l list) read(r *reader, path string) error {
	token, err := r.token()
	if err != nil {
		return err
	}
	if token != json.Delim('[') {
		return r.wrong(path, token, l.allowed())
	}
	return l.elements(r, path)
}

// elements reads what follows the opening bracket.
func (l list) elements(r *reader, path string) error {
	for i := 0; r.decoder.More(); i++ {
		element := fmt.Sprintf("%s[%d]", path, i)
		if err := l.next(i).read(r, element); err != nil {
			return err
		}
		if l.done != nil {
			if err := l.done(r, i, r.line(), element); err != nil {
				return err
			}
		}
	}
	_, err := r.token()
	return err
}

// text is a string that check, if there is one, finds nothing wrong with.
type text struct {
	into  *string
	what  string
	check func(string) bool
}

func (t text) allowed() string { return t.what }

func (t text) read(r *reader, path string) error {
	token, err := r.token()
	if err != nil {
		return err
	}
	s, ok := token.(string)
	if ok && isPlaceholder(s) {
		return r.note(r.line(), "%s is %q, a template's placeholder: write %s in its place", path, s, t.what)
	}
	if !ok || len(s) > maxText || strings.ContainsFunc(s, func(c rune) bool { return c < ' ' || c == 0x7f }) || t.check != nil && !t.check(s) {
		return r.wrong(path, token, t.what)
	}
	*t.into = s
	return nil
}

// maxText is the most bytes of a name or an address.
const maxText = 255

func isPlaceholder(s string) bool {
	return len(s) > 2 && s[0] == '<' && s[len(s)-1] == '>' || s == "IBV_DEVICE_NAME" || s == "IP_ADDRESS"
}

var hostName = regexp.MustCompile(`^[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?(\.[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?)*$`)

// isAddress tells whether something can be the address or the name of a host. Of what consists of
// digits and dots only, that is an IPv4 address.
func isAddress(s string) bool {
	if _, err := netip.ParseAddr(s); err == nil {
		return true
	}
	return len(s) <= 253 && hostName.MatchString(s) && strings.Trim(s, "0123456789.") != ""
}

func address(into *string) text {
	return text{into, "an IP address or the name of a host", isAddress}
}

// addressOrNone may be empty, too.
func addressOrNone(into *string) text {
	return text{into, "an IP address or the name of a host, or empty", func(s string) bool { return s == "" || isAddress(s) }}
}

func name(into *string) text {
	return text{into, "a name that is not empty", func(s string) bool { return s != "" }}
}

func nameOrNone(into *string) text { return text{into: into, what: "a name, or empty"} }

// oneOf is one of these words.
func oneOf(into *string, words ...string) text {
	return text{into, strings.Join(words, ", "), func(s string) bool {
		for _, word := range words {
			if s == word {
				return true
			}
		}
		return false
	}}
}

// whole is a whole number in a range.
type whole struct {
	into        *int
	least, most int
}

func (w whole) allowed() string {
	if w.most == math.MaxInt32 {
		return fmt.Sprintf("a whole number from %d on", w.least)
	}
	return fmt.Sprintf("a whole number, %d to %d", w.least, w.most)
}

func (w whole) read(r *reader, path string) error {
	token, err := r.token()
	if err != nil {
		return err
	}
	number, ok := token.(json.Number)
	n, err := strconv.Atoi(string(number))
	if !ok || err != nil || n < w.least || n > w.most {
		return r.wrong(path, token, w.allowed())
	}
	*w.into = n
	return nil
}

// A port of 0 is any that is free.
func portOrAny(into *int) whole { return whole{into, 0, 65535} }
func port(into *int) whole      { return whole{into, 1, 65535} }
func count(into *int, least int) whole {
	return whole{into, least, math.MaxInt32}
}

// truth is true or false.
type truth struct{ into *bool }

func (t truth) allowed() string { return "true or false" }

func (t truth) read(r *reader, path string) error {
	token, err := r.token()
	if err != nil {
		return err
	}
	value, ok := token.(bool)
	if !ok {
		return r.wrong(path, token, t.allowed())
	}
	*t.into = value
	return nil
}
