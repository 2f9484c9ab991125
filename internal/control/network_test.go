package control_test

import (
	"errors"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sublet-hpc/sublet/internal/control"
)

// Two ends that have nothing to say stay connected; beats are nobody's business.
func TestBeatsKeepAConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x, y := net.Pipe()
		a, b := control.NewRemote(x), control.NewRemote(y)
		received := make(chan error, 2)
		var frame *control.Frame
		go func() {
			var err error
			frame, err = a.Receive()
			received <- err
		}()
		go func() {
			_, err := b.Receive()
			received <- err
		}()
		time.Sleep(time.Hour)
		select {
		case err := <-received:
			t.Fatalf("an end received something: %v", err)
		default:
		}
		check(t, b.Send("hello", 7, control.Manager, nil))
		check(t, <-received)
		if frame.Type != "hello" || frame.Call != 7 {
			t.Errorf("received %+v", frame)
		}
		check(t, a.Close())
		if err := <-received; err == nil {
			t.Error("a frame came after the end")
		}
		check(t, b.Close())
	})
}

// One that has vanished is noticed.
func TestSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x, y := net.Pipe()
		defer y.Close()
		a := control.NewRemote(x)
		defer a.Close()
		go func() { // takes what comes and says nothing
			buffer := make([]byte, 100)
			for {
				if _, err := y.Read(buffer); err != nil {
					return
				}
			}
		}()
		began := time.Now()
		_, err := a.Receive()
		var silence *control.Silence
		if !errors.As(err, &silence) || time.Since(began) != control.SilenceLimit {
			t.Errorf("after %v: %v", time.Since(began), err)
		}
	})
}

// One that does not read holds up neither the end of the connection nor its own discovery.
func TestPeerThatDoesNotRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x, y := net.Pipe()
		defer y.Close()
		a := control.NewRemote(x)
		if _, err := a.Receive(); !errors.As(err, new(*control.Silence)) {
			t.Errorf("received %v", err)
		}
		check(t, a.Close())
	})
}
