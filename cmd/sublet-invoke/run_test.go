package main

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/sublet-hpc/sublet/cmd/sublet-invoke/options"
	"github.com/sublet-hpc/sublet/offload"
	"github.com/sublet-hpc/sublet/resources/api"
)

// Where cores are missing, only options that help are named: executors of several cores share none.
func TestMissingCoresAreExplained(t *testing.T) {
	missing := fmt.Errorf("%w: none is free", offload.ErrNoCapacity)
	for _, c := range []struct {
		is          options.Options
		says, never string
	}{
		{options.Options{Cores: 1}, "--oversubscribe shares them", ""},
		{options.Options{Cores: 1, Wait: options.Duration(time.Minute)}, "--oversubscribe instead of --wait", ""},
		{options.Options{Cores: 1, Oversubscribe: options.Yes}, "is free", "--"},
		{options.Options{Cores: 2}, "; --wait 1m waits for cores", "--oversubscribe"},
		{options.Options{Cores: 2, Wait: options.Duration(time.Minute)}, "is free", "--"},
	} {
		err := explain(missing, &c.is)
		if !errors.Is(err, offload.ErrNoCapacity) || !strings.Contains(err.Error(), c.says) || c.never != "" && strings.Contains(err.Error(), c.never) {
			t.Errorf("%d cores each, waiting for %v, oversubscribed %v: %v", c.is.Cores, c.is.Wait, c.is.Oversubscribe, err)
		}
	}
}

// The options are read where resources/api is not linked, and have its bound all the same.
func TestBoundOfCores(t *testing.T) {
	if options.MaxCores != api.MaxCoresPerExecutor {
		t.Errorf("--cores-per-executor takes up to %d, and a lease up to %d", options.MaxCores, api.MaxCoresPerExecutor)
	}
}
