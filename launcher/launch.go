package launcher

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/sublet-hpc/sublet/resources/api"
	"github.com/sublet-hpc/sublet/slurm"
)

// Launch are the executor managers that were started in an allocation.
type Launch struct {
	options Options
	client  *api.Client
	log     *slog.Logger
	began   time.Time
	names   map[string]string // of managers, by node
	before  map[string]string // the socket of who had such a name before, by name
	steps   []*step

	mu     sync.Mutex
	failed map[string]Failure // by node
	ending bool
	news   chan struct{} // has room for one
}

// Start starts executor managers on all nodes of an allocation. The client is the resource manager's with which they are to
// register. End must be called.
func Start(ctx context.Context, client *api.Client, options Options) (*Launch, error) {
	if err := options.check(); err != nil {
		return nil, err
	}
	l := &Launch{options: options, client: client, log: options.Log, began: time.Now(), failed: map[string]Failure{}, before: map[string]string{}, news: make(chan struct{}, 1)}
	if l.log == nil {
		l.log = slog.New(slog.DiscardHandler)
	}
	present, err := client.Nodes(ctx, "")
	if err != nil {
		return nil, err
	}
	taken := map[string]bool{}
	for _, node := range present {
		l.before[node.Name] = node.Socket
		taken[node.Name] = node.State != api.NodeSilent && node.State != api.NodeGone
	}
	pattern := ""
	pattern, l.names = names(options.Allocation.Nodes, taken, options.Allocation.Job)
	if err := os.MkdirAll(options.Logs, 0o700); err != nil {
		return nil, fmt.Errorf("launch: the directory of the managers' logs: %w", err)
	}
	for _, g := range options.groups() {
		s, err := l.options.startStep(g, pattern, l.said)
		if err != nil {
			forced, force := context.WithCancel(ctx)
			force()
			return nil, errors.Join(err, l.End(forced))
		}
		l.steps = append(l.steps, s)
		go func() {
			<-s.ended
			l.tell()
		}()
	}
	return l, nil
}

// tell has who waits look again.
func (l *Launch) tell() {
	select {
	case l.news <- struct{}{}:
	default: // somebody has said so already
	}
}

// said notes what srun says.
func (l *Launch) said(line string) {
	nodes, reason := endedOf(line)
	l.mu.Lock()
	ending := l.ending
	for _, node := range nodes {
		if _, known := l.failed[node]; !known && !ending {
			l.failed[node] = Failure{Node: node, Reason: reason}
		}
	}
	l.mu.Unlock()
	switch {
	case len(nodes) == 0 && !strings.Contains(line, "error:"):
		l.log.Debug("srun says", "line", line)
	case len(nodes) == 0:
		l.log.Warn("srun says", "line", line)
	case !ending:
		l.log.Warn("executor managers have ended", "nodes", slurm.Fold(nodes), "reason", reason)
	}
	l.tell()
}

// Registered says what came of a launch.
type Registered struct {
	// Nodes are the managers that have registered, in the order of the allocation's nodes.
	Nodes []api.NodeStatus `json:"nodes"`
	// Failed are those that have not.
	Failed []Failure `json:"failed"`
	// Took is how long it took.
	Took time.Duration `json:"took"`
}

const (
	// lookInterval is how often to look who has registered, at first and after lookLong.
	lookInterval = 25 * time.Millisecond
	lookSlowly   = 500 * time.Millisecond
	lookLong     = 10 * time.Second
	// lookShare is how many times as long as a look the pause behind it is at least.
	lookShare = 4
)

// Register waits until all managers have registered or failed, but no longer than patience. It is an error if none has
// registered. progress, which may be nil, is told of each that has.
func (l *Launch) Register(ctx context.Context, patience time.Duration, progress func(registered []string)) (Registered, error) {
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	told := 0
	for late := false; ; {
		began := time.Now()
		found, err := l.look(ctx)
		if ctx.Err() != nil {
			return found, ctx.Err()
		}
		if progress != nil && err == nil && len(found.Nodes) > told {
			told = len(found.Nodes)
			progress(nodeNames(found.Nodes))
		}
		if done := err == nil && len(found.Nodes)+len(found.Failed) == len(l.options.Allocation.Nodes); done || late {
			return l.outcome(found, err, patience)
		}
		pause := lookInterval
		if time.Since(l.began) > lookLong {
			pause = lookSlowly
		}
		pause = max(pause, lookShare*time.Since(began)) // thousands of nodes are not asked for all the time
		news := l.news
		if pause > lookSlowly {
			news = nil
		}
		select {
		case <-time.After(pause):
		case <-news:
		case <-deadline.C:
			late = true
		case <-ctx.Done():
		}
	}
}

