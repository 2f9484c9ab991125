package hosts_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sublet-hpc/sublet/internal/endurance"
	"github.com/sublet-hpc/sublet/internal/hosts"
	"github.com/sublet-hpc/sublet/offload"
	"github.com/sublet-hpc/sublet/resources/api"
)

// What can be lent after a thousand leases in a row, and after fifty clients at once, is what could be lent
// before, to the byte; at no moment is more or less lent and free than there is.
func TestEnduranceCapacity(t *testing.T) {
	c := newCluster(t)
	pids := map[string]int{"program": os.Getpid(), "resource manager": c.Manager.Process.Pid}
	pids["executor manager on another host"] = c.Lend(t, hosts.New(t), "--name", "there", "--cores", "2").Process.Pid
	here := exec.Command(sublet, "executor-manager", "--cores", "2", "--name", "here")
	here.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	pids["executor manager"] = c.Start(t, here).Process.Pid
	client := c.Client(t)
	hosts.Eventually(t, "both nodes", func() bool { return len(capacityOf(t, client)) == 2 })
	s, err := offload.Connect(within(t)) // this process has a core of its own
	check(t, err)
	hosts.Eventually(t, "this process's core", func() bool { return capacityOf(t, client)["here"][api.Cores] == 1 })
	all := offload.Want{Executors: 3, Library: library, Wait: patience}
	cycle(t, s, all) // what is loaded once is loaded now
	hosts.Eventually(t, "an end of all leases", func() bool { return isIdle(t, client) })
	before, book := capacityOf(t, client), open(t, pids)
	stop := balance(t, client)

	times := endurance.Count(10, 1000)
	began := time.Now()
	for i := range times {
		want := offload.Want{Executors: 1, Library: library, Wait: patience}
		if i%50 == 0 { // to load libfabric for those on the other host takes most of the time
			want.Executors, want.Placement = 2, offload.Spread
		}
		cycle(t, s, want)
	}
	row := time.Since(began)
	hosts.Eventually(t, "an end of all leases", func() bool { return isIdle(t, client) })
	if diff := cmp.Diff(before, capacityOf(t, client)); diff != "" {
		t.Errorf("the capacity after %d leases in a row (-before +after):\n%s", times, diff)
	}

	const clients = 50
	each := endurance.Count(1, 10)
	began = time.Now()
	var group sync.WaitGroup
	for range clients {
		group.Go(func() {
			s, err := offload.Connect(t.Context())
			if err != nil {
				t.Error(err)
				return
			}
			for range each {
				cycle(t, s, offload.Want{Executors: 1, Library: library, Wait: manyPatience})
			}
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	crowd := time.Since(began)
	checked := stop()
	hosts.Eventually(t, "an end of all leases", func() bool { return isIdle(t, client) })
	if diff := cmp.Diff(before, capacityOf(t, client)); diff != "" {
		t.Errorf("the capacity after %d clients at once (-before +after):\n%s", clients, diff)
	}
	cycle(t, s, all) // it is really there
	check(t, s.Close())
	grown := book.close(t)
	endurance.Report(t, "%d leases in a row, each fiftieth over two hosts, %v each, and %d clients at once with %d leases each, %v in all: the same capacity, descriptors and processes as before; lent and free were what there is each of %d times; memory: %s",
		times, (row / time.Duration(times)).Round(100*time.Microsecond), clients, each, crowd.Round(time.Millisecond), checked, grown)
}

// manyPatience is how long one of fifty may wait for its turn on a machine that is busy.
const manyPatience = 2 * time.Minute

// cycle leases executors, has each of them answer, and gives them back.
func cycle(t *testing.T, s *offload.Session, want offload.Want) {
	ctx, cancel := context.WithTimeout(t.Context(), manyPatience)
	defer cancel()
	l, err := s.Lease(ctx, want)
	if err != nil {
		t.Error(err)
		return
	}
	nodes := map[string]int{}
	for _, e := range l.Executors() {
		nodes[e.Node()]++
		if _, err := e.Invoke(ctx, "echo", nil, nil).Wait(ctx); err != nil {
			t.Error(err)
		}
	}
	if want.Placement == offload.Spread && len(nodes) != want.Executors {
		t.Errorf("%d executors are spread over %v", want.Executors, nodes)
	}
	if err := l.Release(); err != nil {
		t.Error(err)
	}
}

// capacityOf is what each node has free.
func capacityOf(t *testing.T, client *api.Client) map[string]api.Resources {
	t.Helper()
	nodes, err := client.Nodes(within(t), "")
	check(t, err)
	free := map[string]api.Resources{}
	for _, node := range nodes {
		free[node.Name] = node.Free
	}
	return free
}

func isIdle(t *testing.T, client *api.Client) bool {
	t.Helper()
	leases, err := client.Leases(within(t))
	check(t, err)
	return len(leases) == 0
}

// balance looks again and again whether free and lent are what is registered, until stop is called, which says
// how often it has. What the two lists say is of two moments: only where no lease begins or ends
// between, as the first list taken again tells, they must agree.
func balance(t *testing.T, client *api.Client) (stop func() int) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	checked := make(chan int)
	go func() {
		n := 0
		defer func() { checked <- n }()
		for {
			select {
			case <-ctx.Done():
				return
			case <-time.After(20 * time.Millisecond):
			}
			before, err := client.Leases(ctx)
			if err != nil {
				continue
			}
			nodes, err := client.Nodes(ctx, "")
			if err != nil {
				continue
			}
			after, err := client.Leases(ctx)
			if err != nil || fmt.Sprint(names(before)) != fmt.Sprint(names(after)) {
				continue
			}
			n++
			for _, node := range nodes {
				sum := api.Resources{api.Cores: node.Free[api.Cores] + int64(len(node.Occupants)), api.Memory: node.Free[api.Memory]}
				for _, lease := range before {
					for _, e := range lease.Executors {
						if e.Node == node.Name && !e.Lost && !e.Oversubscribed {
							sum[api.Cores]++
							sum[api.Memory] += e.Memory
						}
					}
				}
				if diff := cmp.Diff(node.Resources(), sum); diff != "" {
					t.Errorf("node %s (-registered +free, lent and used by programs):\n%s", node.Name, diff)
				}
			}
		}
	}()
	return func() int {
		cancel()
		return <-checked
	}
}

// names are those of leases, with the nodes on which they have executors.
func names(leases []api.Lease) (list []string) {
	for _, lease := range leases {
		list = append(list, fmt.Sprint(lease.ID, lease.Nodes()))
	}
	return list
}
