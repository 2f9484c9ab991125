package collective

import (
	"encoding/json"
	"fmt"
)

// GatherValues returns every rank's value on rank 0, in the order of the ranks, and none on the others. They travel as JSON.
// A rank that has no value has err; then all ranks get that, as from [World.Agree].
func GatherValues[T any](w *World, own T, err error) ([]T, error) {
	var data []byte
	if err == nil {
		data, err = json.Marshal(own)
	}
	if err := w.Agree(err); err != nil {
		return nil, err
	}
	all, err := w.Gather(data)
	if err != nil {
		return nil, err
	}
	values := make([]T, len(all))
	for rank, data := range all {
		if err = json.Unmarshal(data, &values[rank]); err != nil {
			err = fmt.Errorf("what rank %d says of itself: %w", rank, err)
			break
		}
	}
	if err := w.Agree(err); err != nil {
		return nil, err
	}
	return values, nil
}
