package replica

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash/crc32"

	"github.com/sublet-hpc/sublet/resources/ledger"
)

// image is a state at rest: what snapshots and copies consist of.
//
//	byte  0..7    "sublet\x00l"
//	      8       version
//	      9..12   CRC-32C of what follows, little-endian
//	      13..    JSON
type image struct {
	Revision uint64
	State    *ledger.State
}

const (
	imageMagic   = "sublet\x00l"
	imageVersion = 1
	imageHeader  = len(imageMagic) + 5
)

// encode writes an image. The same state has the same bytes.
func (i image) encode() ([]byte, error) {
	body, err := json.Marshal(i)
	if err != nil {
		return nil, fmt.Errorf("ledger: writing a snapshot: %w", err)
	}
	text := make([]byte, imageHeader, imageHeader+len(body))
	copy(text, imageMagic)
	text[len(imageMagic)] = imageVersion
	binary.LittleEndian.PutUint32(text[len(imageMagic)+1:], crc32.Checksum(body, castagnoli))
	return append(text, body...), nil
}

// decodeImage reads an image.
func decodeImage(text []byte) (image, error) {
	if len(text) < imageHeader || !bytes.HasPrefix(text, []byte(imageMagic)) {
		return image{}, fmt.Errorf("%w: a snapshot of %d bytes does not begin as one", ErrDamaged, len(text))
	}
	if version := text[len(imageMagic)]; version != imageVersion {
		return image{}, fmt.Errorf("%w: a snapshot has version %d, this program reads %d; start the version of Sublet that wrote it", ErrVersion, version, imageVersion)
	}
	body := text[imageHeader:]
	if binary.LittleEndian.Uint32(text[len(imageMagic)+1:]) != crc32.Checksum(body, castagnoli) {
		return image{}, fmt.Errorf("%w: a snapshot of %d bytes does not have its checksum", ErrDamaged, len(text))
	}
	i := image{State: ledger.New()}
	if err := readStrictly(body, &i); err != nil {
		return image{}, fmt.Errorf("%w: a snapshot can not be read (%w); start the version of Sublet that wrote it", ErrVersion, err)
	}
	if i.State == nil {
		return image{}, fmt.Errorf("%w: a snapshot has no state", ErrDamaged)
	}
	return i, nil
}
