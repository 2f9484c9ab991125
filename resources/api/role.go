package api

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Role is what a token of a resource manager is the right to.
type Role string

// The roles.
const (
	// RoleAdmin may ask for everything.
	RoleAdmin Role = "admin"
	// RoleManager registers a node, reports on it and deregisters it.
	RoleManager Role = "manager"
	// RoleClient asks for leases, renews and releases them, and reads what there is.
	RoleClient Role = "client"
	// RoleBatch adds and takes out nodes by rFaaS's interface, which is not encrypted. So that is all it may.
	RoleBatch Role = "batch"
)

// Roles are all of them.
var Roles = []Role{RoleAdmin, RoleManager, RoleClient, RoleBatch}

// ParseRole reads a role's name.
func ParseRole(text string) (Role, error) {
	if !slices.Contains(Roles, Role(text)) {
		names := make([]string, len(Roles))
		for i, role := range Roles {
			names[i] = string(role)
		}
		return "", fmt.Errorf("there is no role %q; there are %s", text, strings.Join(names, ", "))
	}
	return Role(text), nil
}

// May tells whether a role has the rights of another.
func (r Role) May(what Role) bool { return r == what || r == RoleAdmin }

// Tokens are one for each role, or for some of them.
type Tokens struct {
	Admin   string `json:"admin,omitempty"`
	Manager string `json:"manager,omitempty"`
	Client  string `json:"client,omitempty"`
	Batch   string `json:"batch,omitempty"`
}

func (t *Tokens) of(role Role) *string {
	switch role {
	case RoleAdmin:
		return &t.Admin
	case RoleManager:
		return &t.Manager
	case RoleClient:
		return &t.Client
	case RoleBatch:
		return &t.Batch
	}
	return new(string)
}

// Of is a role's token, empty if there is none.
func (t Tokens) Of(role Role) string { return *t.of(role) }

// Only are the tokens without those of other roles.
func (t Tokens) Only(role Role) Tokens {
	var only Tokens
	*only.of(role) = t.Of(role)
	return only
}

// Roles are those that there is a token for.
func (t Tokens) Roles() []Role {
	return slices.DeleteFunc(slices.Clone(Roles), func(role Role) bool { return t.Of(role) == "" })
}

// forRole is the token with the fewest rights that will do for a role. Where none will, it is one that the
// resource manager knows at least, so that it can say what is missing.
func (t Tokens) forRole(role Role) string {
	return cmp.Or(t.Of(role), t.Admin, t.Client, t.Manager, t.Batch)
}
