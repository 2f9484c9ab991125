package slurm

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"
)

// Ends asks squeue when one job ends, or has ended, as it looks now; zero: it has no end, or has not started. Unlike Jobs it
// costs slurmctld next to nothing, however long the queue is.
func (c *Client) Ends(ctx context.Context, id JobID) (time.Time, error) {
	var ends time.Time
	read := func(out []byte) (err error) { ends, err = parseEnd(string(out), id); return err }
	err := c.call(ctx, "squeue", request{
		args:        []string{"--noheader", "--all", "--states=all", "--jobs=" + id.String(), "--format=%A %e"},
		environment: append(scrub(os.Environ()), "TZ=UTC0", "SLURM_TIME_FORMAT=standard"),
		read:        read,
	})
	return ends, err
}

// parseEnd finds a job among lines of numbers of jobs and times: the number of an array is that of one of its tasks too.
func parseEnd(out string, id JobID) (time.Time, error) {
	for line := range strings.Lines(out) {
		number, text, _ := strings.Cut(strings.TrimSpace(line), " ")
		if number != id.String() {
			continue
		}
		switch text = strings.TrimSpace(text); text {
		case "N/A", "NONE", "None", "Unknown":
			return time.Time{}, nil
		}
		ends, err := time.Parse("2006-01-02T15:04:05", text)
		if err != nil {
			return time.Time{}, fmt.Errorf("%s is no time", shown(text))
		}
		return ends, nil
	}
	return time.Time{}, fmt.Errorf("there is no job %s in it", id)
}
