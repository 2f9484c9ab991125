package server

import (
	"net/http"

	"github.com/sublet-hpc/sublet/resources/api"
)

// route is one of the interface's: how it is called, and what description there is of it.
type route struct {
	method, path string
	// operation names it in the description; summary is one line.
	operation, summary string
	// query are the parameters behind the question mark, with what they mean.
	query [][2]string
	// request and reply are values of the types of the bodies; nil: there is none.
	request, reply any
	// refusals that are particular to it; all can be refused for want of a token, or of one of that role, or as invalid.
	refusals []*api.Error
	answer   func(http.ResponseWriter, *http.Request) (any, error)
	// role is whose token it needs; an admin's will do as well. Of what is open to all it is empty.
	role api.Role
	// open: it needs no token.
	open bool
}

// routes are all of the interface under /v1. Handler and description are made of them.
func (s *Server) routes() []route {
	unknownNode, unknownLease := []*api.Error{api.ErrUnknownNode}, []*api.Error{api.ErrUnknownLease}
	return []route{
		{
			method: "GET", path: "/v1/status", role: api.RoleClient, operation: "status", summary: "the resource manager at a glance",
			reply: api.Status{}, answer: func(http.ResponseWriter, *http.Request) (any, error) { return s.status(now()), nil },
		},
		{
			method: "GET", path: "/v1/nodes", role: api.RoleClient, operation: "listNodes", summary: "the nodes that are registered, by name",
			query: [][2]string{{"boot", "only those of this boot of a kernel"}}, reply: []api.NodeStatus{}, answer: s.nodes,
		},
		{
			method: "GET", path: "/v1/nodes/{name}", role: api.RoleClient, operation: "showNode", summary: "one node, also one that drains and has no manager",
			reply: api.NodeStatus{}, refusals: unknownNode,
			answer: func(_ http.ResponseWriter, r *http.Request) (any, error) {
				return s.book.node(r.PathValue("name"), now())
			},
		},
		{
			method: "POST", path: "/v1/nodes/{name}/drain", role: api.RoleAdmin, operation: "drainNode", summary: "let a node's leases go on, and no new ones begin",
			request: api.DrainRequest{}, refusals: unknownNode, answer: s.drain,
		},
		{
			method: "POST", path: "/v1/nodes/{name}/resume", role: api.RoleAdmin, operation: "resumeNode", summary: "end what drain began",
			refusals: unknownNode,
			answer: func(_ http.ResponseWriter, r *http.Request) (any, error) {
				return nil, s.book.resumeNode(r.PathValue("name"), now())
			},
		},
		{
			method: "POST", path: "/v1/nodes/{name}/remove", role: api.RoleAdmin, operation: "removeNode", summary: "forget a node, and have its executor manager end",
			request: api.RemoveRequest{}, refusals: []*api.Error{api.ErrUnknownNode, api.ErrInUse}, answer: s.remove,
		},
		{
			method: "POST", path: "/v1/nodes", role: api.RoleManager, operation: "register", summary: "make a node known, as its executor manager does at its start and after a silence",
			request: api.Register{}, reply: api.Registered{}, refusals: []*api.Error{api.ErrExists, api.ErrRemoved}, answer: s.register,
		},
		{
			method: "POST", path: "/v1/nodes/{name}/heartbeat", role: api.RoleManager, operation: "heartbeat", summary: "say that an executor manager is there, and all that it has",
			request: api.Heartbeat{}, reply: api.HeartbeatReply{}, refusals: []*api.Error{api.ErrUnknownNode, api.ErrRemoved}, answer: s.heartbeat,
		},
		{
			method: "DELETE", path: "/v1/nodes/{name}", role: api.RoleManager, operation: "deregister", summary: "say that an executor manager ends",
			query: [][2]string{{"instance", "that it registered with"}}, refusals: unknownNode, answer: s.deregister,
		},
		{
			method: "GET", path: "/v1/leases", role: api.RoleClient, operation: "listLeases", summary: "the leases that last, the oldest first",
			reply: []api.Lease{}, answer: s.leases,
		},
		{
			method: "POST", path: "/v1/leases", role: api.RoleClient, operation: "grant", summary: "ask for a lease; answers when it is granted, or when waiting is over",
			request: api.GrantRequest{}, reply: api.Grant{}, refusals: []*api.Error{api.ErrNoCapacity, api.ErrQuota, api.ErrUnavailable}, answer: s.grant,
		},
		{
			method: "POST", path: "/v1/leases/batch", role: api.RoleClient, operation: "grantAll", summary: "ask for leases of all ranks of a program, all or none; answers when they are granted, or when waiting is over",
			request: api.GrantAllRequest{}, reply: api.GrantAll{}, refusals: []*api.Error{api.ErrNoCapacity, api.ErrQuota, api.ErrUnavailable}, answer: s.grantAll,
		},
		{
			method: "GET", path: "/v1/leases/{id}", role: api.RoleClient, operation: "showLease", summary: "one lease",
			reply: api.Lease{}, refusals: unknownLease,
			answer: func(_ http.ResponseWriter, r *http.Request) (any, error) { return s.book.oneLease(r.PathValue("id")) },
		},
		{
			method: "GET", path: "/v1/leases/{id}/explain", role: api.RoleClient, operation: "explain", summary: "what a request that waits is missing, or where a lease is",
			reply: api.Explanation{}, refusals: unknownLease,
			answer: func(_ http.ResponseWriter, r *http.Request) (any, error) {
				return s.book.explain(r.PathValue("id"), now())
			},
		},
		{
			method: "POST", path: "/v1/leases/{id}/renew", role: api.RoleClient, operation: "renew", summary: "make a lease last longer",
			reply: api.Renewed{}, refusals: unknownLease, answer: s.renew,
		},
		{
			method: "POST", path: "/v1/leases/{id}/end", role: api.RoleAdmin, operation: "endLease", summary: "have the executor managers end a lease, and free its cores then",
			refusals: unknownLease,
			answer: func(_ http.ResponseWriter, r *http.Request) (any, error) {
				return nil, s.book.endLease(r.PathValue("id"), now())
			},
		},
		{
			method: "DELETE", path: "/v1/leases/{id}", role: api.RoleClient, operation: "release", summary: "give a lease back of which nothing runs, as its program does",
			refusals: unknownLease, answer: s.release,
		},
		{
			method: "GET", path: "/v1/bill", role: api.RoleClient, operation: "bill", summary: "what accounts have used, and what it costs",
			query: [][2]string{
				{"account", "only this one"},
				{"since", "only what was entered at this time or later, as in RFC 3339; what a lease that lasts for hours uses is entered every hour"},
			},
			reply: api.Bill{}, refusals: []*api.Error{api.ErrUnknownAccount, api.ErrInvalid}, answer: s.makeBill,
		},
		{
			method: "GET", path: "/v1/openapi.json", operation: "describe", summary: "this description",
			open: true, answer: writeDescription,
		},
	}
}

func (s *Server) drain(_ http.ResponseWriter, r *http.Request) (any, error) {
	var request api.DrainRequest
	if err := read(r, &request); err != nil {
		return nil, err
	}
	return nil, s.book.drainNode(r.PathValue("name"), request.Reason, now())
}

func (s *Server) remove(_ http.ResponseWriter, r *http.Request) (any, error) {
	var request api.RemoveRequest
	if err := read(r, &request); err != nil {
		return nil, err
	}
	return nil, s.book.removeNode(r.PathValue("name"), request.Force, now())
}
