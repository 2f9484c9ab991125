package architecture

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode"
)

// files are the repository's files, without what a build makes.
func files(t *testing.T) []string {
	t.Helper()
	var found []string
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			switch filepath.ToSlash(path) {
			case root + "/.git", root + "/bin", root + "/build":
				return fs.SkipDir
			}
			return nil
		}
		if entry.Type().IsRegular() && path != filepath.Join(root, ".git") {
			found = append(found, path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

var (
	link    = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	heading = regexp.MustCompile(`(?m)^#+ +(.+)$`)
	fence   = regexp.MustCompile("(?s:```.*?```)")
)

// anchors are the names under which a document's headings can be linked to.
func anchors(document string) map[string]bool {
	names := map[string]bool{}
	for _, match := range heading.FindAllStringSubmatch(fence.ReplaceAllString(document, ""), -1) {
		names[strings.Map(func(r rune) rune {
			switch {
			case r == ' ':
				return '-'
			case r == '-', r == '_', unicode.IsLetter(r), unicode.IsDigit(r):
				return unicode.ToLower(r)
			}
			return -1
		}, match[1])] = true
	}
	return names
}

func TestLinksPointSomewhere(t *testing.T) {
	checked := 0
	for _, path := range files(t) {
		if filepath.Ext(path) != ".md" {
			continue
		}
		document := read(t, path)
		for _, match := range link.FindAllStringSubmatch(fence.ReplaceAllString(document, ""), -1) {
			target, anchor, _ := strings.Cut(match[1], "#")
			if strings.Contains(target, "://") {
				continue
			}
			checked++
			aim := path
			if target != "" {
				aim = filepath.Join(filepath.Dir(path), target)
			}
			if _, err := os.Stat(aim); err != nil {
				t.Errorf("%s links to %s, which does not exist", path, match[1])
				continue
			}
			if anchor != "" && !anchors(read(t, aim))[anchor] {
				t.Errorf("%s links to %s, which has no such heading", path, match[1])
			}
		}
	}
	if checked == 0 {
		t.Error("no document has a link")
	}
}

// Nobody else has this machine's folders.
func TestNoPathOfOneMachine(t *testing.T) {
	home := regexp.MustCompile(`(^|[^\w.~}-])/(home|Users|root)/\w`)
	for _, path := range files(t) {
		for i, line := range strings.Split(read(t, path), "\n") {
			if found := home.FindString(line); found != "" {
				t.Errorf("%s:%d: a path into somebody's home: %s…", path, i+1, found)
			}
		}
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}
