// Package bytesize writes amounts of memory for people: 1.5 GiB. What programs read is in bytes.
package bytesize
