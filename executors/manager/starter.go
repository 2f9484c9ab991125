package manager

import (
	"fmt"
	"log/slog"
	"os"
	"runtime"
	"strconv"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sublet-hpc/sublet/internal/cpus"
	"github.com/sublet-hpc/sublet/internal/pollable"
)

// Command is what a Starter starts. Files stay the caller's.
type Command struct {
	Path string
	Args []string // the first is the program's name
	Env  []string
	// CPUs that it may run on.
	CPUs []int
	// Output becomes its standard output and standard error. It has no standard input.
	Output *os.File
	// Files become its descriptors from 3 on.
	Files []*os.File
}

// Starter starts executors. What it starts dies with the manager, whatever ends the manager.
type Starter interface {
	Start(*Command) (*Process, error)
	// Close kills what still runs, and returns when it has been reaped.
	Close()
}

// Process is a process that has been started; it is reaped without anybody waiting.
type Process struct {
	PID int
	// Descriptor is its pidfd, for others to wait on; it is closed by Forget.
	Descriptor *os.File

	process *os.Process
	exited  chan struct{}
	status  syscall.WaitStatus
	clock   cpuClock
}

// Kill ends the process with SIGKILL; one that has exited stays as it is.
func (p *Process) Kill() { _ = p.process.Kill() }

// Exited is closed when the process has been reaped.
func (p *Process) Exited() <-chan struct{} { return p.exited }

// Status tells how it ended, once it has exited.
func (p *Process) Status() syscall.WaitStatus { return p.status }

// CPUTime is what all of its threads have used, by the kernel's count; once it has exited also what its
// children had used that it has waited for.
func (p *Process) CPUTime() time.Duration { return p.clock.read(p.PID) }

// Forget kills the process, waits for its end and closes its descriptor.
func (p *Process) Forget() {
	p.Kill()
	<-p.exited
	p.Descriptor.Close()
}

// reap waits for the end. The process stays a zombie, and its number its own and its group's,
// until then: what a function has forked goes with it.
func (p *Process) reap(log *slog.Logger) {
	defer close(p.exited)
	if err := pollable.Wait(p.Descriptor); err != nil {
		log.Error("waiting for an executor", "pid", p.PID, "error", err)
	}
	_ = unix.Kill(-p.PID, unix.SIGKILL) // the group may be empty
	p.clock.stop(p.PID)
	state, err := p.process.Wait()
	if err != nil {
		log.Error("reaping an executor", "pid", p.PID, "error", err)
		return
	}
	p.status = state.Sys().(syscall.WaitStatus)
	p.clock.add(state.SystemTime() + state.UserTime())
}

// processStarter starts plain processes of the manager's own user.
//
// They get SIGKILL when the thread that forked them ends, so one thread forks all, and it lives as
// long as the starter. Before each fork it takes on the affinity that the child inherits: the
// child never runs elsewhere, not even while it is loaded.
type processStarter struct {
	log      *slog.Logger
	null     *os.File
	home     unix.CPUSet // the thread's own affinity
	requests chan startRequest
	ended    chan struct{}

	mu      sync.Mutex
	closed  bool
	running map[*Process]struct{}
	reapers sync.WaitGroup
}

type startRequest struct {
	command *Command
	reply   chan startReply
}

type startReply struct {
	process *Process
	err     error
}

// NewProcessStarter makes the Starter of plain processes.
func NewProcessStarter(log *slog.Logger) (Starter, error) {
	null, err := os.Open(os.DevNull)
	if err != nil {
		return nil, fmt.Errorf("executor manager: standard input of executors: %w", err)
	}
	s := &processStarter{
		log: log, null: null, requests: make(chan startRequest), ended: make(chan struct{}),
		running: map[*Process]struct{}{},
	}
	if s.home, err = cpus.Allowed(); err != nil {
		null.Close()
		return nil, fmt.Errorf("executor manager: %w", err)
	}
	go s.loop()
	return s, nil
}

func (s *processStarter) loop() {
	runtime.LockOSThread() // for ever: the thread ends with this goroutine
	defer close(s.ended)
	for request := range s.requests {
		process, err := s.fork(request.command)
		request.reply <- startReply{process, err}
	}
}

