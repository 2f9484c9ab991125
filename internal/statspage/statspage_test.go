package statspage_test

import (
	"encoding/binary"
	"errors"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/sublet-hpc/sublet/internal/statspage"
)

func TestPage(t *testing.T) {
	page, file, err := statspage.New()
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if stats := page.Read(); stats.Initialized || stats.State != statspage.Starting {
		t.Errorf("a fresh page: %+v", stats)
	}
	raw, err := unix.Mmap(int(file.Fd()), 0, statspage.Size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unix.Munmap(raw) }()
	put32 := func(offset int, v uint32) { binary.NativeEndian.PutUint32(raw[offset:], v) }
	put64 := func(offset int, v uint64) { binary.NativeEndian.PutUint64(raw[offset:], v) }
	put64(statspage.OffsetMagic, statspage.Magic)
	put32(statspage.OffsetVersion, statspage.Version)
	put32(statspage.OffsetState, uint32(statspage.Running))
	put32(statspage.OffsetSignal, 11)
	put64(statspage.OffsetFaultAddress, 16)
	put64(statspage.OffsetInvocations, 7)
	put64(statspage.OffsetRunningID, 8)
	put64(statspage.OffsetComputeTicks, 1000)
	put64(statspage.OffsetHotTicks, 2000)
	put64(statspage.OffsetTicksPerSecond, 3000)
	put32(statspage.OffsetExitCalled, 1)
	put32(statspage.OffsetOutOfMemory, 1)
	copy(raw[statspage.OffsetName:], "solve_\x1b[31m\nrows\x00rest")
	want := statspage.Stats{
		Initialized: true, State: statspage.Running, Signal: 11, FaultAddress: 16, Invocations: 7, RunningID: 8,
		ComputeTicks: 1000, HotTicks: 2000, TicksPerSec: 3000, ExitCalled: true, OutOfMemory: true,
		Function: "solve_31mrows", // nothing that could reach a terminal
	}
	if got := page.Read(); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if err := page.Close(); err != nil {
		t.Fatal(err)
	}
	if got := page.Read(); got != (statspage.Stats{}) {
		t.Errorf("a closed page: %+v", got)
	}
}

// An executor can not truncate the page under its manager.
func TestPageIsSealed(t *testing.T) {
	page, file, err := statspage.New()
	if err != nil {
		t.Fatal(err)
	}
	defer page.Close()
	defer file.Close()
	if err := unix.Ftruncate(int(file.Fd()), 0); !errors.Is(err, unix.EPERM) {
		t.Errorf("the page was truncated: %v", err)
	}
}
