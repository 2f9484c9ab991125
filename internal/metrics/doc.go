// Package metrics is what the daemons' Prometheus metrics have in common: a registry that knows the
// process, and a listener of its own for who collects them.
//
// A listener has no token: what is to be seen there are counts, and no names of users, leases or
// libraries. Who asks for anything but GET /metrics is told that there is nothing else.
package metrics
