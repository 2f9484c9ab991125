// Package pollable waits for descriptors that become readable without being read: a pidfd when its
// process has exited, a doorbell when it rings. A goroutine that waits takes no thread.
package pollable
