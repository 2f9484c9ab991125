package slurm

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func TestJobsOfAllVersions(t *testing.T) {
	const began = 1795312256
	at := func(seconds int64) time.Time { return time.Unix(seconds, 0) }
	job := func(j Job) Job {
		j.User, j.UserID, j.Submitted, j.WorkingDirectory = "root", "0", at(began), "/tmp"
		if j.Name == "" {
			j.Name, j.MemoryPerNode = "wrap", 512<<20
		}
		return j
	}
	ran := func(j Job) Job {
		j.Eligible, j.Started = at(began), at(began)
		return job(j)
	}
	want := []Job{
		ran(Job{
			ID: 1, Name: "two nodes", Comment: "a comment", Partition: "batch", State: "RUNNING", Reason: "None",
			Nodes: []string{"n1", "n2"}, NodeCount: 2, CPUs: 4, MemoryPerNode: 100 << 20, Priority: 4294901759,
			Ends: at(began + 600), Limit: 10 * time.Minute,
		}),
		ran(Job{
			ID: 2, Partition: "harvest", State: "RUNNING", Reason: "None", Nodes: []string{"n2"}, NodeCount: 1, CPUs: 1,
			Priority: 4294901758, Ends: at(began + 525600*60), Limit: 525600 * time.Minute,
		}),
		ran(Job{
			ID: 3, Partition: "batch", State: "FAILED", Reason: "BadConstraints", NodeCount: 3, Priority: 4294901757,
			Ends: at(began), Limit: 48 * time.Hour, RequestedNodes: []string{"n1", "n2"}, ExcludedNodes: []string{"n3"}, Signal: 1,
		}),
		ran(Job{
			ID: 4, Partition: "batch", State: "FAILED", Reason: "NonZeroExitCode", Nodes: []string{"n1"}, NodeCount: 1, CPUs: 1,
			Priority: 4294901756, Ends: at(began), Limit: 525600 * time.Minute, ExitCode: 3,
		}),
		ran(Job{
			ID: 5, Partition: "batch", State: "FAILED", Reason: "JobLaunchFailure", Nodes: []string{"n1"}, NodeCount: 1, CPUs: 1,
			Priority: 4294901755, Ends: at(began), Limit: 525600 * time.Minute, Signal: 9,
		}),
		job(Job{
			ID: 6, ArrayJob: 6, ArrayTask: "1-3", Partition: "batch", State: "PENDING", Reason: "BeginTime", NodeCount: 1, CPUs: 1,
			Priority: 4294901754, Eligible: at(began + 3600), Started: at(began + 3600), Ends: at(6090283092),
		}),
		job(Job{
			ID: 7, Partition: "batch", State: "PENDING", Reason: "JobHeldUser", NodeCount: 1, CPUs: 1,
			Limit: 5 * time.Minute, LimitMinimum: 2 * time.Minute,
		}),
	}
	for name, data := range documents(t, "squeue") {
		got, err := parseJobs(data)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func readJob(t *testing.T, fields string) Job {
	t.Helper()
	jobs, err := parseJobs([]byte(`{"jobs":[{"job_id":1,` + fields + `}]}`))
	if err != nil {
		t.Fatalf("%s: %v", fields, err)
	}
	return jobs[0]
}

func TestJobStates(t *testing.T) {
	for state, want := range map[string]string{
		`"PENDING"`:                    "pending",
		`["PENDING"]`:                  "pending",
		`["PENDING","REQUEUED"]`:       "pending",
		`"REQUEUE_HOLD"`:               "pending",
		`"RUNNING"`:                    "running",
		`["RUNNING","CONFIGURING"]`:    "running",
		`"CONFIGURING"`:                "running",
		`["SUSPENDED"]`:                "running",
		`"COMPLETING"`:                 "completing",
		`["CANCELLED","COMPLETING"]`:   "completing",
		`["PREEMPTED","COMPLETING"]`:   "completing",
		`["PENDING","COMPLETING"]`:     "completing",
		`["RUNNING","STAGE_OUT"]`:      "completing",
		`"COMPLETED"`:                  "ended",
		`["CANCELLED"]`:                "ended",
		`["TIMEOUT"]`:                  "ended",
		`["NODE_FAIL"]`:                "ended",
		`["FAILED","LAUNCH_FAILED"]`:   "ended",
		`["PREEMPTED"]`:                "ended",
		`["A_STATE_OF_SLURM_99"]`:      "ended",
		`["DEADLINE","UPDATE_DB"]`:     "ended",
		`["RUNNING","A_FLAG_OF_2030"]`: "running",
	} {
		j := readJob(t, `"job_state":`+state)
		var got []string
		for name, is := range map[string]bool{"pending": j.Pending(), "running": j.Running(), "completing": j.Completing(), "ended": j.Ended()} {
			if is {
				got = append(got, name)
			}
		}
		if len(got) != 1 || got[0] != want {
			t.Errorf("%s: %v, want %s", state, got, want)
		}
	}
}

func TestJobFields(t *testing.T) {
	for fields, want := range map[string]Job{
		`"time_limit":4294967295`:                                 {Limit: Unlimited},
		`"time_limit":{"set":false,"infinite":true,"number":0}`:   {Limit: Unlimited},
		`"time_limit":4294967294`:                                 {},
		`"time_limit":{"set":false,"infinite":false,"number":17}`: {},
		`"time_limit":null,"comment":null,"nodes":null`:           {},
		`"nodes":["n[1-2]","m"]`:                                  {Nodes: []string{"n1", "n2", "m"}},
		`"nodes":"(null)"`:                                        {},
		`"comment":{"administrator":"a","job":"j","system":"s"}`:  {Comment: "j"},
		`"name":"a\"b\\c\u00e9\nd"`:                               {Name: "a\"b\\cé\nd"},
		`"start_time":{"set":true,"infinite":false,"number":1e9}`: {Started: time.Unix(1e9, 0)},
		`"start_time":4.5`:                                        {Started: time.Unix(4, 0)},
		`"end_time":18446744073709551614`:                         {},
		`"memory_per_node":9223372036854775912`:                   {},
		`"memory_per_node":{"set":true,"number":3}`:               {MemoryPerNode: 3 << 20},
		`"exit_code":{"return_code":7,"signal":{"signal_id":0}}`:  {ExitCode: 7},
		`"exit_code":{"signal":{"signal_id":{"set":true,"number":9}},"return_code":{"set":false}}`: {Signal: 9},
		`"exit_code":{"set":true,"number":256}`:                                                    {ExitCode: 1},
		`"array_job_id":9,"array_task_id":0`:                                                       {ArrayJob: 9, ArrayTask: "0"},
		`"partition":"a,b","qos":"q","account":"x","restart_cnt":2`:                                {Partition: "a,b", QOS: "q", Account: "x", Restarts: 2},
		`"priority":{"set":true,"infinite":true,"number":0}`:                                       {Priority: 1<<32 - 1},
	} {
		want.ID = 1
		if diff := cmp.Diff(want, readJob(t, fields), cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", fields, diff)
		}
	}
}

func TestJobsRefused(t *testing.T) {
	for data, reason := range map[string]string{
		`{"jobs":[{"job_id":1},{"job_id":"x"}]}`:           `jobs[1].job_id: a number was expected, not "\"x\""`,
		`{"jobs":[{}]}`:                                    "jobs[0]: a job without job_id",
		`{"jobs":[{"job_id":-3}]}`:                         "jobs[0].job_id: -3 is no number of a job",
		`{"jobs":[{"time_limit":true}]}`:                   `jobs[0].time_limit: a number was expected, not "true"`,
		`{"jobs":[{"start_time":{"number":"soon"}}]}`:      `jobs[0].start_time.number: a number was expected`,
		`{"jobs":[{"exit_code":{"signal":{"id":"HUP"}}}]}`: `jobs[0].exit_code.signal.id: a number was expected`,
		`{"jobs":[{"node_count":1-2}]}`:                    `jobs[0].node_count: "1-2" is no number`,
		`{"jobs":[{"name":"a}]}`:                           "breaks off",
		`{"jobs":[{"name":"a\`:                             "breaks off",
		`{"jobs":[{"name" "a"}]}`:                          "no JSON",
		`{"jobs":[{"name":"a" "b":1}]}`:                    "no JSON",
		`{"jobs":[{"x":[1 2]}]}`:                           "no JSON",
		`{"jobs":[{"x":nul}]}`:                             "no JSON",
		`{"jobs":[{"x":}]}`:                                "no JSON",
		`{"nodes":[]}`:                                     "JSON of something else",
	} {
		if jobs, err := parseJobs([]byte(data)); err == nil {
			t.Errorf("%s was read as %+v", data, jobs)
		} else if !strings.Contains(err.Error(), reason) {
			t.Errorf("%s: %v; it should say %s", data, err, reason)
		}
	}
}

// manyJobs are so many jobs, each as Slurm 22.05 writes one that runs on two nodes.
func manyJobs(t testing.TB, n int) []byte {
	t.Helper()
	head, rest, _ := bytes.Cut(documents(t, "squeue")["squeue-22.05.json"], []byte(`"jobs": [`))
	one, _, found := bytes.Cut(rest, []byte("\n    },"))
	if !found {
		t.Fatal("the document of 22.05 has another form")
	}
	jobs := strings.TrimSuffix(strings.Repeat(string(one)+"\n    },", n), ",")
	return []byte(string(head) + `"jobs": [` + jobs + "]}")
}

// Jobs are read about twice as fast as encoding/json finds out whether it is JSON and reads a few fields of it. The race
// detector makes that 1.3 times as slow. 10,000 jobs, 42 MB, are to take less than 0.3 s: BenchmarkJobs.
func TestManyJobs(t *testing.T) {
	const n = 500
	data := manyJobs(t, n)
	best := func(read func()) time.Duration {
		shortest := time.Hour
		for range 3 {
			began := time.Now()
			read()
			shortest = min(shortest, time.Since(began))
		}
		return shortest
	}
	ours := best(func() {
		if jobs, err := parseJobs(data); err != nil || len(jobs) != n {
			t.Fatalf("%d jobs: %v", len(jobs), err)
		}
	})
	theirs := best(func() {
		var document struct {
			Jobs []struct {
				ID    int    `json:"job_id"`
				State string `json:"job_state"`
				Nodes string `json:"nodes"`
			} `json:"jobs"`
		}
		if err := json.Unmarshal(data, &document); err != nil || len(document.Jobs) != n {
			t.Fatalf("%d jobs: %v", len(document.Jobs), err)
		}
	})
	t.Logf("%d jobs, %d MB: %v, encoding/json %v", n, len(data)>>20, ours, theirs)
	if ours > 3*theirs {
		t.Errorf("%d jobs take %v, which encoding/json reads in %v", n, ours, theirs)
	}
}

func BenchmarkJobs(b *testing.B) {
	data := manyJobs(b, 10_000)
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		if _, err := parseJobs(data); err != nil {
			b.Fatal(err)
		}
	}
}

// Whatever squeue writes is read or refused, and what is read can be relied on.
func FuzzJobs(f *testing.F) {
	for _, seed := range []string{
		`{"jobs":[{"job_id":1,"job_state":"RUNNING","nodes":"n[1-2]","time_limit":null,"exit_code":256,"start_time":17,"comment":""}]}`,
		`{"jobs":[{"job_id":1,"job_state":["PENDING"],"time_limit":{"set":true,"infinite":false,"number":5},"exit_code":{"return_code":{"number":1},"signal":{"id":2}}}]}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		jobs, err := parseJobs(data)
		if err != nil {
			return
		}
		for _, j := range jobs {
			if j.ID == 0 || j.NodeCount < 0 || j.CPUs < 0 || j.MemoryPerNode < 0 || j.Limit < 0 || j.Signal < 0 {
				t.Errorf("%+v", j)
			}
		}
	})
}

// A user's number is told by all versions; names are not known everywhere.
func TestUserID(t *testing.T) {
	for fields, want := range map[string]string{
		`"user_id":1001`: "1001", `"user_id":"1001"`: "1001", `"user_id":{"set":true,"infinite":false,"number":0}`: "0",
		`"user_id":4294967294`: "", `"user_id":null`: "", `"user_name":"ann"`: "",
	} {
		if got := readJob(t, fields).UserID; got != want {
			t.Errorf("%s is read as %q, not %q", fields, got, want)
		}
	}
}
