// Package version says which Sublet this is.
package version

// Version is that of this source; the Makefile stamps released builds with the commit.
var Version = "0.1.0-dev"
