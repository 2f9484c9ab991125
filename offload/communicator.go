package offload

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
)

// Communicator is what [LeaseAll] needs of a group of ranks. gompi's *mpi.Communicator is one as it is. S is whatever its
// receive returns beside the bytes, and is not looked at.
//
// Rank and Size are as MPI has them. SendBytes may return before or after the bytes have been received; RecvBytes waits
// for those of one rank with one tag, in the order in which they were sent. None of them is used with an empty slice.
type Communicator[S any] interface {
	Rank() int
	Size() int
	SendBytes(data []byte, to, tag int)
	RecvBytes(from, tag int) ([]byte, S)
}

// leaseTag is the tag of what LeaseAll sends. MPI promises tags up to 32767.
const leaseTag = 23326

// ranks passes values between rank 0 and the others, by JSON.
type ranks[S any] struct {
	comm       Communicator[S]
	rank, size int
}

// gather returns every rank's value on rank 0, in their order, and nil on the others.
func gather[S, T any](r *ranks[S], mine T) ([]T, error) {
	if r.rank != 0 {
		return nil, send(r, 0, mine)
	}
	all := make([]T, r.size)
	all[0] = mine
	var errs []error
	for from := 1; from < r.size; from++ { // all of them, also behind one that can not be read
		errs = append(errs, receive(r, from, &all[from]))
	}
	return all, errors.Join(errs...)
}

// scatter hands rank 0's values out, one to each rank.
func scatter[S, T any](r *ranks[S], all []T) (mine T, err error) {
	if r.rank != 0 {
		err = receive(r, 0, &mine)
		return mine, err
	}
	for to := 1; to < r.size; to++ {
		if err := send(r, to, all[to]); err != nil {
			return mine, err
		}
	}
	return all[0], nil
}

func send[S any](r *ranks[S], to int, value any) error {
	text, err := json.Marshal(value)
	if err != nil {
		return fmt.Errorf("offload: LeaseAll: telling rank %d: %w", to, err)
	}
	r.comm.SendBytes(text, to, leaseTag)
	return nil
}

func receive[S any](r *ranks[S], from int, into any) error {
	text, _ := r.comm.RecvBytes(from, leaseTag)
	if err := json.Unmarshal(text, into); err != nil {
		return fmt.Errorf("offload: LeaseAll: what rank %d says can not be read: %w; use one version of Sublet on all ranks, and receive no messages with tag %d", from, err, leaseTag)
	}
	return nil
}

// failure is an error as ranks tell each other.
type failure struct {
	Rank  int // whose it is; -1: all ranks'
	Text  string
	Class string // by which errors.Is finds it; empty: none
}

// failureClasses are those of errors that stay what they are on other ranks, by their texts.
var failureClasses = []error{ErrClosed, ErrNoCapacity, ErrVersion, context.Canceled, context.DeadlineExceeded}

// allRanks is a failure's Rank.
const allRanks = -1

// tell makes an error one that can be told; nil of nil.
func tell(rank int, err error) *failure {
	if err == nil {
		return nil
	}
	f := &failure{Rank: rank, Text: err.Error()}
	for _, class := range failureClasses {
		if errors.Is(err, class) {
			f.Class = class.Error()
			break
		}
	}
	return f
}

// error is a failure as all ranks have it. On the rank whose it is, own is its cause.
func (f *failure) error(size int, own error) error {
	text := fmt.Sprintf("LeaseAll of %d ranks: %s", size, f.Text)
	if f.Rank != allRanks {
		text = fmt.Sprintf("LeaseAll: rank %d of %d: %s", f.Rank, size, f.Text)
	}
	told := &classified{text: text, cause: own}
	for _, class := range failureClasses {
		if class.Error() == f.Class {
			told.class = class
		}
	}
	return told
}

// first is the failure of the lowest rank that has one.
func first(failures []*failure) *failure {
	for _, f := range failures {
		if f != nil {
			return f
		}
	}
	return nil
}
