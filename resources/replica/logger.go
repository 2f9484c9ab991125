package replica

import (
	"log/slog"

	"github.com/hashicorp/go-hclog"
)

// logger passes on what raft says. Most of it is for people who look into raft: a single voter that
// finds no leader at its start is no reason for a warning.
type logger struct {
	hclog.Logger
	log *slog.Logger
}

func newLogger(log *slog.Logger) *logger { return &logger{hclog.NewNullLogger(), log} }

func (l *logger) Debug(text string, arguments ...any) { l.log.Debug("raft: "+text, arguments...) }
func (l *logger) Info(text string, arguments ...any)  { l.log.Debug("raft: "+text, arguments...) }
func (l *logger) Warn(text string, arguments ...any)  { l.log.Debug("raft: "+text, arguments...) }
func (l *logger) Error(text string, arguments ...any) { l.log.Error("raft: "+text, arguments...) }

func (l *logger) With(arguments ...any) hclog.Logger { return newLogger(l.log.With(arguments...)) }
func (l *logger) Named(string) hclog.Logger          { return l }
func (l *logger) ResetNamed(string) hclog.Logger     { return l }
