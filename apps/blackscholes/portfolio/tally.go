package portfolio

// Tally is what readers, or writers, of parts of a file have seen. Those of all parts, added up, say
// whether it is whole; ranks add up the four numbers, which may overflow.
type Tally struct {
	Options   int64
	Dividends int64  // of these options pay dividends, which the formula leaves out, as PARSEC's does
	Checksum  uint64 // of a binary file's options or prices; 0 for text
	Reference uint64 // checksum of a binary file's reference prices
}

// Add adds what was seen in another part.
func (t *Tally) Add(other Tally) {
	t.Options += other.Options
	t.Dividends += other.Dividends
	t.Checksum += other.Checksum
	t.Reference += other.Reference
}

// Verify compares what the readers of all parts have found with what the file says about itself, and
// is a [*SyntaxError] if that is something else.
func (f *File) Verify(all Tally) error {
	if all.Options != f.count {
		return f.wrongCount(all.Options)
	}
	if f.binary == nil {
		return nil
	}
	if all.Checksum != f.binary.checksum {
		return f.errorf("the binary file is damaged: the checksum of its options is %016x, and it says %016x", all.Checksum, f.binary.checksum)
	}
	if f.columns == WithReference && all.Reference != f.binary.column {
		return f.errorf("the binary file is damaged: the checksum of its reference prices is %016x, and it says %016x", all.Reference, f.binary.column)
	}
	return nil
}
