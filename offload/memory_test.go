package offload

import (
	"errors"
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"github.com/sublet-hpc/sublet/internal/fabric"
)

// memorySession is a session that has memory and no executors.
func memorySession(t testing.TB) *Session {
	s := newSession()
	t.Cleanup(func() {
		if err := s.regions.close(); err != nil {
			t.Error(err)
		}
		for _, purpose := range []fabric.Purpose{fabric.Buffers, fabric.Constants} {
			if n, bytes := fabric.Usage(purpose); n != 0 {
				t.Errorf("%d %s of %d bytes are left", n, purpose, bytes)
			}
		}
	})
	return s
}

// Whatever is allocated and freed: buffers are zeroed, aligned, disjoint, and keep their contents.
func TestBuffersKeepTheirContents(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s := newSession()
		defer s.regions.close()
		type held struct {
			buffer *Buffer[uint32]
			mark   uint32
		}
		var live []held
		mark := uint32(0)
		check := func(h held) {
			for i, v := range h.buffer.Slice() {
				if v != h.mark {
					rt.Fatalf("buffer %d holds %d at %d", h.mark, v, i)
				}
			}
		}
		rt.Repeat(map[string]func(*rapid.T){
			"alloc": func(rt *rapid.T) {
				n := rapid.OneOf(rapid.IntRange(0, 100), rapid.IntRange(10_000, 20_000), rapid.IntRange(100_000, 300_000)).Draw(rt, "n")
				b, err := TryAlloc[uint32](s, n)
				if err != nil {
					rt.Fatal(err)
				}
				if b.Len() != n {
					rt.Fatalf("%d values instead of %d", b.Len(), n)
				}
				if p, _ := b.payload(); p.Offset%alignment != 0 {
					rt.Fatalf("a buffer at offset %d", p.Offset)
				}
				mark++
				for i, v := range b.Slice() {
					if v != 0 {
						rt.Fatalf("a fresh buffer holds %d at %d", v, i)
					}
					b.Slice()[i] = mark
				}
				live = append(live, held{b, mark})
			},
			"free": func(rt *rapid.T) {
				if len(live) == 0 {
					return
				}
				i := rapid.IntRange(0, len(live)-1).Draw(rt, "which")
				check(live[i])
				if err := live[i].buffer.Free(); err != nil {
					rt.Fatal(err)
				}
				live = append(live[:i], live[i+1:]...)
			},
			"": func(*rapid.T) {
				for _, h := range live {
					check(h)
				}
			},
		})
	})
	if n, bytes := fabric.Usage(fabric.Buffers); n != 0 {
		t.Errorf("%d buffers of %d bytes are left", n, bytes)
	}
}

func TestLentMemoryIsNotFreed(t *testing.T) {
	s := memorySession(t)
	for _, n := range []int{8, 1 << 20} {
		b := Alloc[byte](s, n)
		b.block.lent.Add(1)
		if err := b.Free(); !errors.Is(err, ErrBufferBusy) {
			t.Fatalf("%d lent bytes: %v", n, err)
		}
		b.block.lent.Add(-1)
		if err := b.Free(); err != nil {
			t.Fatal(err)
		}
		if err := b.Free(); err != nil {
			t.Fatalf("a second Free: %v", err)
		}
	}
}

func TestPartsNameTheSameMemory(t *testing.T) {
	s := memorySession(t)
	b := Alloc[float64](s, 100)
	part := b.Sub(10, 20)
	part.Slice()[0] = 3
	if b.Slice()[10] != 3 || part.Len() != 10 {
		t.Fatal("a part is not a part")
	}
	whole, _ := b.payload()
	p, _ := part.payload()
	if p.Offset != whole.Offset+80 || p.Size != 80 || p.Region != whole.Region {
		t.Fatalf("%+v is not a part of %+v", p, whole)
	}
	if p, owner := b.Sub(5, 5).payload(); p != (fabric.Payload{}) || owner != nil {
		t.Fatal("an empty part is a payload")
	}
}

func TestRegionsRunOut(t *testing.T) {
	s := memorySession(t)
	var last *Constant
	for i := 1; ; i++ {
		c, err := s.Constant([]byte{1})
		if err != nil {
			if i != fabric.MaxRegions {
				t.Fatalf("constant %d: %v", i, err)
			}
			break
		}
		last = c
	}
	if err := last.Free(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Constant([]byte{1}); err != nil {
		t.Fatalf("after one was freed: %v", err)
	}
}

func TestOnlyPlainTypes(t *testing.T) {
	s := memorySession(t)
	if _, err := TryAlloc[*int](s, 1); err == nil {
		t.Error("a buffer of pointers")
	}
	if _, err := TryAlloc[struct{ s string }](s, 1); err == nil {
		t.Error("a buffer of strings")
	}
	if _, err := TryAlloc[struct {
		x [3]float64
		i int32
	}](s, 1); err != nil {
		t.Error(err)
	}
	if _, err := TryAlloc[int](s, -1); err == nil {
		t.Error("a negative size")
	}
	if _, err := TryAlloc[int](s, 1<<62); err == nil {
		t.Error("more than there is")
	}
}

func TestSplitCoversEveryItemOnce(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		n := rapid.IntRange(0, 1000).Draw(rt, "n")
		executors := rapid.IntRange(0, 20).Draw(rt, "executors")
		share := rapid.Float64Range(0, 1).Draw(rt, "share")
		lease := &Lease{}
		for i := range executors {
			lease.executors = append(lease.executors, &Executor{lease: lease, index: i})
		}
		if executors == 0 {
			lease = nil
		}
		s, err := (*Session)(nil).Split(t.Context(), Plan{Items: n, Share: share, Lease: lease})
		if err != nil {
			rt.Fatal(err)
		}
		next, at := s.Local()
		if next != 0 {
			rt.Fatalf("local items start at %d", next)
		}
		smallest, largest := n, 0
		for i, part := range s.Parts() {
			if part.Lo != at || part.Hi <= part.Lo || part.Index != i {
				rt.Fatalf("part %d is %d to %d, after %d", i, part.Lo, part.Hi, at)
			}
			at = part.Hi
			smallest, largest = min(smallest, part.Hi-part.Lo), max(largest, part.Hi-part.Lo)
		}
		if at != n {
			rt.Fatalf("%d of %d items", at, n)
		}
		if len(s.Parts()) > 0 && largest-smallest > 1 {
			rt.Fatalf("parts of %d and %d items", smallest, largest)
		}
		_, local := s.Local()
		if want := float64(n) * (1 - min(max(share, 0), 1)); lease != nil && (float64(local) < want-0.5 || float64(local) > want+0.5) {
			rt.Fatalf("%d local items at a share of %g of %d", local, share, n)
		}
	})
}

func TestErrorsAreFoundByTheirClass(t *testing.T) {
	err := fmt.Errorf("step 3: %w", unknownFunction("f", "libx.so", []string{"g", "h"}))
	if !errors.Is(err, ErrUnknownFunction) || errors.Is(err, ErrClosed) {
		t.Error(err)
	}
	if want := `step 3: function library libx.so has no function "f"; it has g, h`; err.Error() != want {
		t.Errorf("got %q, want %q", err, want)
	}
}
