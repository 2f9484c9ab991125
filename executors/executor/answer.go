package executor

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"time"

	"github.com/sublet-hpc/sublet/internal/control"
	"github.com/sublet-hpc/sublet/internal/fabric"
)

// answerHotTimeout is after how long an executor that is only tried falls asleep.
const answerHotTimeout = 100 * time.Millisecond

// Answer is the life of an executor that has no lease and no library: it serves the one client that
// opens it with the function that every executor has, which copies its input. It is how a path is
// tried before there is a lease. It returns nil at the connection's end; at the client's, if that comes
// first, the process exits.
func Answer(conn *control.Conn, page *os.File, log *slog.Logger) error {
	core, err := fabric.NewExecutor(page)
	if err != nil {
		return err
	}
	core.SetHotTimeout(answerHotTimeout)
	e := &executor{conn: conn, fabric: core, log: log}
	for {
		frame, err := conn.Receive()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("executor: the connection to its client: %w", err)
		}
		e.answer(frame)
		frame.Close()
	}
}
