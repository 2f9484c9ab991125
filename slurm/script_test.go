package slurm

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestScriptText(t *testing.T) {
	got, err := Script{
		Name:    "sublet managers",
		Options: []string{"--time=0-01:00:00", "-p", "batch", "--nodelist=n[1-2]", `--comment=a "b" \ # c`, "--hold"},
		Body:    "exec sublet launch",
	}.Text()
	if err != nil {
		t.Fatal(err)
	}
	want := `#!/bin/sh
#SBATCH "--job-name=sublet managers"
#SBATCH --time=0-01:00:00
#SBATCH -p batch
#SBATCH --nodelist=n[1-2]
#SBATCH "--comment=a \"b\" \\ # c"
#SBATCH --hold

exec sublet launch
`
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got, err := (Script{Body: "true\n"}).Text(); err != nil || got != "#!/bin/sh\n\ntrue\n" {
		t.Errorf("%q, %v", got, err)
	}
}

func TestScriptRefuses(t *testing.T) {
	for option, reason := range map[string]string{
		"--comment=a\n#SBATCH --uid=0": "a line break",
		"--comment=a\rb":               "a line break",
		"--comment=\x00":               "a zero byte",
		"":                             "it is empty",
	} {
		if text, err := (Script{Options: []string{"--hold", option}}).Text(); err == nil || !strings.Contains(err.Error(), reason) || !strings.Contains(err.Error(), "option 2") {
			t.Errorf("%q: %q, %v; it should say %s", option, text, err, reason)
		}
	}
	if _, err := (Script{Name: "a\nb"}).Text(); err == nil || !strings.Contains(err.Error(), "name of the job") {
		t.Errorf("a name with a line break: %v", err)
	}
}

// readOptions reads #SBATCH lines by sbatch's rules: up to the first line that is a command; white space between words, a
// backslash takes the next character as it is, quotes of both kinds, # begins a comment outside of them.
func readOptions(t *testing.T, text string) []string {
	t.Helper()
	var words []string
	for line := range strings.Lines(text) {
		rest, is := strings.CutPrefix(line, "#SBATCH")
		if !is {
			if line = strings.TrimSpace(line); line != "" && line[0] != '#' {
				break
			}
			continue
		}
		var word strings.Builder
		begun, escaped, quote := false, false, byte(0)
		finish := func() {
			if begun {
				words = append(words, word.String())
			}
			word.Reset()
			begun = false
		}
	characters:
		for _, c := range []byte(rest) {
			switch {
			case escaped:
				escaped = false
			case c == '\\':
				escaped = true
				continue
			case quote != 0 && c == quote:
				quote = 0
				continue
			case quote != 0:
			case c == '"' || c == '\'':
				quote = c
				continue
			case c == '#':
				break characters
			case strings.IndexByte(" \t\n\v\f\r", c) >= 0:
				finish()
				continue
			}
			if !begun && c == ':' && quote == 0 {
				t.Fatalf("sbatch refuses a word that begins with a colon: %q", line)
			}
			begun = true
			word.WriteByte(c)
		}
		finish()
		if quote != 0 || escaped {
			t.Fatalf("%q has no end", line)
		}
	}
	return words
}

// Whatever the options are, sbatch reads them as they are, and nothing beside them.
func FuzzScript(f *testing.F) {
	f.Add("name", "--comment=a b", `-x`, `\"'#`, "#SBATCH --uid=0")
	f.Add("", ":", "hetjob", "a\tb", "true")
	f.Fuzz(func(t *testing.T, name, one, two, three, body string) {
		s := Script{Name: name, Options: []string{one, two, three}, Body: body}
		text, err := s.Text()
		if err != nil {
			return
		}
		want := s.Options
		if name != "" {
			want = slices.Insert(slices.Clone(want), 0, "--job-name="+name)
		}
		head, _, _ := strings.Cut(text, "\n\n") // the body may have #SBATCH lines of its own
		if diff := cmp.Diff(want, readOptions(t, head+"\n")); diff != "" {
			t.Errorf("%q (-want +got):\n%s", text, diff)
		}
	})
}
