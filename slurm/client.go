package slurm

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

const (
	// defaultDeadline is more than the 10 s that Slurm's commands try for by themselves when slurmctld is away.
	defaultDeadline  = 15 * time.Second
	defaultMaxOutput = 256 << 20
)

// Options say how a Client is to work.
type Options struct {
	Deadline  time.Duration // of each call; 0: 15 s, as Slurm's commands try for 10 s by themselves
	MaxOutput int           // bytes that a command may write; 0: 256 MiB, which is some 40,000 jobs
	Log       *slog.Logger  // nil: nothing is logged
	// Where the commands are; "" is found on PATH, each time.
	Sinfo, Squeue, Sbatch, Scancel, Srun string
}

// Client runs Slurm's commands. It is safe for concurrent use.
type Client struct {
	options Options
	now     func() time.Time

	mu       sync.Mutex
	counters Counters
	backoffs map[string]*backoff
}

// New is a client of the Slurm that the process's environment says (SLURM_CONF, PATH).
func New(o Options) *Client {
	if o.Deadline <= 0 {
		o.Deadline = defaultDeadline
	}
	if o.MaxOutput <= 0 {
		o.MaxOutput = defaultMaxOutput
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Client{options: o, now: time.Now, counters: Counters{}, backoffs: map[string]*backoff{}}
}

// Nodes asks sinfo for all nodes that are in a partition, in no order.
func (c *Client) Nodes(ctx context.Context) ([]Node, error) {
	var nodes []Node
	read := func(out []byte) (err error) { nodes, err = parseNodes(out); return err }
	// Slurm 22.05 writes a record for each node. Later ones fold nodes that are alike into one, but for --Node, which
	// makes a record for each node and partition.
	err := c.call(ctx, "sinfo", request{args: []string{"--json", "--all", "--Node", "--Format=NodeList,Partition,NodeAddr"}, environment: scrub(os.Environ()), read: read})
	return nodes, err
}

// Jobs asks squeue for all jobs, also those that have ended some minutes ago, in no order.
func (c *Client) Jobs(ctx context.Context) ([]Job, error) {
	var jobs []Job
	read := func(out []byte) (err error) { jobs, err = parseJobs(out); return err }
	err := c.call(ctx, "squeue", request{args: []string{"--json", "--all", "--states=all"}, environment: scrub(os.Environ()), read: read})
	return jobs, err
}

// Submit gives a script to sbatch. For a script that can not be written there is no job; after other errors
// MayBeSubmitted says whether there may be one all the same: look for it by its name or comment before it is submitted again.
//
// What the script says counts: of the variables by which sbatch is told things (SBATCH_*) it gets those of defaults, such as
// SBATCH_ACCOUNT, and only where the script has no such option.
func (c *Client) Submit(ctx context.Context, s Script) (JobID, error) {
	text, err := s.Text()
	if err != nil {
		return 0, err
	}
	var id JobID
	read := func(out []byte) (err error) { id, err = parseSubmitted(string(out)); return err }
	environment := scrubForScript(scrub(os.Environ()), s)
	err = c.call(ctx, "sbatch", request{args: []string{"--parsable"}, environment: environment, input: text, read: read})
	return id, err
}

// parseSubmitted reads what sbatch --parsable writes: a line with the job's number, and its cluster if there are several. Sites have
// sbatch write greetings besides.
func parseSubmitted(out string) (JobID, error) {
	var found []JobID
	for line := range strings.Lines(out) {
		number, _, _ := strings.Cut(strings.TrimSpace(line), ";")
		if id, err := strconv.ParseUint(number, 10, 32); err == nil && id != 0 {
			found = append(found, JobID(id))
		}
	}
	if len(found) != 1 {
		return 0, fmt.Errorf("%s is no number of a job", shown(out))
	}
	return found[0], nil
}

// Cancel ends jobs, or takes them out of the queue. Jobs that have ended already are no error.
func (c *Client) Cancel(ctx context.Context, ids ...JobID) error {
	const most = 1000 // on one command line
	for some := range slices.Chunk(ids, most) {
		args := []string{"--quiet"}
		for _, id := range some {
			args = append(args, id.String())
		}
		if err := c.call(ctx, "scancel", request{args: args, environment: scrub(os.Environ())}); err != nil {
			return err
		}
	}
	return nil
}

// Srun is where srun is, or an ErrNoSlurm.
func (c *Client) Srun() (string, error) {
	path, failure := c.find("srun")
	if failure != nil {
		return "", failure
	}
	return path, nil
}

// Counters are how often each command was called until now.
func (c *Client) Counters() Counters {
	c.mu.Lock()
	defer c.mu.Unlock()
	return maps.Clone(c.counters)
}
