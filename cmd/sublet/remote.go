package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/sublet-hpc/sublet/config"
	"github.com/sublet-hpc/sublet/devices"
	"github.com/sublet-hpc/sublet/internal/binaries"
	"github.com/sublet-hpc/sublet/slurm"
)

// remote starts programs of Sublet on other nodes.
type remote struct {
	via string // srun or ssh
	bin string // where the programs are there
}

// read checks the flags and fills in what they left out.
func (l *remote) read() error {
	switch l.via {
	case "srun", "ssh":
		return nil
	case "":
		l.via = "ssh"
		if _, err := exec.LookPath("srun"); err == nil && os.Getenv("SLURM_JOB_ID") != "" {
			l.via = "srun"
		}
		return nil
	}
	return usagef("devices: --via %s: other nodes are reached by srun or ssh", l.via)
}

// program is the path of one of Sublet's programs on other nodes.
func (l *remote) program(name string) (string, error) {
	directory := cmp.Or(l.bin, os.Getenv(binaries.Directory))
	if directory == "" {
		self, err := os.Executable()
		if err != nil {
			return "", err
		}
		directory = filepath.Dir(self)
	}
	return filepath.Join(directory, name), nil
}

// connectPatience is how long ssh may take to reach a node, in seconds.
const connectPatience = 10

// command starts a program on a node, with variables beside those that it has there. The node's name is
// one that slurm.Expand has made: no option, no word of a shell.
func (l *remote) command(ctx context.Context, node string, environment []string, name string, args ...string) (*exec.Cmd, error) {
	path, err := l.program(name)
	if err != nil {
		return nil, err
	}
	remote := append([]string{"env"}, environment...)
	if directory := filepath.Dir(path); name == "sublet" {
		remote = append(remote, binaries.Directory+"="+directory)
	}
	remote = append(append(remote, path), args...)
	if l.via == "srun" {
		return exec.CommandContext(ctx, "srun", append([]string{
			"--nodelist=" + node, "--nodes=1", "--ntasks=1", "--overlap", "--mem=0", "--cpu-bind=none", "--unbuffered",
		}, remote...)...), nil
	}
	for i, word := range remote {
		remote[i] = quote(word)
	}
	return exec.CommandContext(ctx, "ssh", "-T", "-o", "BatchMode=yes", "-o", "ConnectTimeout="+strconv.Itoa(connectPatience),
		"--", node, strings.Join(remote, " ")), nil
}

// quote makes one word of a shell's of a text.
func quote(text string) string { return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'" }

const (
	// collectors is how many nodes are asked at once.
	collectors = 16
	// collectPatience is how long one node may take.
	collectPatience = time.Minute
)

// collect asks nodes for their devices, and makes one database of them. It is complete, or an error that
// names every node that did not answer.
func (l *remote) collect(ctx context.Context, hostlist string, port int, names []string) (devices.Database, error) {
	nodes, err := slurm.Expand(hostlist)
	if err != nil {
		return devices.Database{}, usagef("devices: --hosts: %v", err)
	}
	each := make([][]devices.Device, len(nodes))
	errs := make([]error, len(nodes))
	var group errgroup.Group
	group.SetLimit(collectors)
	for i, node := range nodes {
		group.Go(func() error {
			each[i], errs[i] = l.devicesOf(ctx, node, port, names)
			return nil
		})
	}
	_ = group.Wait() // errors are kept per node
	var failed []string
	var database devices.Database
	for i, node := range nodes {
		if errs[i] != nil {
			failed = append(failed, node)
			continue
		}
		database.Devices = append(database.Devices, each[i]...)
	}
	if len(failed) > 0 {
		return devices.Database{}, fmt.Errorf("%w\ndevices: nothing is written, because %s did not answer; leave them out of --hosts, or mend that",
			errors.Join(errs...), slurm.Fold(failed))
	}
	return database, nil
}

// devicesOf asks one node for its devices.
func (l *remote) devicesOf(ctx context.Context, node string, port int, names []string) ([]devices.Device, error) {
	ctx, cancel := context.WithTimeout(ctx, collectPatience)
	defer cancel()
	args := []string{"devices", "--output", "json", "--port", strconv.Itoa(port)}
	for _, name := range names {
		args = append(args, "--device", name)
	}
	command, err := l.command(ctx, node, nil, "sublet", args...)
	if err != nil {
		return nil, err
	}
	var stderr bytes.Buffer
	command.Stderr = &stderr
	out, err := command.Output()
	if err != nil {
		return nil, fmt.Errorf("devices: node %s: %w", node, l.failure(ctx, &stderr, err))
	}
	database, err := config.ParseDevices("what node "+node+" says", out)
	if err != nil {
		return nil, fmt.Errorf("%w; is its Sublet of this version?", err)
	}
	for i := range database.Devices {
		database.Devices[i].Node = node
	}
	return database.Devices, nil
}

// failure says why a program on another node has failed.
func (l *remote) failure(ctx context.Context, stderr *bytes.Buffer, err error) error {
	switch {
	case errors.Is(err, exec.ErrNotFound):
		return fmt.Errorf("there is no %s here to reach it by; see --via", l.via)
	case ctx.Err() != nil:
		return fmt.Errorf("no answer by %s: %w", l.via, ctx.Err())
	}
	reason := cmp.Or(lastWords(stderr), err)
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() == notFound {
		return fmt.Errorf("%w; --bin says where Sublet's programs are there", reason)
	}
	return fmt.Errorf("by %s: %w", l.via, reason)
}

// notFound is how env and shells end when there is no such program.
const notFound = 127
