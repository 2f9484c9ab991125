// Package shares has the tests of what offload.Auto promises, with the options of blackscholes: that it is as fast as the better
// of nothing and half offloaded, however long a step is, however slow or far away the executor, and with one that is killed; and that
// it finds the best share within five steps. Every case ends with prices that are those of the caller alone, bit by bit. Nothing
// else is in it. They need hosts of their own (package internal/hosts).
package shares
