// Package matrixmarket reads matrices and vectors from MatrixMarket files, and writes dense ones.
//
// # Basics
//
//	file, err := os.Open("A.mtx")
//	matrix, err := matrixmarket.Read(file, "A.mtx")
//	switch m := matrix.(type) {
//	case *matrixmarket.CSR:   // from a coordinate file: only what the file names is stored
//	case *matrixmarket.Dense: // from an array file
//	}
//
// [ReadVector] reads a right-hand side, [WriteVector] writes a solution. [WithProgress] reports how
// far a long read has come.
//
// # What is read
//
//	banner          object  format            field                 symmetry
//	%%MatrixMarket  matrix  coordinate|array  real|integer|pattern  general|symmetric|skew-symmetric
//
// The banner's words may be in upper or lower case. A pattern has no values: its entries are 1.
// Of a symmetric or skew-symmetric matrix a file gives the lower triangle, and what is returned is
// the whole. Entries of a coordinate file may come in any order; several for the same place are
// added up in the order of the file, as assembling a matrix from elements does. An entry that is
// given as 0 is stored. Values are decimal numbers, rounded to the nearest float64.
//
// More is allowed than the standard says: comments and blank lines anywhere after the banner,
// comments of any length, and lines that end in CR LF.
//
// # Memory
//
// What is allocated follows what was read and not what a size line promises. Entries of a
// coordinate file take 16 bytes each until the end of the file, then 12 (twice that where the
// other triangle is added); the values of an array file are held twice for a moment. The one thing
// that a short file could demand, row pointers for billions of empty rows, has a limit. The matrix
// returned belongs to the caller; [CSR.Row] and [Dense.Row] share its memory.
//
// # Errors
//
// A malformed file is a [*SyntaxError], which names file and line. An error of the reader is
// wrapped, with the place where it came. Nothing else of the matrix is checked: whether it is
// square, or has zeros on its diagonal, is up to who uses it.
package matrixmarket
