// Package architecture holds tests about the repository as a whole: which packages may depend on
// which and why, what the ledger must not call, and that what the documents point to exists.
//
// A rule names the packages it is about. One that matches no package fails, so that a rule cannot
// lose its subject by a renaming and go on passing.
package architecture
