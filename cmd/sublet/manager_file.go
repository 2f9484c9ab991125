package main

import (
	"fmt"
	"io"
	"log/slog"

	"github.com/spf13/pflag"

	"github.com/sublet-hpc/sublet/cmd/internal/setup"
	"github.com/sublet-hpc/sublet/config"
	"github.com/sublet-hpc/sublet/executors/manager"
	"github.com/sublet-hpc/sublet/resources/api"
)

// managerFile are the flags by which rFaaS's executor manager is set up.
type managerFile struct {
	path, database string
	alone          bool // without a resource manager
}

func (f *managerFile) declare(flags *pflag.FlagSet) {
	flags.StringVarP(&f.path, "config", "c", "", "the `FILE` that sets it up: rFaaS's executor_manager.json")
	flags.StringVar(&f.database, "device-database", "", "the `FILE` with the device that -c names: devices.json")
	flags.BoolVar(&f.alone, "skip-resource-manager", false, "grant leases itself, to clients with an executors database")
}

// apply fills in what the flags have left open, and logs what of the file is enforced and what has no
// meaning here.
func (f *managerFile) apply(options *manager.DaemonOptions, stderr io.Writer) error {
	switch {
	case f.path == "" && f.database != "":
		return usagef("executor-manager: --device-database is for the device that a file names: -c executor_manager.json")
	case f.path == "" && f.alone && options.Listen == "":
		return usagef("executor-manager: --skip-resource-manager needs the address that clients have in their executors database: -c executor_manager.json --device-database devices.json, or --listen ADDRESS")
	case f.alone && options.Directory != "":
		return usagef("executor-manager: --dir is where a resource manager is found, and --skip-resource-manager does without; leave one out")
	case f.path == "":
		return nil
	}
	settings, err := config.Read(f.path, config.ParseExecutorManager)
	if err != nil {
		return err
	}
	log, err := newLogger(stderr, "executor-manager", slog.LevelInfo)
	if err != nil {
		return err
	}
	if options.Listen == "" || f.database != "" {
		device, err := setup.Device(f.database, settings.Device)
		if err != nil {
			return fmt.Errorf("executor-manager: %w", err)
		}
		said, err := setup.UseDevice(device)
		if err != nil {
			return err
		}
		log.Info("device", "name", device.Name, "address", device.Address, "provider", device.Provider, "environment_says", said)
		if options.Listen == "" {
			if options.Listen, err = setup.Address(device, settings.DevicePort); err != nil {
				return fmt.Errorf("executor-manager: %w", err)
			}
		}
	}
	if options.Name == "" {
		options.Name = settings.NodeName
	}
	if err := f.pin(options, settings.PinThreads); err != nil {
		return err
	}
	if !f.alone && settings.ResourceManagerAddress != "" {
		options.Check = func(access api.AccessFile) error {
			return setup.CheckResourceManager(f.path, settings.ResourceManagerAddress, settings.ResourceManagerPort, access)
		}
	}
	log.Info("set up by a file", "file", f.path, "pinned", settings.PinThreads.Pin, "cores", settings.PinThreads.Cores,
		"enforced", "one executor on each core lent; the memory that its lease asks for, else a share of the node's",
		"without_meaning", "repetitions, warmup_iters, rdma-sleep, resource_manager_secret")
	return nil
}

// pin has executors pinned as the file says.
func (f *managerFile) pin(options *manager.DaemonOptions, pinning config.Pinning) error {
	options.Unpinned = !pinning.Pin
	if len(pinning.Cores) == 0 {
		return nil
	}
	if options.Cores != nil {
		return usagef("executor-manager: --cores says which cores to lend, and so does pin_threads in %s; leave one out", f.path)
	}
	options.Cores = theseCores(f.path+": executor.pin_threads", pinning.Cores)
	return nil
}
