// Package program is what this repository's MPI programs have in common: how they start and end, and where their
// function libraries are.
package program
