// Package portfolio holds options in memory, and reads, writes and generates them.
package portfolio
