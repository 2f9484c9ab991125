package slurm

import (
	"encoding/json"
	"strings"
	"testing"
)

// What is JSON is passed over, all of it, and its strings are read as encoding/json reads them.
func FuzzScanner(f *testing.F) {
	for _, seed := range []string{
		`{"a":[1,-2.5e+3,"x\"\\\u00e9",null,true,false,{}],"b":{"c":[]}}`, ` [ ] `, `"\\"`, `"\ud800"`, `{"a":1,}`, `[1,]`, `"`, `"\`, `{"a"`, "\"\xff\"", `-`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		s := &scanner{data: data}
		err := s.skip()
		if err == nil {
			err = s.end()
		}
		if json.Valid(data) && err != nil && !strings.Contains(err.Error(), "deep") {
			t.Errorf("%q is JSON: %v", data, err)
		}
		var want string
		if json.Unmarshal(data, &want) != nil || strings.TrimSpace(string(data)) == "null" {
			return
		}
		s = &scanner{data: data}
		if got, err := s.text(); err != nil || got != want {
			t.Errorf("%q was read as %q, %v; want %q", data, got, err, want)
		}
	})
}

// Commas where there is nothing are no JSON.
func TestScannerRefuses(t *testing.T) {
	for _, text := range []string{`{"a":1,}`, `[1,]`, `[,1]`, `{,}`, `[1 2]`, `{"a" 1}`, `{a:1}`, `tru`, `+1`, `'a'`, `[}`, `{"a":1]`} {
		s := &scanner{data: []byte(text)}
		if err := s.skip(); err == nil {
			t.Errorf("%s was passed over", text)
		}
	}
}
