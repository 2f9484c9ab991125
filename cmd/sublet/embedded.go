package main

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"strconv"

	"github.com/spf13/pflag"
	"golang.org/x/sys/unix"

	"github.com/sublet-hpc/sublet/executors/manager"
)

func embeddedCommand() *command {
	return &command{
		name: "embedded", summary: "lend this node's spare cores to the ranks of one job",
		details: `
The first rank of a job on a node starts this helper where no resource manager is used. All ranks
of the job there share it, and it ends when the last of them has gone. If another helper has the
socket, it ends at once, successfully.

SUBLET_POOL says how many executors it keeps started for leases, where as many cores are free; none if it is not set.
SUBLET_LOG=debug|info|warn|error says what it logs to standard error; warn if not set.`,
		internal: true,
		setUp: func(flags *pflag.FlagSet) runFunc {
			socket := flags.String("socket", "", "name of the abstract Unix socket to serve `NAME` at")
			return func(args []string, _, stderr io.Writer) error {
				if err := noArguments("embedded", args); err != nil {
					return err
				}
				if *socket == "" || len(*socket) > maxSocketName {
					return usagef("embedded: --socket needs a name of at most %d bytes", maxSocketName)
				}
				return runEmbedded(*socket, stderr)
			}
		},
	}
}

// maxSocketName is what fits behind the zero byte of an abstract address.
const maxSocketName = 106

func runEmbedded(socket string, stderr io.Writer) error {
	if err := manager.BecomeHelper(); err != nil {
		return err
	}
	log, err := newLogger(stderr, "embedded", slog.LevelWarn)
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), unix.SIGTERM, unix.SIGINT)
	defer stop()
	pool, err := poolSize()
	if err != nil {
		return err
	}
	err = manager.RunEmbedded(ctx, socket, manager.Options{Log: log, Pool: pool, Wish: wish()})
	if errors.Is(err, manager.ErrSocketTaken) {
		return nil
	}
	return err
}

// wish is the pipe of the rank that starts the helper; whoever starts it by hand has none.
func wish() io.Reader {
	info, err := os.Stdin.Stat()
	if err != nil || info.Mode()&os.ModeNamedPipe == 0 {
		return nil
	}
	return os.Stdin
}

// poolSize is what SUBLET_POOL says. Without it there is no pool: ranks begin, and ask for their leases, when
// the helper does, and spares would only take cores from them.
func poolSize() (int, error) {
	wish := os.Getenv("SUBLET_POOL")
	if wish == "" {
		return 0, nil
	}
	size, err := strconv.Atoi(wish)
	if err != nil || size < 0 || size > manager.MaxPool {
		return 0, usagef("SUBLET_POOL is %q; it is how many executors to keep started for leases, from 0 to %d", wish, manager.MaxPool)
	}
	return size, nil
}

// newLogger logs from the level on that SUBLET_LOG names.
func newLogger(w io.Writer, name string, level slog.Level) (*slog.Logger, error) {
	if wish := os.Getenv("SUBLET_LOG"); wish != "" {
		if err := level.UnmarshalText([]byte(wish)); err != nil {
			return nil, usagef("SUBLET_LOG is %q; it is debug, info, warn or error", wish)
		}
	}
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: level})).With("sublet", name, "pid", os.Getpid()), nil
}
