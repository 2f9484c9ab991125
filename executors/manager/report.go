package manager

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/sublet-hpc/sublet/resources/api"
)

const (
	// namePatience is how long another manager may have our node's name: one that was killed has
	// it until it is written off.
	namePatience = 10 * time.Second
	// retryInterval is how often a resource manager that does not answer is tried.
	retryInterval = 500 * time.Millisecond
	// minInterval is the shortest that a resource manager can ask for.
	minInterval = 100 * time.Millisecond
	// farewellPatience is how long deregistering may take.
	farewellPatience = 2 * time.Second
)

// report keeps the resource manager informed until ctx ends. Then it ends all leases, and says
// goodbye.
func (d *daemon) report(ctx context.Context) error {
	nameless := time.Now().Add(d.namePatience)
	for away := false; ; {
		err := d.tell(ctx)
		d.manager.tally.report(err, d.registered, time.Now())
		switch {
		case ctx.Err() != nil:
			return d.leave()
		case errors.Is(err, api.ErrRemoved):
			d.log.Warn("this node was removed; its executor manager ends", "error", err)
			d.registered = false
			return d.leave()
		case err == nil:
			if away {
				d.log.Info("the resource manager is back")
			}
			away = false
		case d.interval == 0 && hopeless(err, time.Now().After(nameless)):
			return fmt.Errorf("executor manager: %w", err)
		case !away:
			d.log.Warn("the resource manager does not take our reports; leases go on, and it is tried again", "error", err)
			away = true
		}
		d.rest(ctx, away)
	}
}

// rest waits until the next report is due: the interval, or less where there is news, or where the last one was not
// taken.
func (d *daemon) rest(ctx context.Context, away bool) {
	pause, changes := d.interval, d.changes
	if away {
		pause, changes = retryInterval, nil
	}
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-changes:
	case <-ctx.Done():
	}
}

// hopeless tells whether to register for the first time need not be tried again.
func hopeless(err error, nameless bool) bool {
	return errors.Is(err, api.ErrExists) && nameless ||
		slices.ContainsFunc([]*api.Error{api.ErrVersion, api.ErrInvalid, api.ErrUnauthorized, api.ErrForbidden}, func(is *api.Error) bool { return errors.Is(err, is) })
}

// tell registers, or sends a heartbeat, and does what the answer says.
func (d *daemon) tell(ctx context.Context) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	state, err := d.state()
	if err != nil {
		return err
	}
	var reply api.HeartbeatReply
	if d.registered {
		d.beat++
		reply, err = d.resources.Heartbeat(ctx, d.manager.node.Name, api.Heartbeat{Instance: d.instance, Beat: d.beat, State: state})
		if errors.Is(err, api.ErrUnknownNode) {
			d.log.Info("the resource manager does not know this node any more; registering again")
			d.registered = false
		}
	}
	if !d.registered {
		node := d.manager.node.Clone()
		node.Reach = d.reach
		var answer api.Registered
		answer, err = d.resources.Register(ctx, api.Register{Node: node, Instance: d.instance, Key: d.manager.tickets.key, State: state})
		if err == nil {
			d.registered = true
			d.log.Info("registered", "node", node.Name, "resource_manager", d.resources.Access().URL)
		}
		reply = answer.HeartbeatReply
	}
	if err != nil {
		return err
	}
	d.pace(reply.Interval)
	d.drain(reply.Drain)
	d.manager.tickets.reported(state.Ended, time.Now())
	for _, lease := range reply.End {
		d.log.Info("the resource manager has a lease ended", "lease", lease)
		d.manager.tickets.end(lease)
	}
	return nil
}

// pace notes how often to report.
func (d *daemon) pace(interval time.Duration) {
	if interval = max(interval, minInterval); interval != d.interval {
		d.log.Debug("reports have another interval", "interval", interval, "before", d.interval)
		d.interval = interval
	}
}

// drain notes whether the node takes new leases.
func (d *daemon) drain(drain *api.Drain) {
	if drain != nil && drain.Final {
		return // we have said so
	}
	if (drain != nil) == d.draining {
		return
	}
	d.draining = drain != nil
	d.manager.pool.setIdle(d.draining)
	if d.draining {
		d.log.Info("this node drains: its leases go on, but it takes no new ones", "reason", drain.Reason, "since", drain.Since)
	} else {
		d.log.Info("this node takes leases again")
	}
}

// state is what the manager has.
func (d *daemon) state() (api.State, error) {
	if err := d.manager.capacity.lookAround(); err != nil {
		return api.State{}, err
	}
	tickets, ended, used := d.manager.tickets.report(time.Now())
	state := api.State{Held: []api.Held{}, Ended: ended, Used: used, Outlook: d.manager.tenants.foreseen()}
	for _, ticket := range tickets {
		executors := d.manager.capacity.lent(ticket.Lease)
		if executors == nil {
			continue // it is just coming, or going
		}
		held := api.Held{Lease: ticket.Lease, UID: ticket.UID, User: ticket.User, Account: ticket.Account, Granted: ticket.Granted, Until: ticket.Until}
		for i, e := range executors {
			held.Executors = append(held.Executors, api.Placed{Index: ticket.Executors[i].Index, Executor: e})
		}
		state.Held = append(state.Held, held)
	}
	state.Occupants = d.manager.capacity.occupants()
	return state, nil
}

// leave ends all leases, says what they have used, and deregisters.
func (d *daemon) leave() error {
	d.stop()
	d.manager.Close()
	if d.interval == 0 { // nobody knows of us
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), farewellPatience)
	defer cancel()
	if _, ended, used := d.manager.tickets.report(time.Now()); len(used) > 0 {
		// A node that was removed is told so again, and what its leases have used is taken all the same.
		d.beat++
		last := api.Heartbeat{Instance: d.instance, Beat: d.beat, State: api.State{Held: []api.Held{}, Ended: ended, Used: used}}
		if _, err := d.resources.Heartbeat(ctx, d.manager.node.Name, last); err != nil && !errors.Is(err, api.ErrRemoved) {
			d.log.Warn("the resource manager was not told what the last leases have used; their bill is that of the last report", "leases", len(used), "error", err)
		}
	}
	if !d.registered {
		return nil
	}
	err := d.resources.Deregister(ctx, d.manager.node.Name, d.instance)
	if err != nil && !errors.Is(err, api.ErrUnknownNode) {
		d.log.Warn("the resource manager was not told that this node ends; it will find out", "error", err)
	}
	return nil
}
