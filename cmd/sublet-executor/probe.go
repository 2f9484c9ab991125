package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"time"

	"github.com/spf13/pflag"

	"github.com/sublet-hpc/sublet/devices"
	"github.com/sublet-hpc/sublet/executors/executor"
	"github.com/sublet-hpc/sublet/executors/probe"
	"github.com/sublet-hpc/sublet/internal/control"
	"github.com/sublet-hpc/sublet/internal/statspage"
)

// probeOptions are the flags by which sublet devices has libfabric asked and paths tried.
type probeOptions struct {
	mode string
	on   int
	way  devices.Way
}

// probeLimit is how long a trial may take, whatever happens.
const probeLimit = 30 * time.Second

func declareProbe(flags *pflag.FlagSet) *probeOptions {
	o := &probeOptions{}
	flags.StringVar(&o.mode, "probe", "", "list, version, answer or ask, for sublet devices and sublet doctor: no lease, but libfabric's offers, versions, or one end of a trial")
	flags.IntVar(&o.on, "on", -1, "with --probe: the descriptor of a socket to the other end, instead of standard input and output")
	flags.StringVar(&o.way.Transport, "transport", "", "with --probe ask: the way to try")
	flags.StringVar(&o.way.Provider, "provider", "", "libfabric's provider")
	flags.StringVar(&o.way.Address, "address", "", "where the other end listens")
	return o
}

func (o *probeOptions) run(stdout io.Writer, log *slog.Logger) error {
	switch o.mode {
	case "list":
		return probe.List(stdout)
	case "version":
		return probe.Version(stdout)
	}
	conn, err := o.connection()
	if err != nil {
		return err
	}
	time.AfterFunc(probeLimit, func() { os.Exit(1) }) // also out of a provider's own code
	switch o.mode {
	case "answer":
		page, file, err := statspage.New()
		if err != nil {
			return err
		}
		defer page.Close()
		return executor.Answer(conn, file, log)
	case "ask":
		return probe.Ask(context.Background(), conn, o.way)
	}
	return fmt.Errorf("--probe %s: there are list, version, answer and ask", o.mode)
}

func (o *probeOptions) connection() (*control.Conn, error) {
	if o.on < 0 {
		return control.NewPipes(os.Stdin, os.Stdout), nil
	}
	return control.FromFile(os.NewFile(uintptr(o.on), "the other end"))
}
