package main

import (
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"strconv"

	"github.com/spf13/pflag"

	"github.com/sublet-hpc/sublet/cmd/internal/setup"
	"github.com/sublet-hpc/sublet/config"
	"github.com/sublet-hpc/sublet/resources/server"
)

// resourceFile are the flags by which rFaaS's resource manager is set up.
type resourceFile struct {
	path, database string
	input          string
}

func (f *resourceFile) declare(flags *pflag.FlagSet, options *server.Options) {
	flags.StringVarP(&f.path, "config", "c", "", "the `FILE` that sets it up: rFaaS's resource_manager.json")
	flags.StringVar(&f.database, "device-database", "", "the `FILE` with the device that -c names: devices.json")
	flags.StringVarP(&f.input, "input-database", "i", "", "the `FILE` that names nodes to add: an executors_database.json")
	flags.StringVarP(&options.Output, "output-database", "o", "", "the `FILE` to keep as the executors database of what is registered")
}

// apply fills in what the flags have left open.
func (f *resourceFile) apply(options *server.Options, stderr io.Writer) error {
	if f.path == "" && f.database != "" {
		return usagef("resource-manager: --device-database is for the device that a file names: -c resource_manager.json")
	}
	if f.input != "" {
		if sameFile(f.input, options.Output) {
			return usagef("resource-manager: -i and -o name one file, %s; what is read at the start would be lost", f.input)
		}
		var err error
		if options.Nodes, err = config.Read(f.input, config.ParseExecutors); err != nil {
			return err
		}
	}
	if f.path == "" {
		return nil
	}
	settings, err := config.Read(f.path, config.ParseResourceManager)
	if err != nil {
		return err
	}
	log, err := newLogger(stderr, "resource-manager", slog.LevelInfo)
	if err != nil {
		return err
	}
	if options.Listen == "" {
		device, err := setup.Device(f.database, settings.Device)
		if err != nil {
			return fmt.Errorf("resource-manager: %w; or --listen HOST:PORT", err)
		}
		if options.Listen, err = setup.Address(device, settings.DevicePort); err != nil {
			return fmt.Errorf("resource-manager: %w", err)
		}
	}
	options.Surface = net.JoinHostPort(settings.HTTPAddress, strconv.Itoa(settings.HTTPPort))
	log.Info("set up by a file", "file", f.path, "without_meaning", "rdma-threads, rdma-secret, rdma-sleep")
	return nil
}

func sameFile(a, b string) bool {
	one, err := os.Stat(a)
	if err != nil || b == "" {
		return false
	}
	other, err := os.Stat(b)
	return err == nil && os.SameFile(one, other)
}
