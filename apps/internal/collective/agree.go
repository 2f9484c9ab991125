package collective

import "fmt"

// RankError is what went wrong on a rank, as all ranks know it after Agree.
type RankError struct {
	Rank  int  // the first that it went wrong on
	All   bool // it went wrong on all ranks
	Ranks int  // how many there are
	Text  string
	Err   error // on Rank itself the error
}

func (e *RankError) Error() string {
	if e.All {
		return e.Text
	}
	return fmt.Sprintf("rank %d of %d: %s", e.Rank, e.Ranks, e.Text)
}

// Unwrap returns the error itself on the rank that had it, and nil on the others.
func (e *RankError) Unwrap() error { return e.Err }

// Agree gives all ranks the same answer to whether something has gone wrong on any of them: nil,
// or the error of the first rank that has one.
func (w *World) Agree(err error) error {
	// The first rank with an error, and whether all have one.
	vote := []int32{int32(w.size), 0}
	if err != nil {
		vote = []int32{int32(w.rank), 1}
	}
	if failed := w.minimum(vote); failed != nil {
		return failed
	}
	first := int(vote[0])
	if first == w.size {
		return nil
	}
	agreed := &RankError{Rank: first, All: vote[1] == 1, Ranks: w.size}
	var text []byte
	if w.rank == first {
		agreed.Err = err
		text = []byte(err.Error())
	}
	text, failed := w.Share(text, first)
	if failed != nil {
		return failed
	}
	agreed.Text = string(text)
	return agreed
}
