package slurm

import (
	"strings"
	"testing"
)

func TestWords(t *testing.T) {
	for line, wrong := range map[string]string{
		"":                                  "",
		"--qos=low -A astro":                "",
		"-Aastro -HQ --nice --nice=5":       "",
		"-HA astro -k -kset":                "",
		"--account astro --hold":            "",
		"--plugins-flag --plugins-option=3": "",
		"--exclusive=user":                  "",
		"script.sh":                         "neither an option",
		"-- x":                              "neither an option",
		"-":                                 "neither an option",
		"--nice 5":                          "neither an option", // 5 would be the script, and no option behind it one
		"--exclusive -H script.sh":          "neither an option",
		"--plugins-option 3":                "written behind =",
		"-H x":                              "neither an option",
		"-A":                                "-A needs a value; write -AVALUE",
		"--account":                         "--account needs a value; write --account=VALUE",
		"--mail-user --wrap=x":              "--mail-user needs a value, and",
		"-A -W":                             "-A needs a value, and",
		"-A --":                             "-A needs a value, and",
		"--acc astro":                       "no whole name",
		"--n 3":                             "no whole name",
		"--plugin -A astro":                 "may take it",
		"--plugin -Aastro":                  "",
		"--plugin=1 -A astro":               "",
		"-Z":                                "no option -Z",
		"-HZ":                               "no option -Z",
	} {
		err := CheckWords(strings.Fields(line))
		if wrong == "" && err != nil || wrong != "" && (err == nil || !strings.Contains(err.Error(), wrong)) {
			t.Errorf("%q: %v, want %q", line, err, wrong)
		}
	}
}
