// Package buildtest builds what tests run, because what they run is real: programs of this module
// and function libraries.
package buildtest
