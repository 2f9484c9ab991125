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

// offered are the commands for people, and for each, also for one behind another, as "slurm submit", the words that
// can follow.
func offered() (names []string, words map[string][]string) {
	words = map[string][]string{}
	for _, c := range everyCommand() {
		if c.internal {
			continue
		}
		if !strings.Contains(c.name, " ") {
			names = append(names, c.name)
		}
		words[c.name] = append(words[c.name], c.verbs...)
		for _, sub := range c.commands {
			words[c.name] = append(words[c.name], lastWord(sub.name))
		}
		flagsOf(c).VisitAll(func(flag *pflag.Flag) { words[c.name] = append(words[c.name], "--"+flag.Name) })
	}
	words["help"] = names
	words["completion"] = shells
	return names, words
}

func lastWord(name string) string { return name[strings.LastIndex(name, " ")+1:] }

// shellWords is how a shell is told what words can follow a command.
type shellWords struct {
	indent  string
	offer   string // the words, as %s
	subject string // where the cursor is, and the word behind the command
	next    string // where the cursor is when that word is being written
}

// cases are those, by which command stands there, of the words that can follow.
func (s shellWords) cases(names []string, words map[string][]string) string {
	var cases strings.Builder
	for _, name := range names {
		say := func(name string) string { return fmt.Sprintf(s.offer, strings.Join(words[name], " ")) }
		c, err := findCommand(name)
		if err != nil || len(c.commands) == 0 {
			fmt.Fprintf(&cases, "%s*,%s) %s ;;\n", s.indent, name, say(name))
			continue
		}
		fmt.Fprintf(&cases, "%[1]s*,%[2]s)\n%[1]s    case \"%[3]s\" in\n%[1]s    %[4]s,*) %[5]s ;;\n", s.indent, name, s.subject, s.next, say(name))
		for _, sub := range c.commands {
			fmt.Fprintf(&cases, "%s    *,%s) %s ;;\n", s.indent, lastWord(sub.name), say(sub.name))
		}
		fmt.Fprintf(&cases, "%s    esac ;;\n", s.indent)
	}
	return cases.String()
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
	cases := shellWords{indent: "        ", offer: `words="%s"`, subject: "$COMP_CWORD,${COMP_WORDS[2]}", next: "2"}.cases(names, words)
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
`, strings.Join(names, " "), fileByO("-o,", "|"), formats(), transports(), strings.Join(fileFlags(), ",*|"), named("node", ","), named("lease", ","), cases)
}

func zshCompletion() string {
	names, words := offered()
	cases := shellWords{indent: "    ", offer: "compadd -- %s", subject: "$CURRENT,${words[3]}", next: "3"}.cases(names, words)
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
`, strings.Join(names, " "), fileByO("-o,", "|"), formats(), transports(), strings.Join(fileFlags(), ",*|"), named("node", ","), named("lease", ","), cases)
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
		seen := "__fish_seen_subcommand_from " + name
		if len(c.commands) > 0 {
			next := strings.Join(words[name], " ")
			fmt.Fprintf(&b, "complete -c sublet -n '%s; and not __fish_seen_subcommand_from %s' -a '%s'\n", seen, next, next)
			for _, sub := range c.commands {
				fmt.Fprintf(&b, "complete -c sublet -n '%s; and __fish_seen_subcommand_from %s' -a '%s'\n", seen, lastWord(sub.name), strings.Join(words[sub.name], " "))
			}
			continue
		}
		fmt.Fprintf(&b, "complete -c sublet -n '%s' -a '%s'\n", seen, strings.Join(words[name], " "))
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
