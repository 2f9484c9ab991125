package server

import (
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/sublet-hpc/sublet/internal/metrics"
	"github.com/sublet-hpc/sublet/resources/api"
	"github.com/sublet-hpc/sublet/resources/ledger"
	"github.com/sublet-hpc/sublet/resources/replica"
)

const (
	// maxBody is the most that a request may have: a report of a manager with many leases.
	maxBody = 4 << 20
	// maxExecutors is the most that a lease can ask for.
	maxExecutors = 1 << 16
	// maxWait is how long a grant can wait.
	maxWait = time.Hour
)

// handler is the interface that package api documents; see routes.
func (s *Server) handler() http.Handler {
	mux := http.NewServeMux()
	open := map[string]http.Handler{}
	for _, route := range s.routes() {
		pattern := route.method + " " + route.path
		var handle http.Handler = s.answer(route.answer)
		if !route.open {
			handle = s.needs(route, handle)
		}
		handle = s.metrics.counted(route.method, route.path, handle)
		if route.open {
			open[pattern] = handle
		}
		mux.Handle(pattern, handle)
	}
	mux.Handle("GET "+metrics.Path, s.metrics)
	mux.HandleFunc("/", s.answer(func(_ http.ResponseWriter, r *http.Request) (any, error) {
		return nil, api.Because(api.ErrVersion, "this resource manager does not know %s %s; use one version of Sublet everywhere", r.Method, r.URL.Path)
	}))
	return s.authorized(mux, open)
}

// answer makes a handler of a function that returns what to reply. The reply goes out when all that the
// function has changed, or seen, is durable.
func (s *Server) answer(f func(http.ResponseWriter, *http.Request) (any, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		reply, err := f(w, r)
		if notKnown := s.ledger.Mark().Wait(r.Context()); notKnown != nil {
			err = notKnown
		}
		if err != nil {
			writeError(w, err)
			return
		}
		writeJSON(w, http.StatusOK, reply)
	}
}

