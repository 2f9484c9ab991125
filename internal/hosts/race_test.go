//go:build race

package hosts_test

// shadow is how many times the memory the race detector takes, in this process.
const shadow = 10
