package collective

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	mpi "github.com/sbromberger/gompi"
	"golang.org/x/sys/unix"

	"github.com/sublet-hpc/sublet/apps/internal/mpitest"
)

// asRank names the part that this test binary plays as a rank under mpirun.
const asRank = "COLLECTIVE_TEST"

func TestMain(m *testing.M) {
	if part := os.Getenv(asRank); part != "" {
		os.Exit(rankMain(part))
	}
	if err := mpitest.Check("/proc/self/exe"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

func rankMain(part string) int {
	if _, err := Join(); err == nil {
		fmt.Fprintln(os.Stderr, "test: joined before MPI was started")
		return 1
	}
	mpi.Start(true)
	world, err := Join()
	if err == nil {
		err = parts[part](world)
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "test: rank %d: %v\n", mpi.WorldRank(), err)
		return 1
	}
	mpi.Stop()
	return 0
}

var parts = map[string]func(*World) error{
	"operations": operations,
	"agree":      agree,
	"values":     values,
	"errors":     mpiErrors,
	"abort":      abort,
}

func runPart(t *testing.T, ranks int, part string) mpitest.Result {
	t.Helper()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return mpitest.Run(t, ranks, []string{asRank + "=" + part}, program)
}

func TestParts(t *testing.T) {
	for _, part := range []string{"operations", "agree", "values", "errors"} {
		for _, ranks := range []int{1, 3} {
			t.Run(fmt.Sprintf("%s on %d", part, ranks), func(t *testing.T) {
				if result := runPart(t, ranks, part); result.Status != 0 {
					t.Errorf("exit status %d\n%s", result.Status, result.Stderr)
				}
			})
		}
	}
}

func operations(w *World) error {
	// Rank r has r numbers, so rank 0 has none.
	var lengths []int
	var want []float64
	start := 0
	for rank := range w.Size() {
		lengths = append(lengths, rank)
		if rank == w.Rank() {
			start = len(want)
		}
		for i := range rank {
			want = append(want, float64(10*rank+i))
		}
	}
	division, err := w.Parts(lengths)
	if err != nil {
		return err
	}
	x := make([]float64, len(want))
	copy(x[start:], want[start:start+w.Rank()])
	for range 1000 { // often enough to get out of step, if that can be
		if err := w.Allgather(x, division); err != nil {
			return err
		}
	}
	if diff := cmp.Diff(want, append([]float64{}, x...)); diff != "" && len(want) > 0 {
		return fmt.Errorf("gathered (-want +got):\n%s", diff)
	}
	if len(x) > 0 {
		if err := w.Allgather(x[1:], division); err == nil {
			return errors.New("gathered into too small a slice")
		}
	}
	if _, err := w.Parts(make([]int, w.Size()+1)); err == nil {
		return errors.New("divided among ranks that there are not")
	}
	for _, length := range []int{-1, 1 << 31} {
		lengths[0] = length
		if _, err := w.Parts(lengths); err == nil {
			return fmt.Errorf("a part of %d numbers", length)
		}
	}

	last := w.Size() - 1
	largest := []float64{float64(w.Rank()), -float64(w.Rank()), 7}
	if err := errors.Join(w.Max(largest), w.Max(nil)); err != nil {
		return err
	}
	if diff := cmp.Diff([]float64{float64(last), 0, 7}, largest); diff != "" {
		return fmt.Errorf("largest (-want +got):\n%s", diff)
	}

	// The bytes behind the message must stay: gompi's broadcast overruns them.
	sent := bytes.Repeat([]byte{byte(w.Rank())}, 1001)
	if err := errors.Join(w.Broadcast(sent[:1000], last), w.Broadcast(nil, last)); err != nil {
		return err
	}
	if !bytes.Equal(sent[:1000], bytes.Repeat([]byte{byte(last)}, 1000)) || sent[1000] != byte(w.Rank()) {
		return fmt.Errorf("broadcast: %v", sent)
	}

	// From the last rank to the first, and from there to all.
	passed := make([]byte, 3000)
	switch {
	case w.Size() == 1:
	case w.Rank() == last:
		for i := range passed {
			passed[i] = byte(i)
		}
		err = errors.Join(w.Send(passed, 0), w.Send(nil, 0))
	case w.Rank() == 0:
		if err = errors.Join(w.Receive(passed, last), w.Receive(nil, last)); err == nil && passed[2999] != 2999%256 {
			err = fmt.Errorf("received %v", passed)
		}
	}
	if err != nil {
		return err
	}
	shared, err := w.Share([]byte(strings.Repeat("s", w.Rank()+2)), 0)
	if err != nil || string(shared) != "ss" {
		return fmt.Errorf("shared %q: %w", shared, err)
	}

	// Together more than MPI can count: nobody waits for anybody. The pages are never touched.
	if w.Size() > 1 {
		const much = 1 << 30
		pages, err := unix.Mmap(-1, 0, much, unix.PROT_READ, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS|unix.MAP_NORESERVE)
		if err != nil {
			return err
		}
		if _, err := w.Gather(pages); err == nil || !strings.Contains(err.Error(), "2147483647 bytes") {
			return fmt.Errorf("gathering %d bytes of each rank: %w", much, err)
		}
		if err := unix.Munmap(pages); err != nil {
			return err
		}
	}
	texts, err := w.Gather([]byte(strings.Repeat("x", 2*w.Rank())))
	if err != nil {
		return err
	}
	if w.Rank() != 0 {
		if texts != nil {
			return fmt.Errorf("rank %d got %q", w.Rank(), texts)
		}
		return w.Barrier()
	}
	for rank, text := range texts {
		if string(text) != strings.Repeat("x", 2*rank) {
			return fmt.Errorf("gathered %q of rank %d", text, rank)
		}
	}
	return w.Barrier()
}

var errOwn = errors.New("it went wrong")

func agree(w *World) error {
	if err := w.Agree(nil); err != nil {
		return fmt.Errorf("agreed on %w where nobody had an error", err)
	}
	last := w.Size() - 1
	var own error
	if w.Rank() == last {
		own = errOwn
	}
	err := w.Agree(own)
	var agreed *RankError
	if !errors.As(err, &agreed) || agreed.Rank != last || agreed.Text != errOwn.Error() {
		return fmt.Errorf("agreed on %w", err)
	}
	if errors.Is(err, errOwn) != (w.Rank() == last) {
		return fmt.Errorf("%w is wrapped wrongly", err)
	}
	if names := strings.Contains(err.Error(), fmt.Sprintf("rank %d of %d: ", last, w.Size())); names != (w.Size() > 1) {
		return fmt.Errorf("one rank's error is %q", err.Error())
	}
	if err := w.Agree(fmt.Errorf("%w on %d", errOwn, w.Rank())); err == nil || err.Error() != "it went wrong on 0" {
		return fmt.Errorf("of everybody's errors: %w", err)
	}
	return nil
}

func values(w *World) error {
	type value struct{ Rank int }
	all, err := GatherValues(w, value{w.Rank()}, nil)
	if err != nil {
		return err
	}
	var want []value
	for rank := range w.Size() {
		if w.Rank() == 0 {
			want = append(want, value{rank})
		}
	}
	if !slices.Equal(all, want) {
		return fmt.Errorf("rank %d gathered %v", w.Rank(), all)
	}
	// A rank that has no value ends it for all, whether it says so or JSON does.
	last := w.Size() - 1
	var own error
	unspeakable := 0.0
	if w.Rank() == last {
		own, unspeakable = errOwn, math.NaN()
	}
	if _, err := GatherValues(w, 0, own); err == nil || !strings.Contains(err.Error(), errOwn.Error()) {
		return fmt.Errorf("where the last rank has none: %w", err)
	}
	if _, err := GatherValues(w, unspeakable, nil); err == nil || !strings.Contains(err.Error(), "NaN") {
		return fmt.Errorf("where the last rank's is no JSON: %w", err)
	}
	return nil
}

// MPI returns errors instead of ending the job, and they are noticed.
func mpiErrors(w *World) error {
	err := w.Broadcast([]byte{1}, w.Size()+5)
	var failed *MPIError
	if !errors.As(err, &failed) || failed.Text == "" || failed.Operation != "broadcast" {
		return fmt.Errorf("a broadcast from a rank that does not exist: %w", err)
	}
	return nil
}

// One rank aborts while the others wait for it.
func abort(w *World) error {
	if w.Rank() == w.Size()-1 {
		w.Abort(7)
	}
	return w.Barrier()
}

func TestAbortEndsAll(t *testing.T) {
	if result := runPart(t, 3, "abort"); result.Status != 7 {
		t.Errorf("exit status %d\n%s", result.Status, result.Stderr)
	}
}
