package main

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"github.com/sublet-hpc/sublet/cmd/sublet-invoke/options"
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
		words[c.name] = append(words[c.name], c.verbs...)
		for _, sub := range c.commands {
			words[c.name] = append(words[c.name], strings.TrimPrefix(sub.name, c.name+" "))
		}
		for _, one := range append([]*command{c}, c.commands...) {
			flagsOf(one).VisitAll(func(flag *pflag.Flag) {
				if word := "--" + flag.Name; !slices.Contains(words[c.name], word) {
					words[c.name] = append(words[c.name], word)
				}
			})
		}
	}
	words["help"] = names
	words["completion"] = shells
	return names, words
}

func formats() string {
	return strings.Join([]string{string(outputTable), string(outputJSON), string(outputQuiet)}, " ")
}

// fileFlags are the flags, of any command for people, whose value is a file or a directory.
func fileFlags() []string {
	var found []string
	add := func(name string) {
		if !slices.Contains(found, name) {
			found = append(found, name)
		}
	}
	for _, c := range everyCommand() {
		if c.internal {
			continue
		}
		flagsOf(c).VisitAll(func(flag *pflag.Flag) {
			switch kind, _ := pflag.UnquoteUsage(flag); kind {
			case "DIR", "FILE", "PATH":
				add("--" + flag.Name)
				if flag.Shorthand != "" && flag.Shorthand != "o" { // -o: see fileByO
					add("-" + flag.Shorthand)
				}
			}
		})
	}
	return found
}

// fileByO are the commands whose -o is a file, each behind the prefix: as in rFaaS's generator.
func fileByO(prefix, separator string) string {
	var found []string
	for _, c := range commands() {
		if flag := flagsOf(c).ShorthandLookup("o"); flag != nil && flag.Name != "output" {
			found = append(found, prefix+c.name)
		}
	}
	return strings.Join(found, separator)
}

// named are the verbs whose names a list has, each with its noun, as "show,node" for the shell's case.
func named(noun, joined string) string {
	var cases []string
	for _, verb := range map[string][]string{"node": {"show", "drain", "resume", "remove"}, "lease": {"show", "release"}}[noun] {
		cases = append(cases, verb+joined+noun)
	}
	return strings.Join(cases, "|")
}

func transports() string { return strings.Join(options.Transports, " ") }

func bashCompletion() string {
	names, words := offered()
	var cases strings.Builder
	for _, name := range names {
		fmt.Fprintf(&cases, "        *,%s) words=%q ;;\n", name, strings.Join(words[name], " "))
	}
	return fmt.Sprintf(`# bash completion for sublet
_sublet() {
    local words=""
    if [ "$COMP_CWORD" -eq 1 ]; then
        words=%q
    else
        case "${COMP_WORDS[COMP_CWORD-1]},${COMP_WORDS[1]}" in
        %s) ;; # a file
        --output,bill|-o,bill) words="table json csv quiet" ;;
        --account,*) words=$(sublet bill --output quiet 2>/dev/null) ;;
        --output,*|-o,*) words=%q ;;
        --transport,*) words=%q ;;
        %s,*) ;; # a file: what bash does by default
        %s) words=$(sublet node list --output quiet 2>/dev/null) ;;
        %s|explain,explain) words=$(sublet lease list --output quiet 2>/dev/null) ;;
%s        esac
    fi
    COMPREPLY=($(compgen -W "$words" -- "${COMP_WORDS[COMP_CWORD]}"))
}
complete -o default -F _sublet sublet
`, strings.Join(names, " "), fileByO("-o,", "|"), formats(), transports(), strings.Join(fileFlags(), ",*|"), named("node", ","), named("lease", ","), &cases)
}

func zshCompletion() string {
	names, words := offered()
	var cases strings.Builder
	for _, name := range names {
		fmt.Fprintf(&cases, "    *,%s) compadd -- %s ;;\n", name, strings.Join(words[name], " "))
	}
	return fmt.Sprintf(`#compdef sublet
if (( CURRENT == 2 )); then
    compadd -- %s
else
    case "${words[CURRENT-1]},${words[2]}" in
    %s) _files ;;
    --output,bill|-o,bill) compadd -- table json csv quiet ;;
    --account,*) compadd -- ${(f)"$(sublet bill --output quiet 2>/dev/null)"} ;;
    --output,*|-o,*) compadd -- %s ;;
    --transport,*) compadd -- %s ;;
    %s,*) _files ;;
    %s) compadd -- ${(f)"$(sublet node list --output quiet 2>/dev/null)"} ;;
    %s|explain,explain) compadd -- ${(f)"$(sublet lease list --output quiet 2>/dev/null)"} ;;
%s    esac
fi
`, strings.Join(names, " "), fileByO("-o,", "|"), formats(), transports(), strings.Join(fileFlags(), ",*|"), named("node", ","), named("lease", ","), &cases)
}

func fishCompletion() string {
	names, words := offered()
	var b strings.Builder
	b.WriteString("# fish completion for sublet\ncomplete -c sublet -f\n")
	for _, name := range names {
		c, err := findCommand(name)
		if err != nil {
			continue // offered names are commands
		}
		fmt.Fprintf(&b, "complete -c sublet -n __fish_use_subcommand -a %s -d '%s'\n", name, strings.ReplaceAll(c.summary, "'", `\'`))
		fmt.Fprintf(&b, "complete -c sublet -n '__fish_seen_subcommand_from %s' -a '%s'\n", name, strings.Join(words[name], " "))
	}
	b.WriteString("complete -c sublet -n '__fish_seen_subcommand_from node; and __fish_prev_arg_in show drain resume remove' -a '(sublet node list --output quiet 2>/dev/null)'\n")
	b.WriteString("complete -c sublet -n '__fish_seen_subcommand_from lease explain; and __fish_prev_arg_in show release explain' -a '(sublet lease list --output quiet 2>/dev/null)'\n")
	b.WriteString("complete -c sublet -n '__fish_prev_arg_in --account' -a '(sublet bill --output quiet 2>/dev/null)'\n")
	b.WriteString("complete -c sublet -n '__fish_prev_arg_in --output -o; and __fish_seen_subcommand_from bill' -a csv\n")
	fmt.Fprintf(&b, "complete -c sublet -n '__fish_prev_arg_in --output -o; and not __fish_seen_subcommand_from %s' -a '%s'\n", fileByO("", " "), formats())
	fmt.Fprintf(&b, "complete -c sublet -n '__fish_prev_arg_in --transport' -a '%s'\n", transports())
	fmt.Fprintf(&b, "complete -c sublet -n '__fish_prev_arg_in %s' -F\n", strings.Join(fileFlags(), " "))
	return b.String()
}
