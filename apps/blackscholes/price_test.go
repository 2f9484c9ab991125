package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/sublet-hpc/sublet/apps/blackscholes/portfolio"
	"github.com/sublet-hpc/sublet/apps/internal/mpitest"
)

// Whoever prices the options, from a file or generated, the file of prices is the same to the last bit.
func TestPricesDoNotDependOnWhoPrices(t *testing.T) {
	const options = 50_003
	input := generate(t, options)
	for _, kernel := range [][]string{
		{"--kernel", "vector"},
		{"--kernel", "vector", "--precision", "double"},
		{"--kernel", "parsec"},
	} {
		t.Run(strings.Join(kernel, " "), func(t *testing.T) {
			want := ""
			for _, run := range []struct {
				ranks int
				args  []string
			}{
				{1, []string{"--input", input, "--offload", "0"}},
				{3, []string{"--input", input, "--offload", "0"}},
				{1, []string{"--input", input, "--offload", "50"}},
				{3, []string{"--input", input, "--offload", "70", "--executors", "2"}},
				{1, []string{"--input", input, "--repeat", "5"}},
				{1, []string{"--size", strconv.Itoa(options), "--offload", "100"}},
				{3, []string{"--size", strconv.Itoa(options), "--offload", "30"}},
			} {
				output := filepath.Join(t.TempDir(), "prices.txt")
				args := append(append(run.args, kernel...), "--output", output, "--check")
				r := price(t, run.ranks, nil, args...)
				if r.Options != options || r.Mismatches == nil || *r.Mismatches != 0 || !(*r.LargestDifference > 0) || r.Ranks != run.ranks || len(r.Seats) != run.ranks {
					t.Errorf("%d ranks, %v: %+v", run.ranks, run.args, r)
				}
				if strings.Contains(strings.Join(run.args, " "), "--offload 0") != (r.Executors == 0) && run.args[2] == "--offload" {
					t.Errorf("%d ranks, %v: %d executors", run.ranks, run.args, r.Executors)
				}
				got := read(t, output)
				if want == "" {
					want = got
				}
				if lines := strings.Count(got, "\n"); lines != options+1 || got != want {
					t.Errorf("%d ranks, %v: the file, of %d lines, is another than by one rank alone", run.ranks, run.args, lines)
				}
			}
		})
	}
}

// The Go kernel's prices are the others', but for the last digits.
func TestGoKernel(t *testing.T) {
	for _, precision := range []string{"single", "double"} {
		r := price(t, 2, nil, "--size", "20000", "--kernel", "go", "--check", "--precision", precision)
		if *r.Mismatches != 0 || r.Executors != 0 || r.Instructions != "" {
			t.Errorf("%s: %+v", precision, r)
		}
	}
}

// A program that reads, computes and writes as PARSEC's does, in C, has the same output byte by byte.
func TestParsecByteForByte(t *testing.T) {
	reference := compileC(t, "testdata/parsec.c")
	for name, input := range map[string]string{
		"generated": generate(t, 20_001),
		"by hand": write(t, "6\n42.00 40.00 0.1000 0.00 0.20 0.50 C 0.00 4.76\n42.00 40.00 0.1000 0.00 0.20 0.50 P 0.00 0.81\n"+
			"100.00 100.00 0.0500 0.00 0.10 0.10 P 0.00 1.02\n60 65 .08 0 .30 .25 C 0 2.13\n1e2\t1E2 5e-2 0 1.5 1 C 0 0\n7 300 0.02 0 0.9 0.7 P 0 290\n"),
	} {
		want := filepath.Join(t.TempDir(), "want.txt")
		command(t, reference, input, want)
		for _, ranks := range []int{1, 3} {
			for _, offload := range []string{"0", "50"} {
				output := filepath.Join(t.TempDir(), "prices.txt")
				runProgram(t, ranks, nil, "--input", input, "--output", output, "--kernel", "parsec", "--offload", offload)
				if read(t, output) != read(t, want) {
					t.Errorf("%s, %d ranks, offload %s: another file", name, ranks, offload)
				}
			}
		}
	}
}

func TestBinaryForm(t *testing.T) {
	text, binary := generate(t, 10_007), generate(t, 10_007, "--binary")
	dir := t.TempDir()
	want := filepath.Join(dir, "want.txt")
	runProgram(t, 1, nil, "--input", text, "--output", want, "--offload", "0")
	for _, ranks := range []int{1, 3} {
		got := filepath.Join(dir, fmt.Sprintf("got.%d.txt", ranks))
		runProgram(t, ranks, nil, "--input", binary, "--output", got, "--offload", "50", "--check")
		if read(t, got) != read(t, want) {
			t.Errorf("%d ranks: options in the binary form have other prices", ranks)
		}
		prices := filepath.Join(dir, fmt.Sprintf("prices.%d", ranks))
		runProgram(t, ranks, nil, "--input", text, "--output", prices, "--binary", "--offload", "50")
		values, err := portfolio.ReadBinaryPrices[float32](prices)
		if err != nil {
			t.Fatal(err)
		}
		if got := string(portfolio.AppendPrices(portfolio.AppendCount(nil, int64(len(values))), values)); got != read(t, want) {
			t.Errorf("%d ranks: prices in the binary form are others", ranks)
		}
	}
}

