// Package options is the command line of blackscholes: what can be asked for, what of it makes no sense, and the text
// of --help. Parse does the same on every rank, which leaves it to the program which rank speaks.
package options
