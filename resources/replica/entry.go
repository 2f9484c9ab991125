package replica

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"reflect"

	"github.com/sublet-hpc/sublet/resources/ledger"
)

// An entry of the log, and what stands in front of its command:
//
//	byte  0      version of the entry
//	      1      kind of command
//	      2..5   CRC-32C of all other bytes, little-endian
//	      6..13  revision that the command makes, little-endian
//	      14..   the command as JSON, its fields by their names in Go
//
// A command that gets another meaning, or loses a field, gets a new kind; numbers are not used again. A new
// field whose absence means what was meant before needs nothing else: an older reader says that it does not know it.

const (
	entryVersion = 1
	entryHeader  = 14
)

// ErrVersion says that another version of Sublet has written something.
var ErrVersion = errors.New("another version of Sublet wrote this")

// ErrDamaged says that something is not as it was written.
var ErrDamaged = errors.New("this is damaged")

// markKind is that of entries without a command: see [Replica.start].
const markKind = 0

// entry is a command with the revision that it makes: it can be applied to the state before that one alone.
type entry struct {
	revision uint64
	command  ledger.Command // nil: a mark
}

// kind is how commands of a type are read.
type kind struct {
	number  byte
	command reflect.Type
	read    func([]byte) (ledger.Command, error)
}

func newKind[C ledger.Command](number byte) kind {
	return kind{number, reflect.TypeFor[C](), func(body []byte) (ledger.Command, error) {
		var command C
		err := readStrictly(body, &command)
		return command, err
	}}
}

var kinds = []kind{
	newKind[ledger.RegisterNode](1),
	newKind[ledger.DrainNode](2),
	newKind[ledger.RemoveNode](3),
	newKind[ledger.Occupy](4),
	newKind[ledger.Vacate](5),
	newKind[ledger.Occupants](6),
	newKind[ledger.Grant](7),
	newKind[ledger.Adopt](8),
	newKind[ledger.Expire](9),
	newKind[ledger.Replace](10),
	newKind[ledger.Lose](11),
	newKind[ledger.ReleasePart](12),
	newKind[ledger.Release](13),
	newKind[ledger.Remember](14),
	newKind[ledger.Forget](15),
	newKind[ledger.ResumeNode](16),
	newKind[ledger.ForgetNode](17),
	newKind[ledger.EndLease](18),
	newKind[ledger.Book](19),
	newKind[ledger.Settle](20),
	newKind[ledger.Written](21),
	newKind[ledger.ForgetParts](22),
	newKind[ledger.BoundNode](23),
	newKind[ledger.Foresee](24),
	newKind[ledger.GrantAll](25),
}

var (
	kindByNumber = map[byte]kind{}
	kindByType   = map[reflect.Type]kind{}
)

func init() {
	for _, k := range kinds {
		kindByNumber[k.number], kindByType[k.command] = k, k
	}
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// encode writes an entry. The same entry has the same bytes.
func (e entry) encode() ([]byte, error) {
	text := make([]byte, entryHeader, 256)
	text[0], text[1] = entryVersion, markKind
	binary.LittleEndian.PutUint64(text[6:], e.revision)
	if e.command != nil {
		k, known := kindByType[reflect.TypeOf(e.command)]
		if !known {
			return nil, fmt.Errorf("ledger: a command %T has no kind of entry", e.command)
		}
		text[1] = k.number
		body, err := json.Marshal(e.command)
		if err != nil {
			return nil, fmt.Errorf("ledger: writing a command %T: %w", e.command, err)
		}
		text = append(text, body...)
	}
	binary.LittleEndian.PutUint32(text[2:], entrySum(text))
	return text, nil
}

// entrySum is the checksum of all bytes but its own.
func entrySum(text []byte) uint32 {
	return crc32.Update(crc32.Checksum(text[:2], castagnoli), castagnoli, text[6:])
}

// checkEntry tells whether an entry is whole, and of a kind that this program knows.
func checkEntry(text []byte) error {
	if len(text) < 1 {
		return fmt.Errorf("%w: an entry is empty", ErrDamaged)
	}
	if text[0] != entryVersion {
		return fmt.Errorf("%w: an entry has version %d, this program reads %d; start the version of Sublet that wrote it", ErrVersion, text[0], entryVersion)
	}
	if len(text) < entryHeader || binary.LittleEndian.Uint32(text[2:]) != entrySum(text) {
		return fmt.Errorf("%w: an entry of %d bytes does not have its checksum", ErrDamaged, len(text))
	}
	if _, known := kindByNumber[text[1]]; !known && text[1] != markKind {
		return fmt.Errorf("%w: an entry has a command of kind %d, which this program does not know; start the version of Sublet that wrote it", ErrVersion, text[1])
	}
	return nil
}

// decode reads an entry.
func decode(text []byte) (entry, error) {
	if err := checkEntry(text); err != nil {
		return entry{}, err
	}
	e := entry{revision: binary.LittleEndian.Uint64(text[6:])}
	if text[1] == markKind {
		if len(text) > entryHeader {
			return entry{}, fmt.Errorf("%w: a mark has %d bytes", ErrDamaged, len(text))
		}
		return e, nil
	}
	k := kindByNumber[text[1]]
	command, err := k.read(text[entryHeader:])
	if err != nil {
		return entry{}, fmt.Errorf("%w: a command of kind %d can not be read (%w); start the version of Sublet that wrote it", ErrVersion, text[1], err)
	}
	e.command = command
	return e, nil
}

// readStrictly reads a JSON value, all of it, and nothing that is not known.
func readStrictly(text []byte, into any) error {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(into); err != nil {
		return err
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return errors.New("there is something behind the value")
	}
	return nil
}
