// Package holding knows which of a rank's rows are in memory, and where: the rank's own, which it computes, and those in
// blocks that it has lent to executors, which it can compute all the same, since their memory is here.
//
// # Memory
//
// Rows that are generated are in memory once, as far as possible: what has been lent is no longer kept beside it, and is
// kept again before the lent block's memory goes. Own rows are in pieces of a few MiB, so that they can go one by one.
// What lies on the boundary of a lent block may be there twice, and so are rows in several lent blocks.
// Rows that a rank has received are one block, which stays; what is lent is a copy.
//
// # Concurrency
//
// None: the rank's computing thread uses it.
package holding
