package manager

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"testing"

	"go.uber.org/goleak"
)

// This binary, executed again, is also the other processes of these tests.
const (
	role         = "MANAGER_TEST_ROLE"
	roleExecutor = "executor" // a stand-in that does what its library's name says
	roleHelper   = "helper"   // an embedded helper at the socket of helperSocket
	roleClient   = "client"   // a client of that helper with a lease, which says so and waits
	roleWait     = "wait"     // waits for the end of its standard input

	helperSocket = "MANAGER_TEST_SOCKET"

	exitTaken = 3 // a helper was not elected
)

func TestMain(m *testing.M) {
	switch os.Getenv(role) {
	case roleExecutor:
		os.Exit(standIn())
	case roleHelper:
		os.Exit(beHelper())
	case roleClient:
		os.Exit(beClient())
	case roleWait:
		_, _ = os.Stdin.Read(make([]byte, 1))
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

func beHelper() int {
	self, err := os.Executable()
	if err == nil {
		err = BecomeHelper()
	}
	if err == nil {
		log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError}))
		err = RunEmbedded(context.Background(), os.Getenv(helperSocket), Options{Executor: self, Log: log, cores: testCores(os.Getpid(), 2)})
	}
	switch {
	case errors.Is(err, ErrSocketTaken):
		return exitTaken
	case err != nil:
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}
