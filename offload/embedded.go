package offload

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sublet-hpc/sublet/internal/control"
)

// helperPatience is how long a fresh helper may take until it answers.
const helperPatience = 10 * time.Second

// connectHelper returns a connection to this job's node helper, which it starts if there is none. Until wanted is closed
// that one waits for us; what has been started when we fail ends when it sees that.
// The helper's socket is an abstract one, whose name all ranks of the job on this node derive
// alike: the kernel lets one process bind it, and removes it with that process.
func connectHelper(ctx context.Context) (_ *control.Conn, wanted io.Closer, _ error) {
	name := helperSocket()
	ctx, cancel := context.WithTimeout(ctx, helperPatience)
	defer cancel()
	conn, err := dialHelper(ctx, name)
	if err == nil || !errors.Is(err, unix.ECONNREFUSED) {
		return conn, noHelper, err
	}
	mine := noHelper
	defer func() {
		if wanted == nil {
			mine.Close()
		}
	}()
	// It listens within milliseconds, or another rank's does; there is no descriptor to wait on
	// that would tell of the other's.
	for pause := time.Millisecond; ; pause = min(2*pause, 8*time.Millisecond) {
		if mine.ended == nil {
			if mine, err = startHelper(name); err != nil {
				return nil, nil, err
			}
		}
		conn, err := dialHelper(ctx, name)
		if err == nil {
			return conn, mine, nil
		}
		if !errors.Is(err, unix.ECONNREFUSED) {
			return nil, nil, err
		}
		select {
		case helperErr := <-mine.ended:
			if helperErr != nil {
				return nil, nil, fmt.Errorf("offload: the node helper (sublet embedded) ended at once: %w", helperErr)
			}
			mine.Close()
			mine = noHelper // it found another rank's, which may be ending
		case <-time.After(pause):
		case <-ctx.Done():
			return nil, nil, fmt.Errorf("offload: the node helper (sublet embedded) does not answer: %w", context.Cause(ctx))
		}
	}
}

func dialHelper(ctx context.Context, name string) (*control.Conn, error) {
	var dialer net.Dialer
	stream, err := dialer.DialContext(ctx, "unix", "@"+name)
	if err != nil {
		return nil, err
	}
	// Anybody can bind an abstract name: go on only with a helper of our own user.
	peer, err := peerOf(stream.(*net.UnixConn))
	if err == nil && int(peer.Uid) != os.Getuid() {
		err = fmt.Errorf("offload: the socket of this job's node helper (@%s) belongs to user %d, not to us (%d)", name, peer.Uid, os.Getuid())
	}
	if err != nil {
		stream.Close()
		return nil, err
	}
	return control.New(stream), nil
}

// peerOf asks the kernel who is at the other end.
func peerOf(stream *net.UnixConn) (*unix.Ucred, error) {
	raw, err := stream.SyscallConn()
	if err != nil {
		return nil, err
	}
	var credentials *unix.Ucred
	var inner error
	if err := raw.Control(func(fd uintptr) {
		credentials, inner = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	}); err != nil {
		return nil, err
	}
	return credentials, inner
}

// started is a helper that we have started. Close tells it that we are its client, or do not want it.
type started struct {
	ended <-chan error // how it ended, if it ends before us
	wish  *os.File     // its standard input, which ends with us
}

// noHelper was started.
var noHelper started

// Close may be called for what was not started.
func (s started) Close() error {
	if s.wish == nil {
		return nil
	}
	return s.wish.Close()
}

// startHelper starts the helper.
func startHelper(name string) (started, error) {
	program, err := findPrograms()
	if err != nil {
		return noHelper, err
	}
	its, wish, err := os.Pipe()
	if err != nil {
		return noHelper, fmt.Errorf("offload: starting the node helper: %w", err)
	}
	defer its.Close()
	command := exec.Command(program, "embedded", "--socket", name)
	command.Stdin, command.Stderr = its, os.Stderr
	// Its own session: it outlives this rank as long as others of the node live, and a Ctrl-C at
	// the terminal is not for it.
	command.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := command.Start(); err != nil {
		wish.Close()
		return noHelper, fmt.Errorf("offload: starting the node helper: %w", err)
	}
	ended := make(chan error, 1)
	go func() { ended <- command.Wait() }()
	return started{ended, wish}, nil
}

// jobVariables are what ranks of one job on one node have in common and no other job has.
var jobVariables = []string{"PMIX_NAMESPACE", "PMIX_SERVER_URI4", "PMIX_SERVER_URI3", "PMIX_SERVER_URI21", "PMIX_SERVER_URI2", "PMI_JOBID", "SLURM_JOB_ID", "SLURM_STEP_ID"}

// rankVariables are set in a rank of an MPI program, by the launchers that we know.
var rankVariables = []string{"OMPI_COMM_WORLD_RANK", "PMIX_RANK", "PMI_RANK"}

// helperSocket names the helper of this job on this node: a function of the job's variables and
// of the launcher's process, or of this very process where nobody launched it as a rank.
func helperSocket() string {
	var key strings.Builder
	for _, name := range jobVariables {
		if value := os.Getenv(name); value != "" {
			fmt.Fprintf(&key, "%s=%s\n", name, value)
		}
	}
	isRank := false
	for _, name := range rankVariables {
		isRank = isRank || os.Getenv(name) != ""
	}
	switch {
	case !isRank:
		fmt.Fprintf(&key, "process %d %s\n", os.Getpid(), startTime("self"))
	case os.Getenv("PMIX_NAMESPACE") == "":
		launcher := os.Getppid()
		fmt.Fprintf(&key, "launcher %d %s\n", launcher, startTime(strconv.Itoa(launcher)))
	}
	sum := sha256.Sum256([]byte(key.String()))
	return fmt.Sprintf("sublet-%d-%s", os.Getuid(), hex.EncodeToString(sum[:8]))
}

// startTime tells processes apart that had the same number at different times.
func startTime(process string) string {
	stat, err := os.ReadFile("/proc/" + process + "/stat")
	if err != nil {
		return ""
	}
	_, afterName, _ := strings.Cut(string(stat), ") ")
	fields := strings.Fields(afterName)
	if len(fields) < 20 {
		return ""
	}
	return fields[19]
}

// localRanks is how many ranks of the job run on this node, 0 if nobody says.
func localRanks() int {
	for _, name := range []string{"OMPI_COMM_WORLD_LOCAL_SIZE", "MPI_LOCALNRANKS"} {
		if n, err := strconv.Atoi(os.Getenv(name)); err == nil && n > 0 {
			return n
		}
	}
	return 0
}

func hello() control.Hello {
	return control.Hello{PID: os.Getpid(), Launcher: os.Getppid(), LocalRanks: localRanks()}
}
