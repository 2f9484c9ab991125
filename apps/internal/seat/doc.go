// Package seat is where ranks and executors run, and how many cores they use together.
package seat
