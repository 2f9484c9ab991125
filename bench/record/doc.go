// Package record is what a benchmark leaves: every single sample, with all that one needs to know to
// believe it, in a file that is small and that anybody can read:
//
//	zcat FILE | head -1 | jq .                       # the run: machine, versions, what disturbed it
//	zcat FILE | tail -n +2 | jq '.blocks[].samples_ns[]'
package record
