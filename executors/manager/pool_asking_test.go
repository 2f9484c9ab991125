package manager

import (
	"testing"
	"time"

	"github.com/sublet-hpc/sublet/internal/control"
)

// Who has shown no ticket learns nothing of the pool, and can not have the manager wait for it.
func TestStrangersDoNotAskForThePool(t *testing.T) {
	m := newManager(t, testCores(86, 2))
	c := stranger(t, m)
	c.greet(nil)
	_, err := c.ask(control.TypePool, control.Manager, control.Pool{Wait: time.Hour}, nil)
	wantCode(t, err, control.CodeInvalid, "ticket")
}

// Each question that waits costs the manager something.
func TestQuestionsForThePoolAreBounded(t *testing.T) {
	m := newManager(t, testCores(87, 2))
	m.pool.size = 1 // nobody fills it
	c := welcome(t, m)
	for range maxAsked {
		c.send(control.TypePool, control.Manager, control.Pool{Wait: time.Hour})
	}
	_, err := c.ask(control.TypePool, control.Manager, control.Pool{Wait: time.Hour}, nil)
	wantCode(t, err, control.CodeLimit, "wait for an answer")
}