func nodeNames(nodes []api.NodeStatus) (list []string) {
	for _, node := range nodes {
		list = append(list, node.Name)
	}
	return list
}

// outcome names who is missing, and what those that have failed wrote last.
func (l *Launch) outcome(found Registered, err error, patience time.Duration) (Registered, error) {
	found.Took = time.Since(l.began)
	if err != nil {
		return found, fmt.Errorf("launch: the resource manager did not say within %v who has registered: %w", patience, err)
	}
	for _, node := range l.options.Allocation.Nodes {
		if !slices.ContainsFunc(found.Nodes, func(n api.NodeStatus) bool { return n.Name == l.names[node] || n.Name == l.nameIfTaken(node) }) &&
			!slices.ContainsFunc(found.Failed, func(f Failure) bool { return f.Node == node }) {
			found.Failed = append(found.Failed, Failure{Node: node, Reason: fmt.Sprintf("its executor manager has not registered within %v", patience)})
		}
	}
	for i := range found.Failed {
		found.Failed[i] = l.lines(found.Failed[i])
	}
	if len(found.Nodes) > 0 {
		return found, nil
	}
	texts := []string{"launch: no executor manager has registered"}
	for _, s := range l.steps {
		if said := s.words.last(); len(said) > 0 {
			texts = append(texts, "srun says:\n  "+strings.Join(said, "\n  "))
		}
		if !s.started() {
			texts = append(texts, "srun has started nothing on "+slurm.Fold(s.nodes)+"; if other steps of the job have its CPUs, --overlap shares them")
		}
	}
	for i, f := range found.Failed {
		if i == mostFailures {
			texts = append(texts, fmt.Sprintf("and %d nodes more, see %s", len(found.Failed)-i, l.options.Logs))
			break
		}
		texts = append(texts, f.Error())
	}
	return found, errors.New(strings.Join(texts, "\n"))
}

// mostFailures is how many nodes an error names with what their managers wrote.
const mostFailures = 4

// look asks who has registered.
func (l *Launch) look(ctx context.Context) (Registered, error) {
	found := Registered{Nodes: []api.NodeStatus{}, Failed: []Failure{}}
	gone := map[string]string{} // whose srun has ended, and how
	for _, s := range l.steps {
		select {
		case <-s.ended:
			for _, node := range s.nodes {
				gone[node] = "srun has ended: " + endingOf(s.err)
			}
		default:
		}
	}
	nodes, err := l.client.Nodes(ctx, "")
	if err != nil {
		return found, err
	}
	present := map[string]api.NodeStatus{}
	for _, node := range nodes {
		if node.Job == uint32(l.options.Allocation.Job) && node.Socket != l.before[node.Name] && node.State != api.NodeSilent && node.State != api.NodeGone {
			present[node.Name] = node
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, node := range l.options.Allocation.Nodes {
		failure, failed := l.failed[node]
		status, registered := present[l.names[node]]
		if !registered {
			status, registered = present[l.nameIfTaken(node)]
		}
		reason, ended := gone[node]
		switch {
		case failed:
			found.Failed = append(found.Failed, failure)
		case ended:
			found.Failed = append(found.Failed, Failure{Node: node, Reason: reason})
		case registered:
			found.Nodes = append(found.Nodes, status)
		}
	}
	return found, nil
}

// nameIfTaken is what a node's manager is called where that of another job, started at the same time, has its name.
func (l *Launch) nameIfTaken(node string) string { return node + suffix(l.options.Allocation.Job) }

func endingOf(err error) string {
	if err == nil {
		return "exit status 0"
	}
	return err.Error()
}

// lines adds what the manager wrote last.
func (l *Launch) lines(f Failure) Failure {
	f.Log = l.options.log(f.Node)
	f.Lines = tail(f.Log)
	return f
}

// Wait waits until all managers have ended, or ctx ends, and says which of them failed.
func (l *Launch) Wait(ctx context.Context) []Failure {
	for _, s := range l.steps {
		select {
		case <-s.ended:
		case <-ctx.Done():
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	var failed []Failure
	for _, node := range l.options.Allocation.Nodes {
		if f, is := l.failed[node]; is {
			failed = append(failed, l.lines(f))
		}
	}
	return failed
}

// End has all managers drain and end. Those that have not when ctx ends are killed. After it nothing of them is left, or the error
// says of which nodes that is not sure.
func (l *Launch) End(ctx context.Context) error {
	l.mu.Lock()
	l.ending = true
	l.mu.Unlock()
	var group errgroup.Group
	for _, s := range l.steps {
		group.Go(func() error { return s.end(ctx) })
	}
	return group.Wait()
}