// What comes through a pipe is read by the first rank, and priced as it comes.
func TestPipe(t *testing.T) {
	input := generate(t, 30_000)
	dir := t.TempDir()
	want := filepath.Join(dir, "want.txt")
	runProgram(t, 1, nil, "--input", input, "--output", want, "--offload", "0")
	for _, ranks := range []int{1, 3} {
		output := filepath.Join(dir, "prices.txt")
		result := mpitest.Run(t, ranks, []string{"OPTIONS=" + input}, "/bin/sh", "-c", `cat "$OPTIONS" | "$0" "$@"`, path("blackscholes"),
			"--input", "/dev/stdin", "--output", output, "--check", "--offload", "50")
		if result.Status != 0 || read(t, output) != read(t, want) {
			t.Errorf("%d ranks: exit status %d\n%s", ranks, result.Status, result.Stderr)
		}
	}
}

// Prices that are off are counted, and the run fails.
func TestMismatches(t *testing.T) {
	input := write(t, "3\n42.00 40.00 0.1000 0.00 0.20 0.50 C 0.00 4.759422\n42.00 40.00 0.1000 0.00 0.20 0.50 P 0.00 0.818599\n42.00 40.00 0.1000 0.00 0.20 0.50 P 0.00 0.808599\n")
	result := mpitest.Run(t, 2, nil, path("blackscholes"), "--input", input, "--check", "--report", "json", "--offload", "0")
	r := decode(t, result.Stdout)
	said := complaints(result)
	if result.Status != 1 || *r.Mismatches != 1 || len(said) != 1 || !strings.Contains(said[0], "1 of 3 prices differ from the reference") {
		t.Errorf("exit status %d, %+v\n%s", result.Status, r, result.Stderr)
	}
}

func TestTransports(t *testing.T) {
	for transport, environment := range map[string][]string{
		"ring": {"SUBLET_TRANSPORT=ring"},
		"ofi":  {"SUBLET_TRANSPORT=ofi", "SUBLET_PROVIDER=tcp"},
	} {
		r := price(t, 1, environment, "--size", "300000", "--check", "--offload", "50", "--repeat", "3")
		if *r.Mismatches != 0 || r.Transport == nil || !strings.HasPrefix(*r.Transport, transport) || len(r.PassSeconds) != 3 {
			t.Errorf("%s: %+v", transport, r)
		}
		if got := r.Share; got < 0.499 || got > 0.501 {
			t.Errorf("%s: a share of %v", transport, got)
		}
	}
}

// With more executors than there can be, auto computes here, says so once, and is right.
func TestNoExecutorsToBeHad(t *testing.T) {
	result := mpitest.Run(t, 1, nil, path("blackscholes"), "--size", "1000000", "--check", "--executors", "1000", "--repeat", "200", "--report", "json")
	mpitest.ExpectNothingLeft(t, bin)
	r := decode(t, result.Stdout)
	if said := complaints(result); result.Status != 0 || *r.Mismatches != 0 || r.Executors != 0 || len(said) != 1 || !strings.Contains(said[0], "no executors can be leased") {
		t.Errorf("exit status %d, %+v\n%s", result.Status, r, result.Stderr)
	}
}

// What is priced before a lease would pay starts no helper.
func TestFewOptionsLeaseNothing(t *testing.T) {
	environment, starts := mpitest.CountHelpers(t, bin)
	mpitest.Eventually(t, 20*time.Second, func() (bool, string) {
		before := starts()
		r := price(t, 1, environment, "--size", "1000")
		if r.Seconds > 0.02 { // it may be right to lease then
			return false, fmt.Sprintf("1000 options take %g s", r.Seconds)
		}
		if started := starts() - before; started != 0 || r.Executors != 0 {
			t.Errorf("%d helpers were started; %+v", started, r)
		}
		return true, ""
	})
	before := starts()
	price(t, 1, environment, "--size", "1000", "--offload", "50")
	if started := starts() - before; started != 1 {
		t.Errorf("half of the options on executors, of %d helpers", started)
	}
}

// With auto, executors that can not take the options are done without.
func TestTooLittleMemory(t *testing.T) {
	result := mpitest.Run(t, 1, nil, path("blackscholes"), "--size", "2000000", "--check", "--executor-memory", "16MiB", "--repeat", "100", "--report", "json")
	mpitest.ExpectNothingLeft(t, bin)
	r := decode(t, result.Stdout)
	if result.Status != 0 || *r.Mismatches != 0 || r.Options != 2_000_000 || r.Share != 0 {
		t.Errorf("exit status %d, %+v", result.Status, r)
	}
	// Where others have the cores none are leased.
	said := complaints(result)
	if len(said) != 1 || !strings.Contains(said[0], "--executor-memory") && !strings.Contains(said[0], "no executors can be leased") {
		t.Errorf("it says\n%s", result.Stderr)
	}
}

func TestTrace(t *testing.T) {
	name := filepath.Join(t.TempDir(), "trace")
	runProgram(t, 2, nil, "--size", "100000", "--offload", "50", "--repeat", "3", "--trace", name)
	for rank := range 2 {
		if text := read(t, fmt.Sprintf("%s.%d", name, rank)); !strings.Contains(text, "rank") {
			t.Errorf("the trace of rank %d is %q", rank, text)
		}
	}
	if _, err := os.Stat(name); err == nil {
		t.Error("two ranks have written one trace")
	}
}
