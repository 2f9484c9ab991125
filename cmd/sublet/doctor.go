package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/pflag"

	"github.com/sublet-hpc/sublet/cmd/internal/output"
)

// verdict is how bad something is.
type verdict string

const (
	fine    verdict = "ok"
	doubt   verdict = "warn" // it works, but not as well as it could, or not everything does
	trouble verdict = "fail" // something will not work
)

// finding is one line of what the doctor says.
type finding struct {
	Check  string  `json:"check"`
	State  verdict `json:"state"`
	Found  string  `json:"found"`
	Change string  `json:"change,omitempty"` // what to do about it
}

func ok(check, format string, args ...any) finding {
	return finding{Check: check, State: fine, Found: fmt.Sprintf(format, args...)}
}

func warn(check, found, change string) finding {
	return finding{Check: check, State: doubt, Found: found, Change: change}
}

func fail(check, found, change string) finding {
	return finding{Check: check, State: trouble, Found: found, Change: change}
}

// doctor looks at this machine and its run directory.
type doctor struct {
	dir  string
	root string // of /proc, /sys and /dev; "/" but in tests

	executors string // an executors database; empty: SUBLET_EXECUTORS_DATABASE's
}

func doctorCommand() *command {
	return &command{
		name: "doctor", summary: "look for what would keep Sublet from working well here, and say what to change",
		details: `
Run it on a node as the user, and with the limits and the environment, of the programs that are to run
there: in a job. It looks at
  programs     Sublet's programs, and whether they are of one version
  kernel       what Sublet needs of it
  cores        how many whole cores this job can lend
  nofile, nproc, memlock, cgroup, shm
               limits: descriptors, processes, locked memory, the job's control group, /dev/shm
  clock        whether it is synchronized, agrees with the resource manager's, and is quick to read
  ptrace       whether libfabric's shm may copy large payloads at once
  environment  variables that change what Sublet does
  directory    the run directory, and who may read and write it
  manager      the resource manager, if there is one
  database     the executor managers of an executors database, if one is named: each by itself
  libfabric    its version
  fabric       each network device, by real writes from one process to another

Each line is ok; warn: it works, but not as well as it could, or not everything does; or fail: something
will not work. Below it stands what to change. It takes some seconds, most for trying the devices.

Exit status: 0 nothing failed, 1 something did. --output json prints one array: check, state, found, change
(if there is something to). --output quiet prints the names of the checks that are not ok.`,
		examples: []string{"sublet doctor", "srun -N4 --ntasks-per-node=1 sublet doctor --output quiet", "sublet doctor --output json"},
		setUp: func(flags *pflag.FlagSet) runFunc {
			d := &doctor{root: "/"}
			flags.StringVar(&d.dir, "dir", "", runDirectoryHelp)
			flags.StringVar(&d.executors, "executors-database", "", "the `FILE` that names executor managers to ask (default: $SUBLET_EXECUTORS_DATABASE, else none)")
			format := outputFlag(flags)
			return func(args []string, stdout, _ io.Writer) error {
				if err := noArguments("doctor", args); err != nil {
					return err
				}
				ctx, stop := untilSignal()
				defer stop()
				return d.report(ctx, *format, stdout)
			}
		},
	}
}

// look makes all checks, in the order in which they are told.
func (d *doctor) look(ctx context.Context) []finding {
	versions, findings := d.programs(ctx)
	findings = append(findings, d.kernel(), d.cores())
	findings = append(findings, d.limits()...)
	findings = append(findings, d.controlGroup(), d.sharedMemory(), d.clock(), d.clockSource(), d.ptrace())
	findings = append(findings, d.environment(os.Getenv)...)
	findings = append(findings, d.directory()...)
	findings = append(findings, d.manager(ctx)...)
	findings = append(findings, d.database(ctx, cmp.Or(d.executors, os.Getenv(databaseVariable)))...)
	findings = append(findings, d.libfabric(versions))
	return append(findings, d.fabric(ctx)...)
}

func (d *doctor) report(ctx context.Context, format outputFormat, stdout io.Writer) error {
	findings := d.look(ctx)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err := writeFindings(stdout, format, findings); err != nil {
		return err
	}
	var failed []string
	for _, f := range findings {
		if f.State == trouble {
			failed = append(failed, f.Check)
		}
	}
	if len(failed) > 0 {
		return fmt.Errorf("doctor: something will not work here: %s", strings.Join(failed, ", "))
	}
	return nil
}

func writeFindings(w io.Writer, format outputFormat, findings []finding) error {
	switch format {
	case outputJSON:
		return output.WriteJSON(w, findings)
	case outputQuiet:
		for _, f := range findings {
			if f.State != fine {
				fmt.Fprintln(w, f.Check)
			}
		}
		return nil
	}
	width := 0
	for _, f := range findings {
		width = max(width, len(f.Check))
	}
	for _, f := range findings {
		fmt.Fprintf(w, "%-4s  %-*s  %s\n", f.State, width, f.Check, f.Found)
		if f.Change != "" {
			fmt.Fprintf(w, "      %-*s  → %s\n", width, "", f.Change)
		}
	}
	return nil
}

// text reads one of the kernel's files; empty if it is not there or can not be read.
func (d *doctor) text(path string) string {
	content, err := os.ReadFile(d.root + path)
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(content))
}
