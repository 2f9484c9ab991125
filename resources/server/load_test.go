package server

import (
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/sublet-hpc/sublet/resources/api"
)

// benchClients ask at the same time.
const benchClients = 64

// registerMany registers a node with that many cores.
func registerMany(t testing.TB, c *api.Client, cores int) {
	t.Helper()
	numbers := make([]int, cores)
	for i := range numbers {
		numbers[i] = i
	}
	_, err := c.Register(t.Context(), mine("n", numbers...))
	check(t, err)
}

// BenchmarkGrants is how many leases the resource manager grants and takes back, each of them durable, for 64
// clients with a connection each.
func BenchmarkGrants(b *testing.B) {
	dir := b.TempDir()
	running(b, dir)
	manager := client(b, dir)
	registerMany(b, manager, 2*benchClients)
	stop := keepAlive(b, manager)
	defer stop()
	took := make([][]time.Duration, benchClients)
	share := (b.N + benchClients - 1) / benchClients
	var group sync.WaitGroup
	clients := make([]*api.Client, benchClients)
	for i := range clients {
		clients[i] = client(b, dir)
	}
	b.ResetTimer()
	for i, c := range clients {
		group.Go(func() {
			for range share {
				begun := time.Now()
				grant, err := c.Grant(b.Context(), api.GrantRequest{Executors: 1, UID: os.Getuid(), User: "ann"})
				if err != nil {
					b.Error(err)
					return
				}
				granted := time.Now()
				if err := c.Release(b.Context(), grant.Lease.ID); err != nil {
					b.Error(err)
					return
				}
				took[i] = append(took[i], granted.Sub(begun), time.Since(granted))
			}
		})
	}
	group.Wait()
	b.StopTimer()
	all := slices.Sorted(slices.Values(slices.Concat(took...)))
	b.ReportMetric(float64(share*benchClients)/b.Elapsed().Seconds(), "leases/s")
	b.ReportMetric(float64(all[len(all)/2].Microseconds())/1000, "p50-ms")
	b.ReportMetric(float64(all[len(all)*99/100].Microseconds())/1000, "p99-ms")
}

// keepAlive sends the node's heartbeats until stop is called.
func keepAlive(t testing.TB, c *api.Client) (stop func()) {
	t.Helper()
	ending := make(chan struct{})
	var group sync.WaitGroup
	group.Go(func() {
		for beat := uint64(1); ; beat++ {
			_, _ = c.Heartbeat(t.Context(), "n", api.Heartbeat{Instance: "i", Beat: beat}) // the resource manager may be away
			select {
			case <-time.After(Interval / 4):
			case <-ending:
				return
			}
		}
	})
	return func() {
		close(ending)
		group.Wait()
	}
}
