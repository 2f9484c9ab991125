// Package usage says how a command is used: the help text of one, and the error of a command line that is
// wrong, by which Sublet's programs exit with status 2.
package usage
