package architecture

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// linked are the modules that the programs are linked with, but this one, and where their sources are.
func linked(t *testing.T) map[string]string {
	t.Helper()
	command := exec.CommandContext(t.Context(), "go", "list", "-deps", "-json=Module", "./cmd/...", "./apps/...")
	command.Dir = root
	command.Env = append(command.Environ(), "CGO_ENABLED=1")
	out, err := command.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	modules := map[string]string{}
	for decoder := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p struct{ Module *struct{ Path, Dir string } }
		err := decoder.Decode(&p)
		if errors.Is(err, io.EOF) {
			return modules
		}
		if err != nil {
			t.Fatalf("go list: %v", err)
		}
		if p.Module != nil && p.Module.Path != module {
			modules[p.Module.Path] = p.Module.Dir
		}
	}
}

// licenses are what tells their texts apart.
var licenses = []struct {
	name string
	text *regexp.Regexp
}{
	{"its own, above", regexp.MustCompile(`Redistribution in any form with modification is expressly prohibited`)},
	{"Apache-2.0", regexp.MustCompile(`Apache License\s+Version 2\.0`)},
	{"MPL-2.0", regexp.MustCompile(`Mozilla Public License, version 2\.0`)},
	{"CC-BY-4.0", regexp.MustCompile(`Creative Commons Attribution 4\.0 International Public License`)},
	{"FTL", regexp.MustCompile(`The FreeType License`)},
	{"MIT", regexp.MustCompile(`Permission is hereby granted, free\s+of charge`)},
	{"BSD-3-Clause", regexp.MustCompile(`(?s)Redistribution and use in source and binary forms.*(Neither the name|names of its\s+contributors may)`)},
}

// license reads which license a module has.
func license(t *testing.T, dir string) string {
	t.Helper()
	for _, name := range []string{"LICENSE", "LICENSE.md", "LICENSE.txt"} {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			continue
		}
		for _, l := range licenses {
			if l.text.Match(text) {
				return l.name
			}
		}
	}
	return "an unknown one"
}

// Who passes on the programs finds in NOTICE every module that is in them, with its license, and what the
// Apache License wants repeated.
func TestNoticeNamesWhatIsLinked(t *testing.T) {
	notice := read(t, filepath.Join(root, "NOTICE"))
	// A line of its table: the module, its license, and who has the copyright.
	row := regexp.MustCompile(`(?m)^(\S+\.\S+/\S+) +(\S.*?)  +(\S.*)$`)
	named := map[string]string{}
	for _, match := range row.FindAllStringSubmatch(notice, -1) {
		named[match[1]] = match[2]
	}
	modules := linked(t)
	if len(modules) < 20 {
		t.Fatalf("only %d modules are linked: %v", len(modules), modules)
	}
	words := func(text string) string { return strings.Join(strings.Fields(text), " ") }
	for path, dir := range modules {
		has := license(t, dir)
		if named[path] != has {
			t.Errorf("%s is linked and has the license %s; NOTICE says %q", path, has, named[path])
		}
		if text, err := os.ReadFile(filepath.Join(dir, "NOTICE")); err == nil && has == "Apache-2.0" && !strings.Contains(words(notice), words(string(text))) {
			t.Errorf("NOTICE does not repeat that of %s", path)
		}
	}
	for path := range named {
		if _, is := modules[path]; !is {
			t.Errorf("NOTICE names %s, which is not linked", path)
		}
	}
}
