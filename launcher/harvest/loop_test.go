package harvest_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sublet-hpc/sublet/launcher/harvest"
	"github.com/sublet-hpc/sublet/slurm"
)

// polite is a policy for the partition of the simulation.
func polite(directory string) harvest.Policy {
	policy := harvest.DefaultPolicy()
	policy.Names, policy.Partition = harvest.NamesFor(directory, "1001"), "harvest"
	return policy
}

func open(t *testing.T, policy harvest.Policy, directory string, cluster harvest.Cluster) *harvest.Harvester {
	t.Helper()
	h, err := harvest.Open(harvest.Options{Policy: policy, Job: harvest.Job{Directory: directory, Program: "/opt/sublet"}, Cluster: cluster})
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// work is what the jobs of others have waited, and what became of the nodes' time.
type work struct {
	waits      []time.Duration
	idle, used time.Duration // node time without jobs of others, and that of it that was ours
}

// run lets a cluster of three nodes run random jobs for some minutes, with or without a harvester.
func run(t *testing.T, seed uint64, span time.Duration, policy *harvest.Policy, preempts bool) (work, *simulation) {
	t.Helper()
	const tick = 100 * time.Millisecond
	random := rand.New(rand.NewPCG(seed, 1))
	cluster := newSimulation(time.Now, "n1", "n2", "n3")
	cluster.preempts = preempts
	if policy != nil {
		h := open(t, *policy, t.TempDir(), cluster)
		defer h.Close()
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan struct{})
		defer func() { stop(); <-done }()
		go func() {
			if err := h.Run(ctx); err != nil {
				t.Error(err)
			}
			close(done)
		}()
	}
	var result work
	var all []*simulated
	next := time.Duration(0)
	for at := time.Duration(0); at < span; at += tick {
		if at >= next {
			all = append(all, cluster.enter(1+random.IntN(2), time.Duration(20+random.IntN(101))*time.Second))
			next += time.Duration(30+random.IntN(90)) * time.Second
		}
		cluster.step()
		idle, used := cluster.use()
		result.idle += time.Duration(idle) * tick
		result.used += time.Duration(used) * tick
		synctest.Wait() // the harvester does not look while the cluster changes
		<-time.After(tick)
		synctest.Wait()
	}
	for _, job := range all {
		until := job.Started
		if until.IsZero() {
			until = time.Now()
		}
		result.waits = append(result.waits, until.Sub(job.Submitted))
	}
	return result, cluster
}

// A quarter of an hour of random jobs of 20 to 120 s on three nodes: nearly all idle time is used, and nobody waits.
func TestIdleTimeIsUsedAndNobodyWaits(t *testing.T) {
	for _, preempts := range []bool{false, true} {
		t.Run(fmt.Sprintf("preemption=%v", preempts), func(t *testing.T) {
			for seed := range uint64(2) {
				synctest.Test(t, func(t *testing.T) {
					const span = 15 * time.Minute
					without, _ := run(t, seed, span, nil, preempts)
					policy := polite(t.TempDir())
					policy.Interval, policy.MinIdle, policy.KeepFree, policy.MaxNodes, policy.Backlog, policy.MaxSubmissions = time.Second, 0, 0, 3, 3, 1000
					with, cluster := run(t, seed, span, &policy, preempts)
					share := float64(with.used) / float64(with.idle)
					worst := time.Duration(0)
					for i := range without.waits {
						worst = max(worst, with.waits[i]-without.waits[i])
					}
					t.Logf("seed %d: %d jobs, %.1f %% of %v idle node time used, at most %v longer waits, %d submissions",
						seed, len(with.waits), 100*share, with.idle.Round(time.Second), worst, cluster.submissions)
					if share < 0.8 {
						t.Errorf("%.1f %% of the idle node time was used, want 80 %%", 100*share)
					}
					if worst > 5*time.Second {
						t.Errorf("a job waited %v longer than without a harvester", worst)
					}
					if cluster.most > policy.MaxNodes {
						t.Errorf("there were %d jobs of ours at once", cluster.most)
					}
				})
			}
		})
	}
}

// With what it does unless told, Slurm is asked once in 30 s, and one node stays idle.
func TestDefaultsAreModest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const span = 10 * time.Minute
		policy := polite(t.TempDir())
		_, cluster := run(t, 1, span, &policy, false)
		if most := int(span/policy.Interval) + 1; cluster.looks > most {
			t.Errorf("%d looks in %v", cluster.looks, span)
		}
		if cluster.most > 2 {
			t.Errorf("%d of 3 nodes were used at once, and one is to be left idle", cluster.most)
		}
		if cluster.submissions == 0 {
			t.Error("nothing was submitted")
		}
	})
}

