// Package hostile is an executor that keeps the protocol until its client trusts it, and then
// breaks it: for the tests that prove what a rank survives. A test program calls [Run] in the
// process that a manager, or the test, has started as an executor.
//
// A [Plan] says what it does wrong:
//
//   - Faults: its loop's responses are changed, doubled, cut or kept, over any transport.
//   - Ring: beside its loop, it writes into the memory that it shares with its client.
//   - Control: it answers requests on the control connection wrongly, or not at all.
//
// Only tests import this package. It is not safe for concurrent use; errors are those of the
// connection to its manager.
package hostile
