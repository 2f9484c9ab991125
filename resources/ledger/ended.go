package ledger

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Names of leases, and of the parts that they had on nodes, are remembered for a while after their end, so
// that a report which was on its way does not bring them back.

// PartOf is the name of the part that a lease has on a node.
func PartOf(lease, node string) string { return lease + "@" + node }

func (s *State) remember(name string, until time.Time) {
	if !until.IsZero() {
		s.Ended[name] = until
	}
}

// Remember notes that a lease, or a part of one (PartOf), has ended that the ledger does not know.
type Remember struct {
	Name  string
	Until time.Time
}

func (c Remember) apply(s *State) (Result, error) {
	if c.Name == "" || c.Until.IsZero() {
		return Result{}, &refusal{ErrInvalid, "what is remembered needs a name, and a time until when"}
	}
	known := s.Ended[c.Name]
	s.remember(c.Name, c.Until)
	return Result{Unchanged: known.Equal(c.Until)}, nil
}

// Names are those of what is gone, each with the time until when it is remembered. Where leases come and go by
// the thousand they are most of a state, so at rest a time is a number: nanoseconds since 1970.
type Names map[string]time.Time

// MarshalJSON writes the names in their order.
func (n Names) MarshalJSON() ([]byte, error) {
	text := append(make([]byte, 0, 48*len(n)+2), '{')
	for i, name := range slices.Sorted(maps.Keys(n)) {
		if i > 0 {
			text = append(text, ',')
		}
		if strings.ContainsFunc(name, needsQuoting) {
			quoted, err := json.Marshal(name)
			if err != nil {
				return nil, err
			}
			text = append(text, quoted...)
		} else {
			text = append(append(append(text, '"'), name...), '"')
		}
		text = strconv.AppendInt(append(text, ':'), n[name].UnixNano(), 10)
	}
	return append(text, '}'), nil
}

func needsQuoting(r rune) bool {
	return r < ' ' || r > '~' || r == '"' || r == '\\' || r == '<' || r == '>' || r == '&'
}

// UnmarshalJSON reads them, also as they were written at first: with times in words.
func (n *Names) UnmarshalJSON(text []byte) error {
	if names, plain := readNames(text); plain {
		*n = names
		return nil
	}
	var numbers map[string]int64
	if json.Unmarshal(text, &numbers) != nil {
		return json.Unmarshal(text, (*map[string]time.Time)(n))
	}
	*n = make(Names, len(numbers))
	for name, number := range numbers {
		(*n)[name] = time.Unix(0, number).UTC()
	}
	return nil
}

// readNames reads what MarshalJSON writes of plain names, several times as fast as package json, which reads all
// else. The text is JSON.
func readNames(text []byte) (names Names, plain bool) {
	names = make(Names, bytes.Count(text, []byte{':'}))
	if len(text) < 2 || text[0] != '{' {
		return nil, false
	}
	for rest := text[1:]; len(rest) > 0; {
		if rest[0] != '"' {
			return nil, false
		}
		end := bytes.IndexByte(rest[1:], '"') + 1
		if end == 0 || bytes.IndexByte(rest[:end], '\\') >= 0 || end+1 >= len(rest) || rest[end+1] != ':' {
			return nil, false
		}
		name := string(rest[1:end])
		rest = rest[end+2:]
		digits := bytes.IndexAny(rest, ",}")
		if digits < 0 {
			return nil, false
		}
		number, err := strconv.ParseInt(string(rest[:digits]), 10, 64)
		if err != nil {
			return nil, false
		}
		names[name] = time.Unix(0, number).UTC()
		rest = rest[digits+1:]
		if len(rest) == 0 {
			return names, true
		}
	}
	return nil, false
}
