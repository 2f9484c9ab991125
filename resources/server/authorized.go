package server

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/sublet-hpc/sublet/resources/api"
)

const (
	// failuresBurst and failuresRate are how many requests without a token an address has refused with a
	// word to it and to the log: at once, and each second.
	failuresBurst = 20
	failuresRate  = 2
)

// roleKey finds the role of a request's token in its context.
type roleKey struct{}

// authorized lets through who has a token, with its role, and who asks for what is open to all.
func (s *Server) authorized(next http.Handler, open map[string]http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if handle := open[r.Method+" "+r.URL.Path]; handle != nil {
			handle.ServeHTTP(w, r)
			return
		}
		role, known := s.roleOf(r)
		if !known {
			w.Header().Set("WWW-Authenticate", "Bearer")
			w.Header().Set("Connection", "close")
			writeError(w, s.stranger(r, api.Because(api.ErrUnauthorized, "the token is not this resource manager's; it is in access.json of its run directory")))
			return
		}
		isKnown(r.Context())
		r.Body = http.MaxBytesReader(w, r.Body, maxBody)
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), roleKey{}, role)))
	})
}

// roleOf is the role of a request's token.
func (s *Server) roleOf(r *http.Request) (role api.Role, known bool) {
	token, bearer := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	got := sha256.Sum256([]byte(token)) // of one length whatever came
	for _, one := range s.keys.tokens.Roles() {
		want := sha256.Sum256([]byte(s.keys.tokens.Of(one)))
		if bearer && subtle.ConstantTimeCompare(got[:], want[:]) == 1 {
			role, known = one, true
		}
	}
	return role, known
}

// stranger counts a request of somebody who has shown no right to it, and is what to answer. Of those
// who come too often nothing more is said.
func (s *Server) stranger(r *http.Request, why *api.Error) *api.Error {
	s.metrics.strangers.Inc()
	if !s.failures.Failed(peerOf(r), time.Now()) {
		return api.Because(api.ErrTooMany, "too many requests without a token of this resource manager have come from this address; wait a second")
	}
	s.log.Warn("a request was refused", "peer", r.RemoteAddr, "path", r.URL.Path, "why", why)
	return why
}

// peerOf is where a request comes from.
func peerOf(r *http.Request) net.Addr {
	at, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return &net.UnixAddr{Name: r.RemoteAddr}
	}
	return net.TCPAddrFromAddrPort(at)
}

// needs lets through those whose token has a role that may ask for this.
func (s *Server) needs(route route, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if role, _ := r.Context().Value(roleKey{}).(api.Role); !role.May(route.role) {
			s.log.Warn("a request was refused, for its token is of another role", "peer", r.RemoteAddr, "method", route.method, "path", r.URL.Path, "role", role)
			writeError(w, api.Because(api.ErrForbidden, "the token has the role %s, which may not %s %s; that takes one of role %s: name a directory with such an access.json by SUBLET_DIR; who has the run directory makes one: sublet access --role %s DIRECTORY",
				role, r.Method, r.URL.Path, takers(route.role), route.role))
			return
		}
		next.ServeHTTP(w, r)
	})
}

// takers are those who may do what a role may, in words.
func takers(role api.Role) string {
	if role == api.RoleAdmin {
		return string(role)
	}
	return string(role) + " or " + string(api.RoleAdmin)
}
