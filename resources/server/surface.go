package server

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"time"

	"github.com/sublet-hpc/sublet/config"
	"github.com/sublet-hpc/sublet/resources/api"
)

// maxSurfaceBody is the most that the body of an /add can have.
const maxSurfaceBody = 64 << 10

// surface is rFaaS's HTTP interface, at an address of its own: nodes are added and removed by it, and
// nothing else. Answers are sentences.
//
//	POST /add?node=NAME     {"ip_address": "192.168.0.29", "port": 10005, "cores": 1, "memory": 512}
//	POST /remove?node=NAME  the same, or nothing
func (s *Server) surface() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/add", s.sentence(config.ParseAddition, s.roster.add))
	mux.HandleFunc("/remove", s.sentence(config.ParseRemoval, s.roster.remove))
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		say(w, http.StatusNotFound, fmt.Sprintf("there is no %q here; there are /add?node=NAME and /remove?node=NAME", r.URL.Path))
	})
	return s.trusted(mux)
}

func say(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, text+"\n") // a client that is gone does not matter
}

// trusted lets through this user's own processes on this host, and who has the token for it: what comes here can be
// read on its way, so that an admin's is refused.
func (s *Server) trusted(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if reason := s.distrust(r); reason != "" {
			why := s.stranger(r, api.Because(api.ErrUnauthorized, "%s; the header Authorization: Bearer TOKEN is needed, with the batch token in access.json of the run directory %s", reason, s.directory.path))
			w.Header().Set("WWW-Authenticate", "Bearer")
			w.Header().Set("Connection", "close")
			say(w, statuses[why.Code], why.Text)
			return
		}
		isKnown(r.Context())
		r.Body = http.MaxBytesReader(w, r.Body, maxSurfaceBody)
		next.ServeHTTP(w, r)
	})
}

// distrust says why a request is not let through; empty: it is.
func (s *Server) distrust(r *http.Request) string {
	if r.Header.Get("Authorization") == "" {
		return stranger(r)
	}
	role, known := s.roleOf(r)
	switch {
	case !known:
		return "the token is not this resource manager's"
	case role != api.RoleBatch:
		return fmt.Sprintf("this connection is not encrypted, and a token of role %s is not for it", role)
	}
	return ""
}

// stranger says why a request is not one of this user's own processes on this host; empty: it is.
func stranger(r *http.Request) string {
	if r.Header.Get("Origin") != "" || r.Header.Get("Sec-Fetch-Site") != "" {
		return "this comes from a web page" // in this user's browser, but perhaps anybody's
	}
	local, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	if !ok {
		return "it is not known where this comes from"
	}
	ours, ourErr := netip.ParseAddrPort(local.String())
	peer, peerErr := netip.ParseAddrPort(r.RemoteAddr)
	if ourErr != nil || peerErr != nil || !peer.Addr().Unmap().IsLoopback() || !ours.Addr().Unmap().IsLoopback() {
		return "only the loopback interface needs no token"
	}
	uid, found, err := userOf(peer, ours)
	switch {
	case err != nil:
		return err.Error()
	case !found:
		return "the kernel does not say whose this connection is"
	case uid != os.Getuid():
		return fmt.Sprintf("this connection is user %d's, and the resource manager serves user %d alone", uid, os.Getuid())
	}
	return ""
}

// sentence makes a handler that says what was done to a node, or what is wrong.
func (s *Server) sentence(parse func(string, []byte) (config.Addition, error), do func(string, config.Addition, time.Time) (string, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		text, err := surfaceRequest(r, parse, do)
		if notKnown := s.ledger.Mark().Wait(r.Context()); notKnown != nil {
			err = api.Because(api.ErrUnavailable, "%v", notKnown)
		}
		if err != nil {
			var told *api.Error
			status := http.StatusInternalServerError
			if errors.As(err, &told) {
				status = statuses[told.Code]
			}
			s.log.Info("a request was refused", "peer", r.RemoteAddr, "path", r.URL.Path, "why", err)
			say(w, status, err.Error())
			return
		}
		s.log.Info(text)
		say(w, http.StatusOK, text)
	}
}

func surfaceRequest(r *http.Request, parse func(string, []byte) (config.Addition, error), do func(string, config.Addition, time.Time) (string, error)) (string, error) {
	if r.Method != http.MethodPost {
		return "", api.Because(api.ErrInvalid, "%s is asked by POST, not by %s: curl -X POST", r.URL.Path, r.Method)
	}
	name, err := nodeNamed(r)
	if err != nil {
		return "", err
	}
	body, err := io.ReadAll(r.Body)
	var large *http.MaxBytesError
	if errors.As(err, &large) {
		return "", api.Because(api.ErrInvalid, "the body has more than %d KiB", maxSurfaceBody>>10)
	}
	if err != nil {
		return "", api.Because(api.ErrInvalid, "the body: %v", err)
	}
	if len(body) == 0 && r.URL.Path == "/remove" {
		body = []byte("{}")
	}
	a, err := parse("the body", body)
	if err != nil {
		return "", api.Because(api.ErrInvalid, "%v", err)
	}
	return do(name, a, now())
}

// nodeNamed is the node that a request is about.
func nodeNamed(r *http.Request) (string, error) {
	query := r.URL.Query()
	names := query["node"]
	for key := range query {
		if key != "node" {
			return "", api.Because(api.ErrInvalid, "%s has no parameter %q; there is node", r.URL.Path, key)
		}
	}
	if len(names) != 1 || names[0] == "" {
		return "", api.Because(api.ErrInvalid, "which node? %s?node=NAME", r.URL.Path)
	}
	return names[0], api.CheckName(names[0])
}
