package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/pflag"
)

func completionCommand() *command {
	return &command{
		name: "completion", synopsis: "bash|zsh|fish", summary: "print a shell's completion script",
		examples: []string{
			"source <(sublet completion bash)",
			"sublet completion zsh > ~/.zfunc/_sublet",
			"sublet completion fish > ~/.config/fish/completions/sublet.fish",
		},
		setUp: func(*pflag.FlagSet) runFunc {
			return func(args []string, stdout, _ io.Writer) error {
				if len(args) == 0 {
					return usagef("completion: for which shell? bash, zsh or fish")
				}
				if err := noArguments("completion", args[1:]); err != nil {
					return err
				}
				script, err := completionScript(args[0])
				if err != nil {
					return err
				}
				_, err = io.WriteString(stdout, script)
				return err
			}
		},
	}
}

var shells = []string{"bash", "zsh", "fish"}

func completionScript(shell string) (string, error) {
	switch shell {
	case "bash":
		return bashCompletion(), nil
	case "zsh":
		return zshCompletion(), nil
	case "fish":
		return fishCompletion(), nil
	}
	return "", usagef("completion: %q is not one of bash, zsh and fish", shell)
}

// offered are the commands for people, and for each the words that can follow.
func offered() (names []string, words map[string][]string) {
	words = map[string][]string{}
	for _, c := range commands() {
		if c.internal {
			continue
		}
		names = append(names, c.name)
		flags := pflag.NewFlagSet(c.name, pflag.ContinueOnError)
		c.setUp(flags)
		flags.VisitAll(func(flag *pflag.Flag) {
			if flag.Name == "output" {
				for _, format := range []outputFormat{outputTable, outputJSON, outputQuiet} {
					words[c.name] = append(words[c.name], "--output="+string(format))
				}
				return
			}
			words[c.name] = append(words[c.name], "--"+flag.Name)
		})
	}
	words["help"] = names
	words["completion"] = shells
	return names, words
}

func bashCompletion() string {
	names, words := offered()
	var b strings.Builder
	b.WriteString("# bash completion for sublet\n_sublet() {\n    local words\n    COMP_WORDBREAKS=${COMP_WORDBREAKS//=/}\n    if [ \"$COMP_CWORD\" -eq 1 ]; then\n")
	fmt.Fprintf(&b, "        words=%q\n    else\n        case \"${COMP_WORDS[1]}\" in\n", strings.Join(names, " "))
	for _, name := range names {
		fmt.Fprintf(&b, "        %s) words=%q ;;\n", name, strings.Join(words[name], " "))
	}
	b.WriteString("        esac\n    fi\n    COMPREPLY=($(compgen -W \"$words\" -- \"${COMP_WORDS[COMP_CWORD]}\"))\n}\ncomplete -F _sublet sublet\n")
	return b.String()
}

func zshCompletion() string {
	names, words := offered()
	var b strings.Builder
	b.WriteString("#compdef sublet\nif (( CURRENT == 2 )); then\n")
	fmt.Fprintf(&b, "    compadd %s\nelse\n    case ${words[2]} in\n", strings.Join(names, " "))
	for _, name := range names {
		fmt.Fprintf(&b, "    %s) compadd -- %s ;;\n", name, strings.Join(words[name], " "))
	}
	b.WriteString("    esac\nfi\n")
	return b.String()
}

func fishCompletion() string {
	names, words := offered()
	var b strings.Builder
	b.WriteString("# fish completion for sublet\ncomplete -c sublet -f\n")
	for _, c := range commands() {
		if c.internal {
			continue
		}
		fmt.Fprintf(&b, "complete -c sublet -n __fish_use_subcommand -a %s -d '%s'\n", c.name, strings.ReplaceAll(c.summary, "'", `\'`))
	}
	for _, name := range names {
		fmt.Fprintf(&b, "complete -c sublet -n '__fish_seen_subcommand_from %s' -a '%s'\n", name, strings.Join(words[name], " "))
	}
	return b.String()
}
