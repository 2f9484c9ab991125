package server

import (
	"net/http"
	"time"

	"github.com/sublet-hpc/sublet/resources/api"
	"github.com/sublet-hpc/sublet/resources/ledger"
)

// askAll is ask for leases of several members, all or none. They wait, and count for quotas, as one lease of as many executors.
func (b *book) askAll(request api.GrantAllRequest, at time.Time) (*waiter, error) {
	if len(request.Members) == 0 {
		return nil, api.Because(api.ErrInvalid, "leases are asked for, and no member to have one")
	}
	var shares []ledger.Share
	executors := 0
	for i, member := range request.Members {
		if member.Executors < 1 || member.Executors > maxExecutors {
			return nil, api.Because(api.ErrInvalid, "a lease of %d executors for member %d; 1 to %d", member.Executors, i, maxExecutors)
		}
		executors = min(executors+member.Executors, maxExecutors+1)
		share := ledger.Share{Lease: newName(), Executors: member.Executors}
		if api.CheckName(member.Node) == nil { // else no manager has that name, and it need not be written to the ledger
			share.Near = member.Node
		}
		shares = append(shares, share)
	}
	if executors > maxExecutors {
		return nil, api.Because(api.ErrInvalid, "leases of more than %d executors together; ask in parts", maxExecutors)
	}
	request.Each.Executors = executors
	w, err := b.newWaiter(request.Each, at)
	if err != nil {
		return nil, err
	}
	w.command.Lease, w.shares = shares[0].Lease, shares
	return w, b.admit(w, at)
}

// granting is the command that grants what somebody waits for.
func (w *waiter) granting() ledger.Command {
	if w.shares == nil {
		return w.command
	}
	all := ledger.GrantAll{Grant: w.command, Shares: w.shares}
	all.Grant.Lease = ""
	return all
}

// grantAll is grant for the members of a program. Their leases are not bound to the connection of the one who asks: the others
// may have taken theirs up, and no manager reported that yet, when that one ends. What nobody takes up lasts for its TTL.
func (s *Server) grantAll(w http.ResponseWriter, r *http.Request) (any, error) {
	var request api.GrantAllRequest
	if err := read(r, &request); err != nil {
		return nil, err
	}
	for i, member := range request.Members {
		if err := checkOwner(member.Owner); err != nil {
			return nil, api.Because(api.ErrInvalid, "member %d: %v", i, err)
		}
	}
	waiter, err := s.book.askAll(request, now())
	if err != nil {
		return nil, err
	}
	if err := s.awaitGrant(w, r, waiter, request.Each.Wait); err != nil {
		return nil, err
	}
	var all api.GrantAll
	for i, lease := range waiter.leases {
		s.book.send(lease.ID, nil)
		tickets, err := s.book.tickets(lease, request.Members[i].Owner)
		if err != nil {
			s.takeBack(waiter)
			return nil, err
		}
		all.Grants = append(all.Grants, api.Grant{Lease: lease, Tickets: tickets, TTL: TTL})
	}
	s.log.Info("leases granted", "leases", len(waiter.leases), "executors", waiter.command.Executors, "first", waiter.lease.ID)
	return all, nil
}

// takeBack releases what was granted and nobody will use.
func (s *Server) takeBack(waiter *waiter) {
	for _, lease := range waiter.leases {
		_ = s.book.release(lease.ID, now())
	}
}
