package leaseall

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sublet-hpc/sublet/apps/internal/mpitest"
	"github.com/sublet-hpc/sublet/internal/buildtest"
	"github.com/sublet-hpc/sublet/internal/hosts"
	"github.com/sublet-hpc/sublet/resources/api"
)

// bin has the programs, library the functions; both are real and built first.
var bin, library string

func TestMain(m *testing.M) {
	if part := os.Getenv(asRank); part != "" {
		os.Exit(rankMain(part))
	}
	os.Exit(hosts.Main(func() int { return buildtest.Main(m, build) }))
}

func build(dir string) error {
	bin = dir
	os.Setenv("SUBLET_BIN", bin)
	err := buildtest.Programs(bin, "cmd/sublet", "cmd/sublet-executor")
	if err == nil {
		library, err = buildtest.Library(bin, "libfunctions.so", "../../../offload/testdata/functions.c", "../../../offload/testdata/history.c")
	}
	if err == nil {
		err = mpitest.Check("/proc/self/exe")
	}
	return err
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// run plays a part on some ranks.
func run(t *testing.T, ranks int, part, directory string) mpitest.Result {
	t.Helper()
	program, err := os.Executable()
	check(t, err)
	return mpitest.Run(t, ranks, environment(part, library, directory), program)
}

// ranksOf plays a part on some ranks, and returns what they say, in the order of their ranks.
func ranksOf(t *testing.T, ranks int, part, directory string) []report {
	t.Helper()
	result := run(t, ranks, part, directory)
	if result.Status != 0 {
		t.Fatalf("exit status %d\n%s", result.Status, result.Stderr)
	}
	var reports []report
	for lines := bufio.NewScanner(strings.NewReader(result.Stdout)); lines.Scan(); {
		var its report
		check(t, json.Unmarshal(lines.Bytes(), &its))
		reports = append(reports, its)
	}
	slices.SortFunc(reports, func(a, b report) int { return a.Rank - b.Rank })
	if len(reports) != ranks {
		t.Fatalf("%d ranks of %d have said something:\n%s\n%s", len(reports), ranks, result.Stdout, result.Stderr)
	}
	return reports
}

// requests is how often something has been asked of the resource manager, by its metrics.
func requests(t *testing.T, c *hosts.Cluster, method, route string) int {
	t.Helper()
	return counted(t, c, fmt.Sprintf("sublet_cluster_http_request_seconds_count{method=%q,route=%q,", method, route))
}

// counted adds up the resource manager's counters that begin so.
func counted(t *testing.T, c *hosts.Cluster, prefix string) (count int) {
	t.Helper()
	access := c.Client(t).Access()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, access.URL+"/metrics", nil)
	check(t, err)
	request.Header.Set("Authorization", "Bearer "+access.Tokens.Client)
	web := http.Client{Transport: &http.Transport{TLSClientConfig: access.Pin.Config()}}
	defer web.CloseIdleConnections()
	response, err := web.Do(request)
	check(t, err)
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	check(t, err)
	for line := range strings.Lines(string(text)) {
		if rest, found := strings.CutPrefix(line, prefix); found {
			var n int
			_, err := fmt.Sscanf(rest[strings.Index(rest, "}")+1:], "%d", &n)
			check(t, err)
			count += n
		}
	}
	return count
}

// nothingIsLeft waits until no lease is left.
func nothingIsLeft(t *testing.T, c *hosts.Cluster) {
	t.Helper()
	client := c.Client(t)
	hosts.Eventually(t, "the end of all leases", func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), hosts.Patience)
		defer cancel()
		leases, err := client.Leases(ctx)
		check(t, err)
		return len(leases) == 0
	})
}

// Four ranks have two executors each, and the resource manager was asked once for all of them: each request has granted four
// leases. There is another one where the first has granted a core that a rank has just taken, of which its manager had not told yet.
func TestOneRequestForFourRanks(t *testing.T) {
	c := hosts.NewCluster(t, bin)
	c.Lend(t, hosts.New(t), "--name", "a", "--cores", "1")
	here := exec.Command(filepath.Join(bin, "sublet"), "executor-manager", "--cores", "2", "--name", "here")
	here.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	c.Start(t, here)
	hosts.Eventually(t, "both nodes", func() bool { _, nodes := c.Free(t); return nodes == 2 })

	for i, its := range ranksOf(t, 4, "plain", c.Dir) {
		if its.Error != "" || its.Results != 2 || its.Node != "here" {
			t.Errorf("rank %d: %+v", i, its)
		}
	}
	if renewed := requests(t, c, "POST", "/v1/leases/{id}/renew"); renewed != 0 {
		t.Errorf("leases were renewed %d times by the ranks", renewed)
	}
	nothingIsLeft(t, c)
	all, single, leases := requests(t, c, "POST", "/v1/leases/batch"), requests(t, c, "POST", "/v1/leases"), counted(t, c, "sublet_cluster_leases_ended_total{")
	if all < 1 || leases != 4*all || single != 0 {
		t.Errorf("%d leases were asked for %d times together and %d times singly", leases, all, single)
	}
}

