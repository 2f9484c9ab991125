package launcher

import (
	"slices"
	"strings"
	"testing"
)

// reading is what sbatch makes of words, by the rules of getopt_long as sbatch has it: it stops at the first word that is no option.
type reading struct {
	options []string // by their whole names, or letters
	refuses bool
	script  bool // a word was taken for one, or the options were ended
}

// What a few of sbatch's options take, the refused ones among them. 0 is nothing, 1 a value, 2 one only in the same word.
var (
	long = map[string]int{
		"account": 1, "array": 1, "clusters": 1, "comment": 1, "mail-user": 1, "wrap": 1, "test-only": 0, "wait": 0, "wait-all-nodes": 1,
		"hold": 0, "nice": 2, "exclusive": 2, "no-kill": 2, "no-requeue": 0, "partition": 1,
	}
	short = map[byte]int{'A': 1, 'a': 1, 'M': 1, 'p': 1, 'J': 1, 'W': 0, 'H': 0, 'Q': 0, 'k': 2}
)

// read is how sbatch reads words; others tells whether options of plugins, --plugin..., take the next word.
func read(words []string, others bool) (r reading) {
	for i := 0; i < len(words); i++ {
		word := words[i]
		if name, is := strings.CutPrefix(word, "--"); is && name != "" {
			name, _, hasValue := strings.Cut(name, "=")
			takes, known := long[name]
			if !known {
				var of []string
				for whole := range long {
					if strings.HasPrefix(whole, name) {
						of = append(of, whole)
					}
				}
				switch {
				case len(of) == 1:
					name, takes, known = of[0], long[of[0]], true
				case len(of) > 1 || !strings.HasPrefix(name, "plugin"): // not clear, or not in the table
					r.refuses = true
					return r
				}
			}
			r.options = append(r.options, name)
			if !hasValue && (known && takes == 1 || !known && others) {
				i++
			}
			continue
		}
		if len(word) < 2 || word[0] != '-' || word == "--" {
			r.script = true
			return r
		}
		for at := 1; at < len(word); at++ {
			takes, known := short[word[at]]
			if !known {
				r.refuses = true // or another version reads it as it likes
				return r
			}
			r.options = append(r.options, word[at:at+1])
			if takes == 1 && at == len(word)-1 {
				i++
			}
			if takes > 0 {
				break
			}
		}
	}
	return r
}

// Whatever words are let through, sbatch reads none of them as an option that is refused, nor as a script, and reads the option that
// is written behind them.
func FuzzCheckOptions(f *testing.F) {
	for _, seed := range []string{
		"--qos=low\n-A\nastro", "--comment\n--wrap=x", "--mail-user\n--wrap=x", "--nice\n--wrap=x", "--nice\nscript", "-HW", "-HA\nx", "-A\n--wait",
		"--mail-user", "--plugin\n--wrap=x", "--plugin\nx", "-k\n-W", "-kW", "--w=x", "--acc\nx", "--", "-A\n--", "-pa", "-Hp\n-a1",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		words := strings.Split(text, "\n")
		if CheckOptions(words) != nil {
			return
		}
		for _, others := range []bool{false, true} {
			// As a harvester's jobs have it: one of ours that may get lost, and others.
			r := read(append(slices.Clone(words), "--no-requeue", "--partition=ours"), others)
			if r.refuses {
				continue
			}
			if r.script || !slices.Contains(r.options, "partition") {
				t.Errorf("%q is let through, and sbatch reads %+v", words, r)
			}
			for _, name := range []string{"array", "clusters", "comment", "test-only", "wait", "wrap", "a", "M", "W"} {
				if slices.Contains(r.options, name) {
					t.Errorf("%q is let through, and sbatch reads --%s in it", words, name)
				}
			}
		}
	})
}
