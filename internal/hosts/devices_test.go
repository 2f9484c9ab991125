package hosts_test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sublet-hpc/sublet/config"
	"github.com/sublet-hpc/sublet/devices"
	"github.com/sublet-hpc/sublet/internal/buildtest"
	"github.com/sublet-hpc/sublet/internal/hosts"
)

// reachable puts an ssh into PATH that runs commands on those hosts: n0 is the test's own.
func reachable(t *testing.T, others ...*hosts.Host) {
	t.Helper()
	var script strings.Builder
	script.WriteString("while [ \"$1\" != -- ]; do shift; done\ncase $2 in\nn0) exec sh -c \"$3\" ;;\n")
	for i, h := range others {
		fmt.Fprintf(&script, "n%d) exec %s -c \"$3\" ;;\n", i+1, strings.Join(h.Command("sh").Args, " "))
	}
	script.WriteString("esac\necho \"$2: no such host\" >&2\nexit 255\n")
	folder := t.TempDir()
	buildtest.Script(t, filepath.Join(folder, "ssh"), script.String())
	t.Setenv("PATH", folder+":"+os.Getenv("PATH"))
}

func run(t *testing.T, arguments ...string) (stdout []byte, stderr string, err error) {
	t.Helper()
	command := exec.Command(sublet, arguments...)
	var said strings.Builder
	command.Stderr = &said
	stdout, err = command.Output()
	return stdout, said.String(), err
}

// devicesOf are the devices of nodes, as soon as so many have an eth0: a link takes a moment to come up.
func devicesOf(t *testing.T, list string, links int) (out []byte) {
	t.Helper()
	hosts.Eventually(t, "links of "+list, func() bool {
		stdout, stderr, err := run(t, "devices", "--via", "ssh", "--hosts", list, "-p", "10005")
		if err != nil {
			t.Fatalf("%v: %s", err, stderr)
		}
		out = stdout
		return strings.Count(string(out), `"eth0"`) == links
	})
	return out
}

// The devices of two hosts, each with its own address, in one file.
func TestDevicesOfHosts(t *testing.T) {
	a, b := hosts.New(t), hosts.New(t)
	reachable(t, a, b)
	out := devicesOf(t, "n[1-2]", 2)
	database, err := config.ParseDevices("devices.json", out)
	check(t, err)
	for node, h := range map[string]*hosts.Host{"n1": a, "n2": b} {
		device, err := database.Find(node, "eth0")
		if err != nil || device.Address != h.Address || device.Port != 10005 || device.Provider != devices.TCP || device.Node != node {
			t.Errorf("%s: %+v, %v", node, device, err)
		}
	}
	if out, stderr, err := run(t, "devices", "--via", "ssh", "--hosts", "n[1-3]"); err == nil || len(out) > 0 || !strings.Contains(stderr, "because n3 did not answer") {
		t.Errorf("with a host that is not there: %s, %s, %v", out, stderr, err)
	}
}

// trial is one line of what check says.
type trial struct {
	Device, Node, From, Transport, Provider, Reason string
	Works                                           bool
}

// From one host to the other and back; and when the network between them swallows everything.
func TestCheckBetweenHosts(t *testing.T) {
	h := hosts.New(t)
	reachable(t, h)
	devicesOf(t, "n1", 1)
	between := func(from, to string) (trials []trial, stderr string, err error) {
		t.Helper()
		out, stderr, err := run(t, "devices", "check", "--via", "ssh", "--output", "json", from, to)
		if decoding := json.Unmarshal(out, &trials); decoding != nil {
			t.Fatalf("%s: %v; %s", out, decoding, stderr)
		}
		return trials, stderr, err
	}
	trials, stderr, err := between("n0", "n1")
	if err != nil || len(trials) != 2 {
		t.Fatalf("%+v, %v: %s", trials, err, stderr)
	}
	for i, transport := range []string{devices.OFIWrite, devices.OFISend} {
		if want := (trial{Device: "eth0", Node: "n1", From: "n0", Transport: transport, Provider: "tcp", Works: true}); trials[i] != want {
			t.Errorf("%+v, want %+v", trials[i], want)
		}
	}
	if trials, stderr, err = between("n1", "n0"); err != nil || len(trials) == 0 || !trials[0].Works {
		t.Errorf("back: %+v, %v: %s", trials, err, stderr)
	}
	if out, err := exec.Command("ip", "route", "add", "unreachable", h.Address+"/32").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	trials, stderr, err = between("n0", "n1")
	if err == nil || !strings.Contains(stderr, "nothing works by eth0") {
		t.Errorf("without a network: %v: %s", err, stderr)
	}
	for _, trial := range trials {
		if trial.Works || !strings.Contains(trial.Reason, "connecting to an executor with provider") {
			t.Errorf("without a network: %+v", trial)
		}
	}
	h.Cut(t) // the other end of the link, too
	if _, stderr, err := run(t, "devices", "check", "--via", "ssh", "n0", "n1"); err == nil || !strings.Contains(stderr, "node n1 has no device that reaches other nodes") {
		t.Errorf("without a link: %v: %s", err, stderr)
	}
}
