// Package buildtest builds what tests run, because what they run is real: programs of this module
// and function libraries. [Main] is for a TestMain that builds them once for all tests of a package, [Script] for
// scripts that tests run. Results of tests that use it are not kept (go test's cache) beyond a change of
// what they were built from.
package buildtest
