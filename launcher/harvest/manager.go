package harvest

import (
	"context"
	"errors"
	"time"

	"github.com/sublet-hpc/sublet/resources/api"
)

// Manager is the resource manager of a run directory. It is found anew each time, so it may come, go, and be
// another one by then.
type Manager struct{ Directory string }

// drainReason says to whoever looks why a node takes no leases.
const drainReason = "harvest: given back to Slurm, because it had no lease for long"

// managerPatience is how long the resource manager may take.
const managerPatience = 5 * time.Second

// with calls a function with a client.
func (m Manager) with(ctx context.Context, use func(context.Context, *api.Client) error) error {
	client, err := api.Open(m.Directory)
	if err != nil {
		return err
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(ctx, managerPatience)
	defer cancel()
	return use(ctx, client)
}

// Demand implements Resources.
func (m Manager) Demand(ctx context.Context) (demand Demand) {
	err := m.with(ctx, func(ctx context.Context, client *api.Client) error {
		status, err := client.Status(ctx)
		if err != nil {
			return err
		}
		nodes, err := client.Nodes(ctx, "")
		if err != nil {
			return err
		}
		demand = demandOf(status, nodes)
		return nil
	})
	if err != nil {
		return Demand{}
	}
	return demand
}

// demandOf counts the cores that there are not. What is free counts once, whoever waits.
func demandOf(status api.Status, nodes []api.NodeStatus) Demand {
	demand := Demand{Known: true, Registered: map[string]int{}}
	for _, node := range nodes {
		demand.Registered[node.Name] = len(node.Leases)
	}
	for _, waiting := range status.Waiting {
		if int64(waiting.Executors) > waiting.Room { // else it waits for its quota, or for those before it
			demand.Missing += waiting.Executors * max(waiting.CoresPerExecutor, 1)
		}
	}
	if demand.Missing > 0 {
		demand.Missing = max(demand.Missing-status.Cores.Free, 1)
	}
	return demand
}

// Drain implements Resources. A lease that came just before the drain keeps the node.
func (m Manager) Drain(ctx context.Context, node string) (idle bool, err error) {
	err = m.with(ctx, func(ctx context.Context, client *api.Client) error {
		before, err := client.Node(ctx, node)
		if err != nil {
			return err
		}
		if before.Drain == nil { // else somebody else has done it, for a reason of his own
			if err := client.Drain(ctx, node, drainReason); err != nil {
				return err
			}
		}
		after, err := client.Node(ctx, node)
		idle = err == nil && len(after.Leases) == 0
		return err
	})
	return idle, err
}

// Forget implements Resources.
func (m Manager) Forget(ctx context.Context, node string) error {
	return m.with(ctx, func(ctx context.Context, client *api.Client) error {
		status, err := client.Node(ctx, node)
		if errors.Is(err, api.ErrUnknownNode) {
			return nil
		}
		if err != nil || status.Drain == nil || status.Drain.Reason != drainReason {
			return err // what somebody else has drained stays so
		}
		return client.Resume(ctx, node)
	})
}
