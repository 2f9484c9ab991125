// Package bytesize reads and writes amounts of memory as people do: 512M, 1.5 GiB. What programs read is
// in bytes.
package bytesize
