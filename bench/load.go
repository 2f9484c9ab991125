package bench

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sublet-hpc/sublet/bench/record"
	"github.com/sublet-hpc/sublet/internal/cpus"
)

// bind binds all threads of this process to the CPUs on which no executor of this node is. Where
// nothing is left it stays where it is.
func (s *stage) bind() error {
	allowed, err := cpus.Allowed()
	if err != nil {
		return err
	}
	whole, _, err := cpus.Physical(&allowed, cpus.Folder)
	if err != nil {
		return err
	}
	rest := allowed
	for _, e := range s.lease.Executors() {
		for _, core := range whole {
			if s.sameNode(e) && core.ID == e.Core() {
				for _, cpu := range core.CPUs {
					rest.Clear(cpu)
				}
			}
		}
	}
	s.run.Bound = rest.Count() > 0 && rest.Count() < allowed.Count()
	if !s.run.Bound {
		rest = allowed
	}
	s.run.Client = cpus.List(&rest)
	return bindThreads(&rest)
}

// unbind lets this process have all CPUs of the job again.
func (s *stage) unbind() error {
	allowed, err := cpus.Allowed()
	if err != nil {
		return err
	}
	s.run.Client = cpus.List(&allowed)
	return bindThreads(&allowed)
}

// bindThreads binds those that there are; those that come inherit it.
func bindThreads(set *unix.CPUSet) error {
	threads, err := filepath.Glob("/proc/self/task/*")
	if err != nil {
		return err
	}
	for _, thread := range threads {
		id, err := strconv.Atoi(filepath.Base(thread))
		if err != nil {
			continue
		}
		if err := unix.SchedSetaffinity(id, set); err != nil && err != unix.ESRCH {
			return fmt.Errorf("binding a thread to the client's cores: %w", err)
		}
	}
	return nil
}

// load is what the machine's CPUs did, and who had them.
type load struct {
	began    time.Time
	cpus     int
	pids     []int // of executors on this node
	before   ticks
	switches int64
}

// ticks are hundredths of a second of CPU time.
type ticks struct {
	busy, stolen int64 // of all CPUs
	ours         int64
}

func watchLoad(s *stage) *load {
	l := &load{began: time.Now(), cpus: s.run.Machine.CPUs}
	for _, e := range s.lease.Executors() {
		if s.sameNode(e) {
			l.pids = append(l.pids, e.PID())
		}
	}
	l.before, l.switches = l.look(), l.interruptions()
	return l
}

func (l *load) look() ticks {
	var t ticks
	content, _ := os.ReadFile("/proc/stat")
	line, _, _ := bytes.Cut(content, []byte("\n"))
	for i, field := range strings.Fields(string(line)) {
		value, _ := strconv.ParseInt(field, 10, 64)
		switch i {
		case 1, 2, 3, 6, 7: // user, nice, system, irq, softirq
			t.busy += value
		case 8:
			t.stolen = value
		}
	}
	t.ours = cpuTicks("self")
	for _, pid := range l.pids {
		t.ours += cpuTicks(strconv.Itoa(pid))
	}
	return t
}

// cpuTicks are a process's user and system time; 0 if it is gone.
func cpuTicks(process string) int64 {
	content, _ := os.ReadFile("/proc/" + process + "/stat")
	_, rest, _ := strings.Cut(string(content), ") ")
	fields := strings.Fields(rest)
	if len(fields) < 13 {
		return 0
	}
	user, _ := strconv.ParseInt(fields[11], 10, 64)
	system, _ := strconv.ParseInt(fields[12], 10, 64)
	return user + system
}

// interruptions are how often the kernel took a CPU away from this process or an executor's.
func (l *load) interruptions() (sum int64) {
	paths := []string{"/proc/self/task/*/status"}
	for _, pid := range l.pids {
		paths = append(paths, fmt.Sprintf("/proc/%d/task/*/status", pid))
	}
	for _, pattern := range paths {
		files, _ := filepath.Glob(pattern)
		for _, file := range files {
			eachField(file, ":", func(key, value string) {
				if key == "nonvoluntary_ctxt_switches" {
					n, _ := strconv.ParseInt(value, 10, 64)
					sum += n
				}
			})
		}
	}
	return sum
}

// What is worth a note: parts of a core, and interruptions a second.
const (
	notableLoad          = 0.05
	notableSteal         = 0.01
	notableInterruptions = 20
)

// note says what disturbed the run.
func (l *load) note(run *record.Run) {
	seconds := time.Since(l.began).Seconds()
	after := l.look()
	const perSecond = 100 // the kernel's unit, whatever its own clock
	others := float64(after.busy-l.before.busy-(after.ours-l.before.ours)) / perSecond / seconds
	stolen := float64(after.stolen-l.before.stolen) / perSecond / seconds
	interruptions := float64(l.interruptions()-l.switches) / seconds
	add := func(format string, args ...any) { run.Notes = append(run.Notes, fmt.Sprintf(format, args...)) }

	shared := 0
	for _, e := range run.Executors {
		if e.Oversubscribed {
			shared++
		}
	}
	if shared > 0 {
		add("Too few cores: %d of %d executors shared one.", shared, len(run.Executors))
	}
	if !run.Bound && len(l.pids) > 0 {
		add("No pinning: the client had no core of its own beside the executors'.")
	}
	loaded := others > notableLoad*float64(max(l.cpus, 1))
	if loaded {
		add("Other load: other processes had %.2f of this machine's %d CPUs.", others, l.cpus)
	}
	if stolen > notableSteal*float64(max(l.cpus, 1)) {
		add("The hypervisor took %.2f CPUs away.", stolen)
	}
	// Without others it is our own threads that one which spins has let pass: the kernel counts these, too.
	if loaded && interruptions > notableInterruptions {
		add("The kernel interrupted client and executors %.0f times a second.", interruptions)
	}
}