func writeJSON(w http.ResponseWriter, status int, body any) {
	if body == nil {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // a client that is gone does not matter
}

var statuses = map[api.Code]int{
	api.ErrNoCapacity.Code:     http.StatusConflict,
	api.ErrUnknownLease.Code:   http.StatusNotFound,
	api.ErrUnknownNode.Code:    http.StatusNotFound,
	api.ErrUnknownAccount.Code: http.StatusNotFound,
	api.ErrQuota.Code:          http.StatusForbidden,
	api.ErrExists.Code:         http.StatusConflict,
	api.ErrInUse.Code:          http.StatusConflict,
	api.ErrRemoved.Code:        http.StatusGone,
	api.ErrUnauthorized.Code:   http.StatusUnauthorized,
	api.ErrForbidden.Code:      http.StatusForbidden,
	api.ErrTooMany.Code:        http.StatusTooManyRequests,
	api.ErrVersion.Code:        http.StatusNotFound,
	api.ErrInvalid.Code:        http.StatusBadRequest,
	api.ErrUnavailable.Code:    http.StatusServiceUnavailable,
	api.ErrInternal.Code:       http.StatusInternalServerError,
}

func writeError(w http.ResponseWriter, err error) {
	var told *api.Error
	if !errors.As(err, &told) {
		var missing *ledger.NoCapacity
		var over *overQuota
		kind := api.ErrInternal
		switch {
		case errors.Is(err, replica.ErrUnavailable):
			kind = api.ErrUnavailable
		case errors.As(err, &over):
			kind = api.ErrQuota
		case errors.As(err, &missing), errors.Is(err, ledger.ErrDraining):
			kind = api.ErrNoCapacity
		case errors.Is(err, ledger.ErrInvalid):
			kind = api.ErrInvalid
		case errors.Is(err, ledger.ErrUser):
			kind = api.ErrUnauthorized
		case errors.Is(err, ledger.ErrExists):
			kind = api.ErrExists
		}
		told = api.Because(kind, "%v", err)
	}
	writeJSON(w, statuses[told.Code], told)
}

// read decodes a request's body.
func read(r *http.Request, into any) error {
	decoder := json.NewDecoder(r.Body)
	err := decoder.Decode(into)
	if err == nil {
		if _, more := decoder.Token(); !errors.Is(more, io.EOF) {
			err = errors.New("there is something behind the JSON value")
		}
	}
	if err != nil {
		return api.Because(api.ErrInvalid, "the body of %s %s: %v", r.Method, r.URL.Path, err)
	}
	return nil
}

func (s *Server) register(_ http.ResponseWriter, r *http.Request) (any, error) {
	var request api.Register
	if err := read(r, &request); err != nil {
		return nil, err
	}
	if err := api.CheckName(request.Node.Name); err != nil {
		return nil, err
	}
	reply, err := s.roster.register(request, now())
	return api.Registered{HeartbeatReply: reply}, err
}

func (s *Server) heartbeat(_ http.ResponseWriter, r *http.Request) (any, error) {
	var beat api.Heartbeat
	if err := read(r, &beat); err != nil {
		return nil, err
	}
	return s.roster.heartbeat(r.PathValue("name"), beat, now())
}

func (s *Server) deregister(_ http.ResponseWriter, r *http.Request) (any, error) {
	return nil, s.book.deregister(r.PathValue("name"), r.URL.Query().Get("instance"), now())
}

func (s *Server) nodes(_ http.ResponseWriter, r *http.Request) (any, error) {
	return s.book.nodes(r.URL.Query().Get("boot"), now()), nil
}

func (s *Server) leases(http.ResponseWriter, *http.Request) (any, error) { return s.book.leases(), nil }

// grant answers when the lease is granted, or when waiting is over.
func (s *Server) grant(w http.ResponseWriter, r *http.Request) (any, error) {
	var request api.GrantRequest
	if err := read(r, &request); err != nil {
		return nil, err
	}
	if err := checkOwner(request.Owner); err != nil {
		return nil, err
	}
	waiter, err := s.book.ask(request, now())
	if err != nil {
		return nil, err
	}
	if err := s.awaitGrant(w, r, waiter, request.Wait); err != nil {
		return nil, err
	}
	if conn, ok := r.Context().Value(connectionKey{}).(net.Conn); ok {
		s.book.send(waiter.lease.ID, conn)
	}
	tickets, err := s.book.tickets(waiter.lease, request.Owner)
	if err != nil {
		s.takeBack(waiter)
		return nil, err
	}
	s.log.Info("lease granted", "lease", waiter.lease.ID, "executors", len(waiter.lease.Executors), "nodes", waiter.lease.Nodes())
	return api.Grant{Lease: waiter.lease, Tickets: tickets, TTL: TTL}, nil
}

func checkOwner(owner []byte) error {
	if len(owner) == api.OwnerSize {
		return nil
	}
	return api.Because(api.ErrInvalid, "a lease has an owner, a public key of %d bytes by which its tickets are shown; this is one of %d", api.OwnerSize, len(owner))
}

// awaitGrant returns when a request is granted, or with the reason why it is not.
func (s *Server) awaitGrant(w http.ResponseWriter, r *http.Request, waiter *waiter, patience time.Duration) error {
	if patience > 0 {
		if err := s.await(w, r, waiter, patience); err != nil {
			return err
		}
	}
	if waiter.err != nil {
		return waiter.err
	}
	if r.Context().Err() != nil { // nobody will use it
		s.takeBack(waiter)
		return r.Context().Err()
	}
	return nil
}

func (s *Server) await(w http.ResponseWriter, r *http.Request, waiter *waiter, patience time.Duration) error {
	// The connection's limits are for those who do not wait.
	control := http.NewResponseController(w)
	until := time.Now().Add(patience + 10*time.Second)
	if err := errors.Join(control.SetReadDeadline(until), control.SetWriteDeadline(until)); err != nil {
		return err
	}
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-waiter.done:
		return nil
	case <-timer.C:
	case <-r.Context().Done():
	case <-s.ending:
		s.book.giveUp(waiter, now())
		<-waiter.done
		return api.Because(api.ErrUnavailable, "the resource manager is ending")
	}
	s.book.giveUp(waiter, now())
	<-waiter.done
	return nil
}

func (s *Server) renew(_ http.ResponseWriter, r *http.Request) (any, error) {
	expires, err := s.book.renew(r.PathValue("id"), now())
	return api.Renewed{Expires: expires}, s.book.lease(r.PathValue("id"), err)
}

func (s *Server) release(_ http.ResponseWriter, r *http.Request) (any, error) {
	id := r.PathValue("id")
	return nil, s.book.lease(id, s.book.release(id, now()))
}