// pass lets time pass in a cluster.
func pass(cluster *simulation, span time.Duration) {
	const tick = 100 * time.Millisecond
	for range span / tick {
		cluster.step()
		synctest.Wait()
		<-time.After(tick)
		synctest.Wait()
	}
}

// start runs a harvester until the returned function is called.
func start(t *testing.T, h *harvest.Harvester) (stop func()) {
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		if err := h.Run(ctx); err != nil {
			t.Error(err)
		}
		close(done)
	}()
	return func() {
		cancel()
		<-done
		h.Close()
	}
}

// Jobs that fail at once do not run away: each attempt is later than the one before.
func TestFailingJobsAreTriedLessAndLess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		directory := t.TempDir()
		policy := polite(directory)
		policy.KeepFree, policy.Interval = 0, 5*time.Second
		cluster := newSimulation(time.Now, "n1", "n2", "n3", "n4")
		cluster.quick = 2 * time.Second
		h := open(t, policy, directory, cluster)
		stop := start(t, h)
		defer stop()
		pass(cluster, 30*time.Minute)
		// 30 s, 1, 2, 4, 8 and 16 minutes between them.
		if n := cluster.submissions; n < 4 || n > 9 {
			t.Errorf("%d submissions in half an hour", n)
		}
		file, err := harvest.Read(directory)
		if err != nil || !strings.Contains(file.Limit, "failed") || file.State.Failures.Count < 4 {
			t.Errorf("the state file has %d failures and the limit %q, %v", file.State.Failures.Count, file.Limit, err)
		}
		cluster.quick = 0
		pass(cluster, 40*time.Minute)
		if running, _, _ := h.State().Counts(); running != 4 || h.State().Failures.Count != 0 {
			t.Errorf("after what was wrong is mended %d jobs run, %+v", running, h.State().Failures)
		}
	})
}

// sbatch hangs, and the job is there all the same, or is not: nothing is submitted twice, and nothing is wedged.
func TestSilenceOfSbatch(t *testing.T) {
	for _, submitted := range []bool{true, false} {
		t.Run(fmt.Sprintf("submitted=%v", submitted), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				directory := t.TempDir()
				policy := polite(directory)
				policy.KeepFree, policy.Interval, policy.MaxNodes, policy.Backlog = 0, time.Second, 1, 1
				cluster := newSimulation(time.Now, "n1", "n2")
				cluster.wrong = func(slurm.Script) (bool, error) { return submitted, errSilence }
				h := open(t, policy, directory, cluster)
				stop := start(t, h)
				pass(cluster, harvest.Settle)
				if cluster.submissions != 1 {
					t.Errorf("%d submissions while nobody knew whether there is a job", cluster.submissions)
				}
				stop()
				cluster.wrong = nil
				h = open(t, policy, directory, cluster) // another one, which knows what the file says
				stop = start(t, h)
				defer stop()
				pass(cluster, 5*time.Minute)
				if running, pending, _ := h.State().Counts(); running != 1 || pending != 0 || cluster.most != 1 {
					t.Errorf("%d run, %d pend, and there were %d at once", running, pending, cluster.most)
				}
			})
		})
	}
}

// Another harvester goes on where the first was, also without its state file; a third one beside it is refused.
func TestRestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		directory := t.TempDir()
		policy := polite(directory)
		policy.KeepFree, policy.Interval = 0, time.Second
		cluster := newSimulation(time.Now, "n1", "n2", "n3")
		stop := start(t, open(t, policy, directory, cluster))
		pass(cluster, time.Minute)
		if _, err := harvest.Open(harvest.Options{Policy: policy, Job: harvest.Job{Directory: directory}, Cluster: cluster}); err == nil || !strings.Contains(err.Error(), "runs already") {
			t.Errorf("a second harvester: %v", err)
		}
		if !harvest.Running(directory) {
			t.Error("nobody sees that a harvester runs")
		}
		stop()
		before := cluster.submissions
		if harvest.Running(directory) {
			t.Error("a harvester that has ended seems to run")
		}
		stop = start(t, open(t, policy, directory, cluster))
		pass(cluster, time.Minute)
		stop()
		removeState(t, directory)
		h := open(t, policy, directory, cluster)
		stop = start(t, h)
		defer stop()
		pass(cluster, time.Minute)
		running, _, _ := h.State().Counts()
		if cluster.submissions != before || running != 3 {
			t.Errorf("%d submissions, then %d; %d jobs run", before, cluster.submissions, running)
		}
	})
}

