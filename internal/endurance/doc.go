// Package endurance is how long the tests take that count: how often something is killed, how many
// invocations and leases there are. `make test` runs them briefly, on machines that may be busy; `make
// endurance` runs them in full on an idle one, holds them to what the documentation promises, and prints a
// line of figures for each; a time during which the host of a virtual machine lent its processors to others is not
// held to that. Such tests are called TestEndurance..., by which `make endurance` finds them.
package endurance
