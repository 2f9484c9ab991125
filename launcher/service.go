package launcher

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sublet-hpc/sublet/slurm"
)

// Service is a resource manager that was started for a launch.
type Service struct {
	command        *exec.Cmd
	lifeline       io.Closer
	url, directory string
	ended          chan struct{}
	err            error
}

// What sublet resource-manager prints when it serves.
const (
	saysURL       = "resource manager at "
	saysDirectory = "run directory "
)

// StartService starts a resource manager, as `sublet resource-manager` does; an empty directory is its own to choose. What it
// logs goes to stderr. It ends with this process, also if that is killed.
func StartService(ctx context.Context, program, listen, directory string, stderr io.Writer) (*Service, error) {
	args := []string{"resource-manager", "--lifeline", "--listen", listen}
	if directory != "" {
		args = append(args, "--dir", directory)
	}
	s := &Service{ended: make(chan struct{})}
	s.command = exec.Command(program, args...) //nolint:noctx // it is ended by its lifeline, see End
	s.command.Stderr = stderr
	s.command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // Ctrl-C is for us: it is to end last
	lifeline, err := s.command.StdinPipe()
	if err != nil {
		return nil, err
	}
	s.lifeline = lifeline
	out, err := s.command.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := s.command.Start(); err != nil {
		return nil, fmt.Errorf("launch: the resource manager: %w", err)
	}
	ready := make(chan struct{})
	go func() {
		s.listenTo(out, ready)
		s.err = s.command.Wait()
		close(s.ended)
	}()
	select {
	case <-ready:
		return s, nil
	case <-s.ended:
		return nil, fmt.Errorf("launch: the resource manager did not start: %w", endedEarly(s.err))
	case <-ctx.Done():
		return nil, errors.Join(ctx.Err(), s.End(ctx))
	}
}

func endedEarly(err error) error {
	if err == nil {
		return errors.New("it ended")
	}
	return err
}

// listenTo reads what it prints until it ends.
func (s *Service) listenTo(out io.Reader, ready chan<- struct{}) {
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if url, is := strings.CutPrefix(lines.Text(), saysURL); is {
			s.url = url
		}
		if directory, is := strings.CutPrefix(lines.Text(), saysDirectory); is {
			s.directory = directory
			close(ready)
			break
		}
	}
	_, _ = io.Copy(io.Discard, out)
}

// URL is where it listens.
func (s *Service) URL() string { return s.url }

// Directory is its run directory.
func (s *Service) Directory() string { return s.directory }

// End ends it, and kills it when ctx ends.
func (s *Service) End(ctx context.Context) error {
	s.lifeline.Close()
	patience := time.NewTimer(serviceFarewell)
	defer patience.Stop()
	select {
	case <-s.ended:
		if s.err != nil {
			return fmt.Errorf("launch: the resource manager: %w", s.err)
		}
		return nil
	case <-patience.C:
	case <-ctx.Done():
	}
	err := s.command.Process.Signal(unix.SIGKILL)
	if errors.Is(err, os.ErrProcessDone) {
		err = nil
	}
	<-s.ended
	return errors.Join(errors.New("launch: the resource manager did not end when told to, and was killed; its ledger is whole"), err)
}

// serviceFarewell is how long a resource manager may take to write what it has and end.
const serviceFarewell = 10 * time.Second

// Address is this host's, host:port, by which the other nodes of an allocation are reached, with port 0. It asks Slurm only where
// nodes' names do not tell.
func Address(ctx context.Context, allocation slurm.Allocation, client *slurm.Client) (string, error) {
	others := append([]string(nil), allocation.Nodes...)
	for i := len(others) - 1; i >= 0; i-- { // the last first: this is mostly the first
		if host := towards(ctx, others[i]); host != "" {
			return net.JoinHostPort(host, "0"), nil
		}
	}
	nodes, err := client.Nodes(ctx)
	if err != nil {
		return "", fmt.Errorf("launch: at which address of this host to listen can not be told, for names of nodes have no address here, and Slurm does not say theirs: %w; name it with --listen ADDRESS:0", err)
	}
	for _, node := range nodes {
		for _, other := range others {
			if node.Name != other || node.Address == "" {
				continue
			}
			if host := towards(ctx, node.Address); host != "" {
				return net.JoinHostPort(host, "0"), nil
			}
		}
	}
	return "", errors.New("launch: at which address of this host to listen can not be told, for neither names nor Slurm's addresses of the job's nodes lead over a network; name it with --listen ADDRESS:0")
}

// towards is this host's address on the way to another, or to itself; empty if that is not over a network. Nothing is sent.
func towards(ctx context.Context, host string) string {
	var dialer net.Dialer
	probe, err := dialer.DialContext(ctx, "udp", net.JoinHostPort(host, "9"))
	if err != nil {
		return ""
	}
	defer probe.Close()
	local := probe.LocalAddr().(*net.UDPAddr)
	if local.IP.IsLoopback() {
		return ""
	}
	return (&net.IPAddr{IP: local.IP, Zone: local.Zone}).String()
}
