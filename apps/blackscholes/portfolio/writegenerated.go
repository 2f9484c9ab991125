package portfolio

import (
	"errors"
	"fmt"
	"runtime"
	"sync"
)

// Generated is a file that [WriteGenerated] is to write.
type Generated struct {
	Count int64
	Seed  uint64
	// Binary is the binary form, with numbers of Precision, which is 4 or 8 bytes; else it is text.
	Binary    bool
	Precision int
}

// WriteGenerated writes generated options, with their reference prices, to a file that is to have
// the name path. It computes on all cores, in bounded memory, and tells progress how many options
// are done, if that is not nil. If progress returns an error, it stops with that error; there is no
// file then.
func WriteGenerated(path string, what Generated, progress func(done int64) error) error {
	if what.Count < 0 || what.Count > maxCount {
		return fmt.Errorf("writing %s: %d options: from 0 to %d can be written", path, what.Count, int64(maxCount))
	}
	if progress == nil {
		progress = func(int64) error { return nil }
	}
	out, err := Create(path)
	if err != nil {
		return err
	}
	switch {
	case !what.Binary:
		err = writeGeneratedText(out, what, progress)
	case what.Precision == 4:
		err = writeGeneratedBlocks[float32](out, what, progress)
	case what.Precision == 8:
		err = writeGeneratedBlocks[float64](out, what, progress)
	default:
		err = fmt.Errorf("writing %s: numbers of %d bytes: 4 or 8 are expected", path, what.Precision)
	}
	if err != nil {
		return errors.Join(err, out.Close())
	}
	return out.Commit()
}

// batch is how many options one core generates at once.
const batch = 1 << 14

// inBatches calls make for as many batches at once as there are cores, each with a worker's number
// from 0, and then use, in order.
func inBatches(count int64, workers int, produce func(worker int, first int64, n int), use func(worker int, first int64, n int) error) error {
	for first := int64(0); first < count; first += int64(workers) * batch {
		var group sync.WaitGroup
		begins := func(worker int) (int64, int) {
			begin := min(first+int64(worker)*batch, count)
			return begin, int(min(batch, count-begin))
		}
		for worker := range workers {
			group.Go(func() {
				begin, n := begins(worker)
				produce(worker, begin, n)
			})
		}
		group.Wait()
		for worker := range workers {
			begin, n := begins(worker)
			if n == 0 {
				return nil // there were less left than cores
			}
			if err := use(worker, begin, n); err != nil {
				return err
			}
		}
	}
	return nil
}

func writeGeneratedText(out *Output, what Generated, progress func(done int64) error) error {
	texts := make([][]byte, runtime.GOMAXPROCS(0))
	if _, err := out.Write(AppendCount(nil, what.Count)); err != nil {
		return err
	}
	return inBatches(what.Count, len(texts), func(worker int, first int64, n int) {
		texts[worker] = AppendGenerated(texts[worker][:0], first, n, what.Seed)
	}, func(worker int, first int64, n int) error {
		if _, err := out.Write(texts[worker]); err != nil {
			return err
		}
		return progress(first + int64(n))
	})
}

func writeGeneratedBlocks[T Float](out *Output, what Generated, progress func(done int64) error) error {
	writer, err := NewBinaryOptions[T](out, what.Count, WithReference)
	if err != nil {
		return err
	}
	type buffer struct {
		blocks    [batch / Lanes]Block[T]
		reference [batch]float32
	}
	buffers := make([]buffer, runtime.GOMAXPROCS(0))
	err = inBatches(what.Count, len(buffers), func(worker int, first int64, n int) {
		b := &buffers[worker]
		Generate(b.blocks[:Blocks(n)], b.reference[:], first, n, what.Seed)
	}, func(worker int, first int64, n int) error {
		b := &buffers[worker]
		if err := writer.Put(first, n, b.blocks[:], b.reference[:]); err != nil {
			return err
		}
		return progress(first + int64(n))
	})
	if err != nil {
		return err
	}
	return writer.Finish(writer.Tally())
}