// What goes wrong on one rank goes wrong on all, with one text, and nothing stays leased.
func TestErrorsAreEverybodys(t *testing.T) {
	c := hosts.NewCluster(t, bin)
	c.Lend(t, hosts.New(t), "--name", "a", "--cores", "1")
	for _, part := range []struct {
		name, text string
		asked      int
		capacity   bool
	}{
		{"too many", "LeaseAll of 3 ranks: 6 executors asked, 1 of 1 core on a is free", 1, true},
		{"another library", "LeaseAll: rank 2 of 3: ", 1, false},
		{"another memory", "LeaseAll: rank 2 of 3: offload: Want.Memory is 1073741824, and on rank 0 0", 0, false},
		{"senseless", "LeaseAll: rank 0 of 3: offload: a lease of 0 executors", 0, false},
	} {
		t.Run(part.name, func(t *testing.T) {
			before := requests(t, c, "POST", "/v1/leases/batch")
			reports := ranksOf(t, 3, part.name, c.Dir)
			for _, its := range reports {
				if !strings.HasPrefix(its.Error, part.text) || its.Error != reports[0].Error || its.Capacity != part.capacity {
					t.Errorf("%+v", its)
				}
			}
			if asked := requests(t, c, "POST", "/v1/leases/batch") - before; asked != part.asked {
				t.Errorf("asked %d times", asked)
			}
			nothingIsLeft(t, c)
		})
	}
}

// All ranks wait for cores that somebody else has.
func TestAllRanksWait(t *testing.T) {
	c := hosts.NewCluster(t, bin)
	for _, name := range []string{"a", "b"} {
		c.Lend(t, hosts.New(t), "--name", name, "--cores", "1")
	}
	client := c.Client(t)
	other, err := client.Grant(t.Context(), api.GrantRequest{Executors: 1, UID: os.Getuid(), User: "other"})
	check(t, err)
	released := make(chan error, 1)
	go func() {
		for {
			status, err := client.Status(t.Context())
			if err != nil {
				released <- err
				return
			}
			if len(status.Waiting) > 0 {
				released <- client.Release(t.Context(), other.Lease.ID)
				return
			}
		}
	}()
	var nodes []string
	for _, its := range ranksOf(t, 2, "waits", c.Dir) {
		if its.Results != 1 {
			t.Errorf("%+v", its)
		}
		nodes = append(nodes, its.Nodes...)
	}
	check(t, <-released)
	slices.Sort(nodes)
	if diff := cmp.Diff([]string{"a", "b"}, nodes); diff != "" {
		t.Errorf("executors were on (-want +got):\n%s", diff)
	}
	nothingIsLeft(t, c)
}

// A lease that one rank gives back is its own; a rank that is killed leaves nothing behind.
func TestRanksEndAlone(t *testing.T) {
	c := hosts.NewCluster(t, bin)
	c.Lend(t, hosts.New(t), "--name", "a", "--cores", "1")
	for _, its := range ranksOf(t, 3, "one releases", c.Dir) {
		if want := map[bool]int{true: 0, false: 2}[its.Rank == 0]; its.Error != "" || its.Results != want {
			t.Errorf("%+v", its)
		}
	}
	nothingIsLeft(t, c)
	// mpirun ends the others.
	result := run(t, 3, "killed", c.Dir)
	if result.Status == 0 {
		t.Errorf("a rank was killed, and mpirun says nothing: %s", result.Stdout)
	}
	nothingIsLeft(t, c)
}

// Four ranks whose executors share one core have a quarter of it each while all compute, within 5 % of the core.
func TestRanksShareACoreFairly(t *testing.T) {
	c := hosts.NewCluster(t, bin)
	hosts.New(t) // mpirun wants a network
	here := exec.Command(filepath.Join(bin, "sublet"), "executor-manager", "--cores", "1", "--name", "here")
	here.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	c.Start(t, here)
	hosts.Eventually(t, "its core", func() bool { free, _ := c.Free(t); return free == 1 })
	reports := ranksOf(t, 4, "fair", c.Dir)
	all := 0
	for _, its := range reports {
		all += its.CPU
	}
	for _, its := range reports {
		if its.Error != "" || its.Nodes[0] != reports[0].Nodes[0] || 100*its.CPU < 20*all || 100*its.CPU > 30*all {
			t.Errorf("of %d ticks of %s it had %d: %+v", all, reports[0].Nodes[0], its.CPU, its)
		}
		t.Logf("rank %d: %.1f %%", its.Rank, 100*float64(its.CPU)/float64(max(all, 1)))
	}
}

// Without a resource manager each rank asks its node's helper, and all agree as well.
func TestWithoutResourceManager(t *testing.T) {
	hosts.New(t) // mpirun wants a network
	dir := t.TempDir()
	for _, its := range ranksOf(t, 3, "plain", dir) {
		if its.Error != "" || its.Results != 2 {
			t.Errorf("%+v", its)
		}
	}
	reports := ranksOf(t, 3, "another library", dir)
	for _, its := range reports {
		if !strings.HasPrefix(its.Error, "LeaseAll: rank 2 of 3: ") || its.Error != reports[0].Error {
			t.Errorf("%+v", its)
		}
	}
	// The helper has given back what the others had.
	for _, its := range ranksOf(t, 2, "plain", dir) {
		if its.Results != 2 {
			t.Errorf("%+v", its)
		}
	}
}
