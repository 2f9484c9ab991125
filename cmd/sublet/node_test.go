package main

import (
	"testing"
	"time"

	"github.com/sublet-hpc/sublet/resources/api"
)

func TestAllocationText(t *testing.T) {
	ends := time.Date(2026, 11, 22, 14, 30, 0, 0, time.Local)
	for want, outlook := range map[string]api.Outlook{
		"-":                        {},
		"ends 2026-11-22 14:30:00": {Ends: ends},
		"ends 2026-11-22 14:30:00, no new leases from 14:29:00 on": {Ends: ends, LendsUntil: ends.Add(-time.Minute)},
	} {
		if got := allocationText(outlook); got != want {
			t.Errorf("%+v: %q, not %q", outlook, got, want)
		}
	}
}
