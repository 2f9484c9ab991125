package manager

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sublet-hpc/sublet/internal/bytesize"
	"github.com/sublet-hpc/sublet/internal/control"
)

const (
	// maxLibraries is how many bytes of function libraries a manager keeps, and the most that one can have.
	maxLibraries = 1 << 30
	// contentPatience is how long the next part of a library may take to come.
	contentPatience = 30 * time.Second
)

// libraries are function libraries that clients on other hosts have sent, because the path that they
// name is another file here, or none. Each is kept once, by its content, in memory: a memfd that nobody
// can change any more. All are of one user, the manager's own. Those that were used last stay.
type libraries struct {
	limit int64

	mu    sync.Mutex
	kept  []*libraryCopy // the one that was used last is the last
	bytes int64
	known map[string]knownFile // by path: what the files of this node are
}

// libraryCopy is a library in memory. Its file is closed when neither the libraries nor a lease has it.
type libraryCopy struct {
	hash  string
	size  int64
	file  *os.File
	users int // and one more while it is kept; libraries.mu
}

type knownFile struct {
	identity
	hash string
}

func newLibraries() *libraries {
	return &libraries{limit: maxLibraries, known: map[string]knownFile{}}
}

// isHere tells whether a file of this node has the content that a client's has.
func (s *libraries) isHere(path string, content *control.Content) bool {
	file, err := identify(path)
	if err != nil || !file.regular || file.size != content.Size { // a pipe or a device may have no end
		return false
	}
	s.mu.Lock()
	known, ok := s.known[path]
	s.mu.Unlock()
	if !ok || known.identity != file {
		if known.hash, err = hashFile(path); err != nil {
			return false
		}
		known.identity = file
		s.mu.Lock()
		s.known[path] = known
		s.mu.Unlock()
	}
	return known.hash == content.Hash
}

func hashFile(path string) (string, error) {
	// It may have become a pipe since, which nobody writes to.
	file, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return "", err
	}
	defer file.Close()
	sum := sha256.New()
	if _, err := io.Copy(sum, file); err != nil {
		return "", err
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}

// use finds a copy for a lease, which gives it back; nil: it has to be sent.
func (s *libraries) use(wanted string) *libraryCopy {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, c := range s.kept {
		if c.hash == wanted {
			s.kept = append(append(s.kept[:i:i], s.kept[i+1:]...), c)
			c.users++
			return c
		}
	}
	return nil
}

// keep takes over a copy that has come, which its lease uses; others go, for which there is no room.
func (s *libraries) keep(c *libraryCopy) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c.users = 2
	s.kept = append(s.kept, c)
	for s.bytes += c.size; s.bytes > s.limit; {
		oldest := s.kept[0]
		s.kept = s.kept[1:]
		s.bytes -= oldest.size
		s.drop(oldest)
	}
}

// giveBack ends a lease's use of a copy.
func (s *libraries) giveBack(c *libraryCopy) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.drop(c)
}

func (s *libraries) drop(c *libraryCopy) {
	if c.users--; c.users == 0 {
		c.file.Close()
	}
}

// close forgets all; leases have ended.
func (s *libraries) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.kept {
		s.drop(c)
	}
	s.kept, s.bytes = nil, 0
}

// delivery is a library on its way from a client.
type delivery struct {
	parts chan control.ContentPart // closed by nobody
	done  <-chan struct{}          // closed when no more is taken
}

// content finds the lease's library where its path will not do, and has the client send it if need be.
func (l *lease) content() error {
	wanted := l.request.Content
	if wanted == nil || l.manager.libraries.isHere(l.request.Library, wanted) {
		return nil
	}
	if l.library = l.manager.libraries.use(wanted.Hash); l.library != nil {
		return nil
	}
	node := l.manager.node.Name
	if wanted.Size <= 0 || wanted.Size > l.manager.libraries.limit {
		return &control.Failed{Code: control.CodeLibrary, Text: fmt.Sprintf("function library %s is not on node %s, and its %s are too many to be sent there (at most %s); put it on a file system that both nodes have",
			l.request.Library, node, bytesize.Format(wanted.Size), bytesize.Format(l.manager.libraries.limit))}
	}
	copied, err := l.fetch(wanted)
	if err != nil {
		return &control.Failed{Code: control.CodeLibrary, Text: fmt.Sprintf("function library %s could not be sent to node %s: %v", l.request.Library, node, err)}
	}
	l.log.Info("a function library was sent", "library", l.request.Library, "bytes", copied.size, "sha256", copied.hash)
	l.manager.libraries.keep(copied)
	l.library = copied
	return nil
}

