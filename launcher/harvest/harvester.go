package harvest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"time"

	"github.com/sublet-hpc/sublet/launcher"
	"github.com/sublet-hpc/sublet/slurm"
)

// Cluster is what a harvester asks of Slurm; *slurm.Client is one.
type Cluster interface {
	Nodes(ctx context.Context) ([]slurm.Node, error)
	Jobs(ctx context.Context) ([]slurm.Job, error)
	Submit(ctx context.Context, script slurm.Script) (slurm.JobID, error)
	Cancel(ctx context.Context, jobs ...slurm.JobID) error
	Counters() slurm.Counters
}

// Resources is what a harvester asks of the resource manager; [Manager] is one.
type Resources interface {
	// Demand is what leases need and nodes have; not Known if nobody answers.
	Demand(ctx context.Context) Demand
	// Drain has a node take no more leases, and tells whether it has none. If it has, it goes on taking leases.
	Drain(ctx context.Context, node string) (idle bool, err error)
	// Forget ends a drain of ours of a node that we have given back.
	Forget(ctx context.Context, node string) error
}

// Options of a harvester.
type Options struct {
	Policy    Policy
	Job       Job
	Cluster   Cluster
	Resources Resources
	// Log is where to log; nil: nowhere.
	Log *slog.Logger
}

// Harvester is the loop around [Decide]. It does one thing at a time.
type Harvester struct {
	Options
	file File
	lock *os.File
}

// Open makes a run directory this harvester's, and reads what the last one has left.
func Open(options Options) (*Harvester, error) {
	if options.Log == nil {
		options.Log = slog.New(slog.DiscardHandler)
	}
	if err := options.Policy.Check(); err != nil {
		return nil, err
	}
	script, err := options.Job.Script("name", "node", options.Policy)
	if err == nil {
		_, err = script.Text()
	}
	if err != nil {
		return nil, fmt.Errorf("harvest: the jobs: %w", err)
	}
	host, err := os.Hostname()
	if err != nil {
		return nil, fmt.Errorf("harvest: the name of this host: %w", err)
	}
	h := &Harvester{Options: options}
	if err := launcher.MakeFolder(options.Job.Logs()); err != nil {
		return nil, fmt.Errorf("harvest: the run directory: %w", err)
	}
	if h.lock, err = lock(options.Job.Directory, fmt.Sprintf("process %d on %s", os.Getpid(), host)); err != nil {
		return nil, err
	}
	before, err := Read(options.Job.Directory)
	if err != nil && !errors.Is(err, ErrNotHarvested) {
		return nil, errors.Join(err, h.lock.Close())
	}
	h.file = File{Version: fileVersion, Host: host, PID: os.Getpid(), Started: time.Now().Round(0), Policy: options.Policy, State: before.State}
	_ = h.save() // Run says so where that fails; nodes can be given back all the same
	return h, nil
}

// Close lets go of the run directory. Jobs go on.
func (h *Harvester) Close() error { return h.lock.Close() }

// State is what is known now.
func (h *Harvester) State() State { return h.file.State.clone() }

func (h *Harvester) save() error {
	h.file.Calls = h.Cluster.Counters()
	return h.file.write(h.Job.Directory)
}

// Run looks and acts, once in each interval, until ctx ends. That the state can not be written at the beginning is an error.
func (h *Harvester) Run(ctx context.Context) error {
	if err := h.save(); err != nil {
		return err
	}
	for {
		next := time.After(h.Policy.Interval) // from the beginning of each: one that takes long does not bring the next two closer to each other
		h.Look(ctx)
		select {
		case <-next:
		case <-ctx.Done():
			return nil
		}
	}
}

// Look asks Slurm and the resource manager once, and does what follows from it. What fails is logged, and is in
// the state file.
func (h *Harvester) Look(ctx context.Context) {
	snapshot, err := TakeSnapshot(ctx, h.Cluster, h.Resources)
	if ctx.Err() != nil {
		return
	}
	if err != nil {
		h.note(err)
		return
	}
	state, events := Observe(snapshot, h.file.State, h.Policy)
	h.file.State = state
	for _, event := range events {
		h.report(event)
	}
	decision := Decide(snapshot, state, h.Policy, time.Now().Round(0))
	h.file.Limit = decision.Limit
	err = h.giveBack(ctx, decision.GiveBack)
	for _, node := range decision.Submit {
		if err != nil || ctx.Err() != nil {
			break // what is known about Slurm may be wrong
		}
		err = h.submit(ctx, node)
	}
	h.forgetDrains(ctx)
	h.note(err)
}

// note keeps what was wrong, and logs it when it changes.
func (h *Harvester) note(err error) {
	text := ""
	if err != nil {
		text = err.Error()
		if !errors.Is(err, slurm.ErrBackingOff) {
			h.Log.Warn("not all was done; Slurm is asked again at the next look", "error", err)
		}
	}
	h.file.Error = text
	if err := h.save(); err != nil {
		h.Log.Error("the state can not be written; nothing is submitted until it can be", "error", err)
	}
}

