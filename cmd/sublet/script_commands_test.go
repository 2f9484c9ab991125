package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// scriptCommands are what the scripts can do besides testscript's own.
var scriptCommands = map[string]func(*testscript.TestScript, bool, []string){
	"status": status, "json": jsonField, "eventually": eventually, "nothing-left": nothingLeft,
	"free-address": freeAddress, "scrape": scrape,
}

// status runs a program that is to end with an exit status: status 2 sublet frobnicate
func status(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: status CODE PROGRAM [ARGS]")
	}
	err := ts.Exec(args[1], args[2:]...)
	code := 0
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		code = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if strconv.Itoa(code) != args[0] {
		ts.Fatalf("exit status %d, not %s", code, args[0])
	}
}

// jsonField reads standard output, which must be one JSON value, and matches a field of it:
//
//	json executors.0.transport ^ring$    a field of the first of an array's elements
//	json executors.length ^2$            an array's length
//	json . ^\[\]$                        the whole, compact
//	! json p99_ns                        no such field
func jsonField(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 2 && !(neg && len(args) == 1) {
		ts.Fatalf("usage: json FIELD PATTERN, or ! json FIELD")
	}
	decoder := json.NewDecoder(strings.NewReader(ts.ReadFile("stdout")))
	decoder.UseNumber()
	var value any
	ts.Check(decoder.Decode(&value))
	if err := decoder.Decode(new(any)); !errors.Is(err, io.EOF) {
		ts.Fatalf("more than one JSON value")
	}
	value, found := field(value, args[0])
	if neg {
		if found {
			ts.Fatalf("there is a field %s: %v", args[0], value)
		}
		return
	}
	text, isText := value.(string)
	if !isText {
		encoded, err := json.Marshal(value)
		ts.Check(err)
		text = string(encoded)
	}
	pattern, err := regexp.Compile(args[1])
	ts.Check(err)
	if !found || !pattern.MatchString(text) {
		ts.Fatalf("field %s is %s, which does not match %s", args[0], text, pattern)
	}
}

// field is what a path of names, indices and "length" leads to.
func field(value any, path string) (any, bool) {
	for _, step := range strings.FieldsFunc(path, func(r rune) bool { return r == '.' }) {
		switch parent := value.(type) {
		case map[string]any:
			var ok bool
			if value, ok = parent[step]; !ok {
				return nil, false
			}
		case []any:
			if step == "length" {
				value = json.Number(strconv.Itoa(len(parent)))
				continue
			}
			index, err := strconv.Atoi(step)
			if err != nil || index < 0 || index >= len(parent) {
				return nil, false
			}
			value = parent[index]
		default:
			return nil, false
		}
	}
	return value, true
}

// patience is how long what has to come may take on a busy machine.
const patience = 30 * time.Second

// until looks again and again for what has no event that could be waited for.
func until(ts *testscript.TestScript, condition func() bool, what string) {
	for deadline := time.Now().Add(patience); !condition(); {
		if time.Now().After(deadline) {
			ts.Fatalf("%v later still not: %s", patience, what)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// eventually runs a program until it ends well and its standard output matches:
// eventually '^n1$' sublet node list --output quiet
func eventually(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: eventually PATTERN PROGRAM [ARGS]")
	}
	pattern, err := regexp.Compile("(?m)" + args[0])
	ts.Check(err)
	until(ts, func() bool {
		return ts.Exec(args[1], args[2:]...) == nil && pattern.MatchString(ts.ReadFile("stdout"))
	}, strings.Join(args[1:], " ")+" prints "+args[0])
}

// freeAddress sets a variable to an address of this host at which nobody listens: free-address NAME
func freeAddress(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: free-address NAME")
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	ts.Check(err)
	ts.Setenv(args[0], listener.Addr().String())
	ts.Check(listener.Close())
}

// scrape collects metrics until a line of them matches: scrape $ADDRESS '^sublet_cluster_leases 0$'
func scrape(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: scrape ADDRESS PATTERN")
	}
	pattern, err := regexp.Compile("(?m)" + args[1])
	ts.Check(err)
	web := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: patience}
	var body []byte
	defer func() { ts.Logf("[metrics]\n%s", metricsOf(body)) }()
	until(ts, func() bool {
		response, err := web.Get("http://" + args[0] + "/metrics")
		if err != nil {
			return false // it is just starting
		}
		defer response.Body.Close()
		body, err = io.ReadAll(response.Body)
		return err == nil && response.StatusCode == http.StatusOK && pattern.Match(body)
	}, "metrics with "+args[1])
}

// metricsOf are Sublet's own lines.
func metricsOf(body []byte) string {
	var lines []string
	for line := range strings.Lines(string(body)) {
		if strings.HasPrefix(line, "sublet_") {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "")
}

// nothingLeft waits until no process lives that this script has started, or that was started by one.
// They are known by their environment. Those that run in its background do not count.
func nothingLeft(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) > 0 {
		ts.Fatalf("usage: nothing-left")
	}
	background := map[string]bool{}
	for _, command := range ts.BackgroundCmds() {
		background[strconv.Itoa(command.Process.Pid)] = true
	}
	mark := []byte("WORK=" + ts.Getenv("WORK") + "\x00")
	until(ts, func() bool {
		environments, err := filepath.Glob("/proc/[0-9]*/environ")
		ts.Check(err)
		for _, path := range environments {
			// Of a process that has just ended nothing can be read.
			environment, err := os.ReadFile(path)
			if err == nil && bytes.HasPrefix(environment, mark) && !background[filepath.Base(filepath.Dir(path))] {
				return false
			}
		}
		return true
	}, "nothing is left of what the script has started")
}
