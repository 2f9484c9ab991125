package offload

import (
	"context"
	"fmt"

	"github.com/sublet-hpc/sublet/resources/api"
)

// What rank 0 does for all in LeaseAll.

// decide answers all bids, on rank 0.
func (a *joint[S]) decide(ctx context.Context, bids []bid, unread error) []award {
	awards := make([]award, a.size)
	grants, failed := a.grantAll(ctx, bids, unread)
	for rank := range awards {
		awards[rank].Failure = failed
		if grants != nil {
			awards[rank].Grant = &grants[rank]
		}
	}
	return awards
}

// grantAll has the resource manager grant all leases; none are granted where there is none.
func (a *joint[S]) grantAll(ctx context.Context, bids []bid, unread error) ([]api.Grant, *failure) {
	if unread != nil {
		return nil, tell(allRanks, unread)
	}
	var failures []*failure
	for _, b := range bids {
		failures = append(failures, b.Failure)
	}
	if failed := first(failures); failed != nil {
		return nil, failed
	}
	request := api.GrantAllRequest{Each: bids[0].Request}
	for rank, b := range bids {
		if err := a.compare(bids[0], b); err != nil {
			return nil, tell(rank, err)
		}
		request.Members = append(request.Members, api.Member{Executors: b.Request.Executors, Node: b.Node, Owner: b.Request.Owner})
	}
	if bids[0].Manager == "" {
		return nil, nil
	}
	grants, err := a.session.resources.GrantAll(ctx, request)
	if err != nil {
		return nil, tell(allRanks, explainResources(err))
	}
	return grants, nil
}

// compare refuses ranks that can not be asked for together.
func (a *joint[S]) compare(zero, other bid) error {
	if zero.Manager != other.Manager {
		return fmt.Errorf("offload: %s, and rank 0 %s; SUBLET_DIR and the home directory must be the same on all ranks", whose(other.Manager), whose(zero.Manager))
	}
	one, its := zero.Request, other.Request
	for _, field := range []struct {
		name     string
		one, its any
	}{
		{"Want.CoresPerExecutor", one.CoresPerExecutor, its.CoresPerExecutor},
		{"Want.Memory", one.Memory, its.Memory},
		{"Want.Oversubscribe", one.Oversubscribe, its.Oversubscribe},
		{"Want.Placement", one.Placement, its.Placement},
		{"Want.TimeLimit", one.TimeLimit, its.TimeLimit},
		{"Want.Account, or " + api.AccountVariable, one.Account, its.Account},
		{"the user id", one.UID, its.UID},
	} {
		if field.one != field.its {
			return fmt.Errorf("offload: %s is %v, and on rank 0 %v; what all ranks lease together is alike but for how many executors", field.name, field.its, field.one)
		}
	}
	return nil
}

func whose(manager string) string {
	if manager == "" {
		return "leases come without a resource manager"
	}
	return "leases come from the resource manager with the key " + manager
}

// judge makes the verdict, on rank 0: there is another attempt if that can help all who have failed.
func (a *joint[S]) judge(outcomes []outcome, unread error) []outcome {
	var verdict outcome
	for _, o := range outcomes {
		if o.Failure == nil {
			continue
		}
		if verdict.Failure == nil || verdict.Again && !o.Again { // rather what does not pass
			verdict.Failure, verdict.Again = o.Failure, o.Again
		}
		verdict.Pause = max(verdict.Pause, o.Pause)
	}
	if unread != nil {
		verdict = outcome{Failure: tell(allRanks, unread)}
	}
	verdicts := make([]outcome, a.size)
	for rank := range verdicts {
		verdicts[rank] = verdict
	}
	return verdicts
}