// TakeSnapshot asks Slurm, and the resource manager if there is one. sinfo and squeue are called one after the other.
func TakeSnapshot(ctx context.Context, cluster Cluster, resources Resources) (Snapshot, error) {
	var snapshot Snapshot
	var err error
	if snapshot.Nodes, err = cluster.Nodes(ctx); err != nil {
		return snapshot, err
	}
	snapshot.At = time.Now().Round(0)
	if snapshot.Jobs, err = cluster.Jobs(ctx); err != nil {
		return snapshot, err
	}
	if resources != nil {
		snapshot.Demand = resources.Demand(ctx)
	}
	return snapshot, nil
}

// report logs what a look has shown. What a job has written is kept if it has failed.
func (h *Harvester) report(event Event) {
	level := slog.LevelInfo
	if event.Failed {
		level = slog.LevelWarn
	}
	h.Log.Log(context.Background(), level, event.Text, "job", event.Job, "node", event.Node, "reason", event.Reason)
	if !event.Ended {
		return
	}
	if event.Failed {
		h.pruneLogs()
		return
	}
	if err := os.Remove(h.Job.log(event.Name)); err != nil && !errors.Is(err, os.ErrNotExist) {
		h.Log.Debug("what a job has written stays", "error", err)
	}
}

// giveBack cancels jobs, with one call.
func (h *Harvester) giveBack(ctx context.Context, returns []Return) error {
	now := time.Now().Round(0)
	var jobs []slurm.JobID
	answers := true // the resource manager: else each node would wait for it
	for _, r := range returns {
		if r.Idle {
			idle, err := false, error(nil)
			if answers {
				idle, err = h.drained(ctx, r.Node)
				answers = err == nil
			}
			if !idle {
				continue
			}
		}
		record := h.file.State.Jobs[r.Name]
		record.GivenBack, record.Why = now, r.Because
		h.file.State.Jobs[r.Name] = record
		if r.Failed {
			h.file.State.fail(r.Node, now, r.Because)
		}
		h.Log.Info("giving a node back", "node", r.Node, "job", r.Job, "reason", r.Because)
		jobs = append(jobs, r.Job)
	}
	if len(jobs) == 0 {
		return nil
	}
	// By that a job that ends is known not to have failed; that it can not be written keeps no node from others.
	err := h.save()
	return errors.Join(h.Cluster.Cancel(ctx, jobs...), err)
}

// drained has a node take no more leases, and tells whether it has none.
func (h *Harvester) drained(ctx context.Context, node string) (idle bool, err error) {
	h.file.State.Drained[node] = time.Now().Round(0)
	if err := h.save(); err != nil {
		delete(h.file.State.Drained, node)
		return false, err
	}
	idle, err = h.Resources.Drain(ctx, node)
	if err != nil {
		h.Log.Warn("a node without leases is not given back yet", "node", node, "error", err)
	}
	return idle && err == nil, err
}

// forgetDrains ends the drains of nodes that have no job of ours any more, or whose job stays.
func (h *Harvester) forgetDrains(ctx context.Context) {
	for node := range h.file.State.Drained {
		leaving := slices.ContainsFunc(h.file.State.records(), func(r Record) bool { return r.Node == node && r.leaving() })
		if leaving {
			continue
		}
		if err := h.Resources.Forget(ctx, node); err != nil {
			h.Log.Debug("drains stay for now", "node", node, "error", err)
			return
		}
		delete(h.file.State.Drained, node)
	}
}

// submit asks for a job on a node. What it is called is on disk before sbatch can make it.
func (h *Harvester) submit(ctx context.Context, node string) error {
	now := time.Now().Round(0)
	name := h.Policy.Names.fresh()
	script, err := h.Job.Script(name, node, h.Policy)
	if err != nil {
		return err
	}
	before := h.State()
	h.file.State.Jobs[name] = Record{Name: name, Node: node, Asked: now}
	h.file.State.Submissions = append(h.file.State.Submissions, now)
	if err := h.save(); err != nil {
		h.file.State = before
		return err
	}
	job, err := h.Cluster.Submit(ctx, script)
	answered := time.Now().Round(0)
	record := h.file.State.Jobs[name]
	record.Job, record.Answered = job, answered
	h.file.State.Jobs[name] = record
	switch {
	case err == nil:
		h.Log.Info("submitted", "node", node, "job", job)
		return h.save()
	case ctx.Err() != nil: // we are to end: whoever comes next looks for it
		return errors.Join(err, h.save())
	case !slurm.MayBeSubmitted(err):
		delete(h.file.State.Jobs, name) // there is no job
	}
	if errors.Is(err, slurm.ErrBackingOff) || errors.Is(err, slurm.ErrNoSlurm) {
		h.file.State.Submissions = before.Submissions // nothing was called
	} else {
		h.file.State.fail("", answered, err.Error())
	}
	return errors.Join(err, h.save())
}
