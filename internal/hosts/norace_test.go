//go:build !race

package hosts_test

const shadow = 1