func (s *processStarter) Start(command *Command) (*Process, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, fmt.Errorf("starting %s: the executor manager is ending", command.Path)
	}
	request := startRequest{command, make(chan startReply, 1)}
	executors.mu.Lock()
	s.requests <- request
	reply := <-request.reply
	if reply.err != nil {
		executors.mu.Unlock()
		return nil, fmt.Errorf("starting %s: %w", command.Path, reply.err)
	}
	p := reply.process
	executors.pids[p.PID] = true
	executors.mu.Unlock()
	s.running[p] = struct{}{}
	s.reapers.Go(func() {
		p.reap(s.log)
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.running, p)
		endOrphans(p, s.log)
	})
	return p, nil
}

// fork runs on the starter's thread.
func (s *processStarter) fork(command *Command) (*Process, error) {
	var cpus unix.CPUSet
	for _, cpu := range command.CPUs {
		cpus.Set(cpu)
	}
	if err := unix.SchedSetaffinity(0, &cpus); err != nil {
		return nil, fmt.Errorf("pinning to CPUs %v: %w", command.CPUs, err)
	}
	pidfd := -1
	process, err := os.StartProcess(command.Path, command.Args, &os.ProcAttr{
		Env:   command.Env,
		Files: append([]*os.File{s.null, command.Output, command.Output}, command.Files...),
		Sys: &syscall.SysProcAttr{
			// Ctrl-C at the rank's terminal, and the hang-up of that terminal, are the rank's.
			Setsid:    true,
			Pdeathsig: syscall.SIGKILL,
			PidFD:     &pidfd,
		},
	})
	if restore := unix.SchedSetaffinity(0, &s.home); restore != nil {
		s.log.Debug("the forking thread keeps an executor's affinity", "error", restore)
	}
	if err != nil {
		return nil, err
	}
	if pidfd < 0 {
		_ = process.Kill()
		_, _ = process.Wait()
		return nil, fmt.Errorf("this kernel gives no pidfd; Linux 5.4 or later is needed")
	}
	descriptor, err := pollable.New(pidfd, fmt.Sprintf("pidfd of %d", process.Pid))
	if err != nil {
		_ = process.Kill()
		_, _ = process.Wait()
		return nil, err
	}
	s.limit(process.Pid)
	return &Process{PID: process.Pid, Descriptor: descriptor, process: process, exited: make(chan struct{})}, nil
}

// limit sets what is set from outside; the executor has not been told what to run yet. A process
// that is gone already is found out elsewhere.
func (s *processStarter) limit(pid int) {
	// Functions crash, and their memory is large: no core files.
	if err := unix.Prlimit(pid, unix.RLIMIT_CORE, &unix.Rlimit{}, nil); err != nil {
		s.log.Debug("core files of an executor stay on", "pid", pid, "error", err)
	}
	// When memory is short the kernel takes executors before ranks.
	path := "/proc/" + strconv.Itoa(pid) + "/oom_score_adj"
	if err := os.WriteFile(path, []byte("1000"), 0); err != nil {
		s.log.Debug("an executor is as dear to the kernel as a rank", "pid", pid, "error", err)
	}
}

// executors are the processes that this process has started, by whatever Starter. The lock is held
// while one is forked.
var executors = struct {
	mu   sync.Mutex
	pids map[int]bool
}{pids: map[int]bool{}}

// endOrphans kills what functions have started in sessions of their own, which is our child now that
// its executor has ended (see BecomeHelper).
func endOrphans(ended *Process, log *slog.Logger) {
	executors.mu.Lock()
	defer executors.mu.Unlock()
	delete(executors.pids, ended.PID)
	if !adopting.Load() {
		return // other children are somebody else's
	}
	self := os.Getpid()
	for pid, parent := range parentsOf(os.Getuid()) {
		if parent != self || executors.pids[pid] {
			continue
		}
		_ = unix.Kill(pid, unix.SIGKILL)
		var status unix.WaitStatus
		if _, err := unix.Wait4(pid, &status, 0, nil); err != nil {
			log.Debug("an orphan of an executor could not be reaped", "pid", pid, "error", err)
		}
	}
}

func (s *processStarter) Close() {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return
	}
	s.closed = true
	for p := range s.running {
		p.Kill()
	}
	s.mu.Unlock()
	s.reapers.Wait()
	close(s.requests)
	<-s.ended
	s.null.Close()
}
