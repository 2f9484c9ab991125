package portfolio

import (
	"fmt"
	"io"
)

// Reader reads the options of a file, or of a part of it, in order.
type Reader[T Float] struct {
	file    *File
	whole   bool // the part is the whole file
	text    *lines
	section *section // of a binary file
	tally   Tally
	err     error // that has ended it
}

// NewReader returns a reader of one of the parts of a file, from 0. The parts are about equal in
// bytes, end where lines do, and have each option of the file once; how many a part has is known
// when it was read. Where there is more than one part, the caller adds up the tallies of all and
// calls [File.Verify].
func NewReader[T Float](f *File, part, parts int) (*Reader[T], error) {
	if f.size == streamed && parts > 1 {
		return nil, fmt.Errorf("%s: it is not a regular file, so one reader has to read it all", f.name)
	}
	r := &Reader[T]{file: f, whole: parts == 1}
	if f.binary != nil {
		r.section = newSection(f, part, parts)
		return r, nil
	}
	var err error
	r.text, err = newLines(f, part, parts)
	return r, err
}

// Read fills blocks, and reference if the file was opened [WithReference], and returns how many
// options there are: as many as there is room for until the part ends. Then the error is [io.EOF],
// and there are none. Option i's reference price goes to reference[i], so there are at least Lanes
// places for each block. The last block is padded. Where the part is the whole file, it ends in an
// error if the file has more options, or less, than it says, and there are never more.
//
// After an error that is not io.EOF, what is in the blocks is of no use. It is a [*SyntaxError]
// where the file is not as it should be.
func (r *Reader[T]) Read(blocks []Block[T], reference []float32) (options int, err error) {
	if r.err != nil {
		return 0, r.err
	}
	if r.file.columns == Inputs {
		reference = nil
	} else {
		reference = reference[:len(blocks)*Lanes]
	}
	options, r.err = r.read(blocks, reference)
	if r.err != nil {
		return 0, r.err
	}
	if used := options % Lanes; used != 0 {
		blocks[options/Lanes].Pad(used)
		if reference != nil {
			clear(reference[options:][:Lanes-used])
		}
	}
	return options, nil
}

func (r *Reader[T]) read(blocks []Block[T], reference []float32) (options int, err error) {
	if len(blocks) == 0 {
		return 0, nil
	}
	if r.section != nil {
		options, err = readSection(r.section, blocks, reference, &r.tally)
	} else {
		room := len(blocks) * Lanes
		if r.whole {
			room = int(min(int64(room), r.file.count-r.tally.Options))
		}
		options, err = r.readText(blocks, reference, room)
	}
	if err != nil {
		return 0, err
	}
	r.tally.Options += int64(options)
	if options == 0 {
		return 0, r.end()
	}
	return options, nil
}

// end is [io.EOF], or an error if the whole file has been read and is not as it says.
func (r *Reader[T]) end() error {
	if r.whole && r.text != nil {
		var surplus [8]Block[T]
		for {
			options, err := r.readText(surplus[:], nil, len(surplus)*Lanes)
			if err != nil {
				return err
			}
			if options == 0 {
				break
			}
			r.tally.Options += int64(options)
		}
	}
	if r.whole {
		if err := r.file.Verify(r.tally); err != nil {
			return err
		}
	}
	return io.EOF
}

// Tally is what has been found so far.
func (r *Reader[T]) Tally() Tally { return r.tally }
