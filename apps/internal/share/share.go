package share

import (
	"errors"
	"strconv"

	"github.com/sublet-hpc/sublet/offload"
)

// Share is how much of a rank's work its executors do. It is a pflag.Value.
type Share struct {
	Auto    bool
	Percent float64 // if not Auto: 0 to 100
}

const auto = "auto"

// String is what Set takes.
func (s *Share) String() string {
	if s.Auto {
		return auto
	}
	return strconv.FormatFloat(s.Percent, 'g', 6, 64)
}

// Set reads a share.
func (s *Share) Set(text string) error {
	if text == auto {
		*s = Share{Auto: true}
		return nil
	}
	percent, err := strconv.ParseFloat(text, 64)
	if err != nil || !(percent >= 0 && percent <= 100) {
		return errors.New("it is auto, or 0 to 100 percent")
	}
	*s = Share{Percent: percent}
	return nil
}

// Type is for the help.
func (s *Share) Type() string { return "share" }

// None tells whether all is done by the ranks.
func (s *Share) None() bool { return !s.Auto && s.Percent == 0 }

// Most is the largest part that executors may get, 0 to 1.
func (s *Share) Most() float64 {
	if s.Auto {
		return 1
	}
	return s.Percent / 100
}

// Plan is the share as [offload.Plan] has it.
func (s *Share) Plan() float64 {
	if s.Auto {
		return offload.Auto
	}
	return s.Percent / 100
}

// Connecting is how [offload.Connect] is called: what may lease nothing connects when it does.
func (s *Share) Connecting() []offload.Option {
	if s.Auto {
		return []offload.Option{offload.AtFirstLease()}
	}
	return nil
}
