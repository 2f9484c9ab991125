package slurm

import (
	"errors"
	"fmt"
	"strings"
)

// Script is what sbatch is given.
type Script struct {
	Name string // of the job; "": sbatch's default
	// Options are sbatch's, as on its command line: --time=1:00:00, or -p and batch as two words. Their values may have
	// spaces, quotes and #, but no line break.
	Options []string
	Body    string // for /bin/sh
}

// Text is the whole script, its options as #SBATCH lines. An option that would not reach sbatch as it is, such as
// one with a line break, is an error.
func (s Script) Text() (string, error) {
	var text strings.Builder
	text.WriteString("#!/bin/sh\n")
	words := s.Options
	if s.Name != "" {
		if err := checkOption(s.Name); err != nil {
			return "", fmt.Errorf("the name of the job, %s: %w", shown(s.Name), err)
		}
		words = append([]string{"--job-name=" + s.Name}, words...)
	}
	for i, word := range s.Options {
		if err := checkOption(word); err != nil {
			return "", fmt.Errorf("option %d of sbatch, %s: %w", i+1, shown(word), err)
		}
	}
	for i, word := range words {
		if i == 0 || strings.HasPrefix(word, "-") {
			if i > 0 {
				text.WriteByte('\n')
			}
			text.WriteString("#SBATCH")
		}
		text.WriteByte(' ')
		text.WriteString(quoteOption(word))
	}
	if len(words) > 0 {
		text.WriteByte('\n')
	}
	text.WriteByte('\n')
	text.WriteString(s.Body)
	if !strings.HasSuffix(s.Body, "\n") {
		text.WriteByte('\n')
	}
	return text.String(), nil
}

func checkOption(word string) error {
	switch {
	case word == "":
		return errors.New("it is empty, which sbatch does not read from a script; write --option= for an empty value")
	case strings.ContainsAny(word, "\n\r"):
		return errors.New("it has a line break, behind which sbatch would read another line")
	case strings.ContainsRune(word, 0):
		return errors.New("it has a zero byte")
	}
	return nil
}

// quoteOption writes a word so that sbatch, which has rules of its own for #SBATCH lines, reads it as it is: a
// backslash takes what follows as it is, in quotes too, and # begins a comment outside them. hetjob and a colon at a
// word's beginning have a meaning, unless they are quoted.
func quoteOption(word string) string {
	const plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_=,./%+@[]:"
	if strings.Trim(word, plain) == "" && word[0] != ':' && !strings.EqualFold(word, "hetjob") && !strings.EqualFold(word, "packjob") {
		return word
	}
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(word) + `"`
}
