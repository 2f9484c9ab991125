// Package atomicfile writes files that are there, whole, after whatever comes: a crash of the process or of the host
// leaves the old file or the new one. It also tells which paths must not be replaced so, since they stand for a
// descriptor of the process.
package atomicfile