// fetch asks the client for the library and takes what comes.
func (l *lease) fetch(wanted *control.Content) (_ *libraryCopy, err error) {
	ctx, cancel := context.WithCancel(l.ctx)
	// A part too many must not hold the receiving goroutine for as long as the lease lasts.
	defer cancel()
	d := &delivery{parts: make(chan control.ContentPart), done: ctx.Done()}
	l.mu.Lock()
	l.delivery = d
	l.mu.Unlock()
	defer func() {
		l.mu.Lock()
		l.delivery = nil
		l.mu.Unlock()
	}()
	fd, err := memfd("sublet-library")
	if err != nil {
		return nil, err
	}
	file := os.NewFile(uintptr(fd), "sublet-library")
	defer func() {
		if err != nil {
			file.Close()
		}
	}()
	l.client.send(control.TypeContent, 0, control.Manager, wanted)
	sum := sha256.New()
	for received := int64(0); received < wanted.Size; {
		part, err := d.next(l.ctx)
		if err != nil {
			return nil, err
		}
		if err := writeContent(part, file, sum, wanted, received); err != nil {
			return nil, err
		}
		received += int64(len(part.Data))
	}
	if got := hex.EncodeToString(sum.Sum(nil)); got != wanted.Hash {
		return nil, errors.New("it has changed since the lease was asked for; ask again")
	}
	seals := unix.F_SEAL_SHRINK | unix.F_SEAL_GROW | unix.F_SEAL_WRITE | unix.F_SEAL_SEAL
	if _, err := unix.FcntlInt(file.Fd(), unix.F_ADD_SEALS, seals); err != nil {
		return nil, fmt.Errorf("sealing it: %w", err)
	}
	return &libraryCopy{hash: wanted.Hash, size: wanted.Size, file: file}, nil
}

// memfd makes a file in memory that can be executed, which newer kernels want to be told.
func memfd(name string) (int, error) {
	fd, err := unix.MemfdCreate(name, unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING|unix.MFD_EXEC)
	if err == unix.EINVAL { // Linux before 6.3
		fd, err = unix.MemfdCreate(name, unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	}
	if err != nil {
		return -1, fmt.Errorf("memory for it: %w", err)
	}
	return fd, nil
}

func (d *delivery) next(ctx context.Context) (part control.ContentPart, err error) {
	timer := time.NewTimer(contentPatience)
	defer timer.Stop()
	select {
	case part = <-d.parts:
		if part.Problem != "" {
			return part, errors.New(part.Problem)
		}
		return part, nil
	case <-ctx.Done():
		return part, context.Cause(ctx)
	case <-timer.C:
		return part, fmt.Errorf("nothing of it has come for %v", contentPatience)
	}
}

// writeContent puts a part behind those that have come.
func writeContent(part control.ContentPart, file io.Writer, sum hash.Hash, wanted *control.Content, received int64) error {
	if part.Offset != received || len(part.Data) == 0 || int64(len(part.Data)) > wanted.Size-received {
		return fmt.Errorf("%d bytes came for offset %d, after %d of %d", len(part.Data), part.Offset, received, wanted.Size)
	}
	sum.Write(part.Data)
	_, err := file.Write(part.Data)
	return err
}

// deliver takes a part from the client; it runs on the receiving goroutine.
func (l *lease) deliver(part control.ContentPart) error {
	l.mu.Lock()
	d := l.delivery
	l.mu.Unlock()
	if d == nil {
		return &control.Failed{Code: control.CodeInvalid, Text: "a part of a function library came that nobody has asked for"}
	}
	select {
	case d.parts <- part:
	case <-d.done:
	}
	return nil
}
