package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/pflag"

	"github.com/sublet-hpc/sublet/bench"
	"github.com/sublet-hpc/sublet/cmd/sublet-invoke/options"
)

func completionCommand() *command {
	return &command{
		name: "completion", synopsis: "bash|zsh|fish", summary: "print a shell's completion script",
		examples: []string{"source <(sublet-bench completion bash)", "sublet-bench completion fish > ~/.config/fish/completions/sublet-bench.fish"},
		setUp: func(*pflag.FlagSet) runFunc {
			return func(_ context.Context, args []string, stdout io.Writer, _ *os.File) error {
				if len(args) == 1 {
					if script := completionScript(args[0]); script != "" {
						_, err := io.WriteString(stdout, script)
						return err
					}
				}
				return usagef("completion: for one of bash, zsh and fish")
			}
		},
	}
}

func completionScript(shell string) string {
	switch shell {
	case "bash":
		return bashCompletion()
	case "zsh":
		return zshCompletion()
	case "fish":
		return fishCompletion()
	}
	return ""
}

// values are what follows a flag, where that is one of a few words.
func values() [][2]string {
	return [][2]string{
		{"--baseline", strings.Join(bench.Baselines, " ")},
		{"--transport", strings.Join(options.Transports, " ")},
		{"--mode", bench.Hot + " " + bench.Warm},
		{"--output", "table json quiet"},
		{"-o", "table json quiet"},
	}
}

// offered are the commands, and for each the words that can follow.
func offered() (names []string, words map[string]string) {
	words = map[string]string{}
	for _, c := range commands() {
		name := c.name
		names = append(names, name)
		flags := pflag.NewFlagSet(name, pflag.ContinueOnError)
		c.setUp(flags)
		var all []string
		flags.VisitAll(func(flag *pflag.Flag) { all = append(all, "--"+flag.Name) })
		words[name] = strings.Join(all, " ")
	}
	words["completion"], words["help"] = "bash zsh fish", strings.Join(names, " ")
	return names, words
}

// files is a shell's pattern of the flags that take a file, and of the commands that do.
const (
	fileFlags    = "--save|--library|--out|--config|-c|--device-database|--executors-database|--functions|--output-stats"
	fileCommands = "report bars plot compare"
)

func bashCompletion() string {
	names, words := offered()
	var cases strings.Builder
	for _, v := range values() {
		fmt.Fprintf(&cases, "        %s,*) words=%q ;;\n", v[0], v[1])
	}
	fmt.Fprintf(&cases, "        %s) ;; # a file: what bash does by default\n", strings.ReplaceAll(fileFlags, "|", ",*|")+",*")
	for _, name := range names {
		fmt.Fprintf(&cases, "        *,%s) words=%q ;;\n", name, words[name])
	}
	return fmt.Sprintf(`# bash completion for sublet-bench
_sublet_bench() {
    local words=""
    if [ "$COMP_CWORD" -eq 1 ]; then
        words=%q
    else
        case "${COMP_WORDS[COMP_CWORD-1]},${COMP_WORDS[1]}" in
%s        esac
    fi
    COMPREPLY=($(compgen -W "$words" -- "${COMP_WORDS[COMP_CWORD]}"))
}
complete -o default -F _sublet_bench sublet-bench
`, strings.Join(names, " "), &cases)
}

func zshCompletion() string {
	names, words := offered()
	var cases strings.Builder
	for _, v := range values() {
		fmt.Fprintf(&cases, "    %s,*) compadd -- %s ;;\n", v[0], v[1])
	}
	fmt.Fprintf(&cases, "    %s) _files ;;\n", strings.ReplaceAll(fileFlags, "|", ",*|")+",*")
	for _, name := range names {
		files := ""
		if strings.Contains(fileCommands, name) {
			files = "; _files"
		}
		fmt.Fprintf(&cases, "    *,%s) compadd -- %s%s ;;\n", name, words[name], files)
	}
	return fmt.Sprintf(`#compdef sublet-bench
if (( CURRENT == 2 )); then
    compadd -- %s
else
    case "${words[CURRENT-1]},${words[2]}" in
%s    esac
fi
`, strings.Join(names, " "), &cases)
}

func fishCompletion() string {
	names, words := offered()
	var b strings.Builder
	b.WriteString("# fish completion for sublet-bench\ncomplete -c sublet-bench -f\n")
	for _, name := range names {
		fmt.Fprintf(&b, "complete -c sublet-bench -n __fish_use_subcommand -a %s\n", name)
		fmt.Fprintf(&b, "complete -c sublet-bench -n '__fish_seen_subcommand_from %s' -a '%s'\n", name, words[name])
	}
	for _, v := range values() {
		fmt.Fprintf(&b, "complete -c sublet-bench -n '__fish_prev_arg_in %s' -a '%s'\n", v[0], v[1])
	}
	fmt.Fprintf(&b, "complete -c sublet-bench -n '__fish_prev_arg_in %s; or __fish_seen_subcommand_from %s' -F\n", strings.ReplaceAll(fileFlags, "|", " "), fileCommands)
	return b.String()
}