// The clock is set back by a day: what was noted before has been now, and nothing waits for a day.
func TestClockIsSetBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		directory := t.TempDir()
		policy := polite(directory)
		policy.KeepFree = 0
		cluster := newSimulation(time.Now, "n1", "n2")
		tomorrow := time.Now().Add(24 * time.Hour)
		state := harvest.NewState()
		state.Jobs["lost"] = harvest.Record{Name: "lost", Node: "n1", Asked: tomorrow, Answered: tomorrow}
		state.Jobs["gone"] = harvest.Record{Name: "gone", Node: "n2", Job: 7, Asked: tomorrow, Answered: tomorrow, Seen: tomorrow, GivenBack: tomorrow}
		state.IdleSince = map[string]time.Time{"n1": tomorrow, "n2": tomorrow}
		state.Submissions = []time.Time{tomorrow}
		state.Failures = harvest.Failures{Count: 1, Last: tomorrow}
		state.NodeFailures = map[string]harvest.Failures{"n1": {Count: 1, Last: tomorrow}}
		text, err := json.Marshal(harvest.File{Version: 1, State: state})
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(directory, "harvest.json"), text, 0o600); err != nil {
			t.Fatal(err)
		}
		h := open(t, policy, directory, cluster)
		stop := start(t, h)
		defer stop()
		pass(cluster, 10*time.Minute)
		if running, pending, leaving := h.State().Counts(); running != 2 || pending+leaving != 0 {
			t.Errorf("ten minutes later %d run, %d pend, %d leave: %+v", running, pending, leaving, h.State())
		}
		if n := len(h.State().Submissions); n > 4 {
			t.Errorf("there were %d submissions", n)
		}
	})
}

func removeState(t *testing.T, directory string) {
	t.Helper()
	if err := os.Remove(filepath.Join(directory, "harvest.json")); err != nil {
		t.Fatal(err)
	}
}

// The summary says what there is, who sees to it, and what it has cost so far.
func TestSummary(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		directory := t.TempDir()
		if s, err := harvest.Summarize(directory, time.Now()); s != nil || err != nil {
			t.Errorf("before the first harvester: %+v, %v", s, err)
		}
		policy := polite(directory)
		policy.Interval = 5 * time.Second
		cluster := newSimulation(time.Now, "n1", "n2", "n3")
		stop := start(t, open(t, policy, directory, cluster))
		pass(cluster, time.Hour/2)
		s, err := harvest.Summarize(directory, time.Now())
		if err != nil || !s.Running || s.Nodes != 2 || s.NodeHours < 0.97 || s.NodeHours > 1 || s.Submissions != 2 {
			t.Errorf("after half an hour on two nodes: %+v, %v", s, err)
		}
		if text := strings.Join(s.Lines(time.Now()), "\n"); !strings.Contains(text, "2 nodes of partition harvest") || !strings.Contains(text, "no more because 1 node is to be left idle") ||
			!strings.Contains(text, "calls of Slurm: sbatch 2 (1 failed), squeue 3") || s.Calls["sbatch"].Calls != 2 {
			t.Errorf("it says\n%s", text)
		}
		stop()
		s, err = harvest.Summarize(directory, time.Now())
		if err != nil || s.Running || !strings.Contains(strings.Join(s.Lines(time.Now()), "\n"), "--give-back") {
			t.Errorf("without a harvester: %+v, %v", s, err)
		}
		h := open(t, policy, directory, cluster)
		defer h.Close()
		if jobs, err := h.GiveBackAll(t.Context()); err != nil || len(jobs) != 2 {
			t.Errorf("given back: %v, %v", jobs, err)
		}
		pass(cluster, 2*time.Second)
		if jobs, err := h.GiveBackAll(t.Context()); err != nil || len(jobs) != 0 || len(h.State().Jobs) != 0 || h.State().Failures.Count != 0 {
			t.Errorf("given back again: %v, %v; left is %+v", jobs, err, h.State())
		}
	})
}

// slow is a cluster whose every second answer takes longer than the interval.
type slow struct {
	*simulation
	asked []time.Time
}

func (s *slow) Nodes(ctx context.Context) ([]slurm.Node, error) {
	if s.asked = append(s.asked, time.Now()); len(s.asked)%2 == 1 {
		<-time.After(35 * time.Second)
	}
	return s.simulation.Nodes(ctx)
}

// A Slurm that answers late is not asked more often for that.
func TestLooksAreApartThoughSlurmIsSlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		policy := polite(t.TempDir())
		cluster := &slow{simulation: newSimulation(time.Now, "n1")}
		h := open(t, policy, t.TempDir(), cluster)
		defer h.Close()
		ctx, stop := context.WithTimeout(t.Context(), 5*time.Minute)
		defer stop()
		if err := h.Run(ctx); err != nil {
			t.Fatal(err)
		}
		for i := range len(cluster.asked) - 1 {
			if apart := cluster.asked[i+1].Sub(cluster.asked[i]); apart < policy.Interval {
				t.Errorf("look %d comes %v after the one before", i+1, apart)
			}
		}
		if len(cluster.asked) < 8 {
			t.Errorf("%d looks in five minutes", len(cluster.asked))
		}
	})
}
