// Package commandline says in words what is wrong with a command line.
package commandline
