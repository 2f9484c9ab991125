// Package input reads the system that the Jacobi solver is to solve from MatrixMarket files, says
// what is wrong with it, and cuts it into blocks of rows. It is for the one rank that reads; what
// becomes of the blocks is the program's business.
//
// # Errors
//
// All name the file, and the line or the row where there is one: what is no MatrixMarket file, a
// matrix that is not square, a zero on its diagonal, a right-hand side of another length.
package input
