package slurm

import (
	"fmt"
	"testing"
)

// Fields that are read of jobs and of nodes, by what they are.
var (
	jobTexts   = []string{"array_task_string", "name", "user_name", "account", "partition", "qos", "job_state", "state_reason", "comment", "nodes", "required_nodes", "excluded_nodes", "scheduled_nodes", "resv_name", "current_working_directory"}
	jobNumbers = []string{"array_task_id", "user_id", "node_count", "cpus", "memory_per_node", "priority", "submit_time", "eligible_time", "start_time", "end_time", "preempt_time", "time_limit", "time_minimum", "restart_cnt", "exit_code"}

	nodeTexts   = []string{"address", "state", "state_flags", "partitions", "features", "reason", "reservation"}
	nodeNumbers = []string{"cpus", "alloc_cpus", "real_memory", "alloc_memory"}
)

// What is not said comes as null, as an object that is not set or as an empty string or list, and numbers also in quotes.
func TestFieldsOfAnyShape(t *testing.T) {
	numbers := []string{"null", `{"set":false,"infinite":false,"number":0}`, `{"set":true,"infinite":true,"number":0}`, `{"set":true,"infinite":false,"number":7}`, `{"number":"7"}`, `{"number":null}`, "7", "7.0", `"7"`, "4294967294", "4294967295"}
	texts := []string{"null", `""`}
	read := func(document string, parse func([]byte) (int, error)) {
		t.Helper()
		if n, err := parse([]byte(document)); err != nil || n != 1 {
			t.Errorf("%s: %d, %v", document, n, err)
		}
	}
	jobs := func(data []byte) (int, error) { jobs, err := parseJobs(data); return len(jobs), err }
	nodes := func(data []byte) (int, error) { nodes, err := parseNodes(data); return len(nodes), err }
	each := func(keys, values []string, form string, parse func([]byte) (int, error)) {
		t.Helper()
		for _, key := range keys {
			for _, value := range values {
				read(fmt.Sprintf(form, key, value), parse)
			}
		}
	}
	const job, node = `{"errors":null,"jobs":[{"job_id":1,%q:%s}]}`, `{"errors":[],"nodes":[{"name":"n1",%q:%s}]}`
	each(jobNumbers, numbers, job, jobs)
	each(jobTexts, texts, job, jobs)
	each(nodeNumbers, numbers, node, nodes)
	each(nodeTexts, texts, node, nodes)
	each([]string{"job_state", "nodes", "required_nodes"}, []string{"[]", `[""]`}, job, jobs)
	each([]string{"state", "state_flags", "partitions", "features"}, []string{"[]", `[""]`}, node, nodes)
	read(`{"jobs":[{"job_id":"7","array_job_id":{"set":false}}]}`, jobs)
}

// What a site has sbatch write besides does not hide the number.
func TestSubmittedWithAGreeting(t *testing.T) {
	for out, want := range map[string]JobID{"7\n": 7, "7": 7, "7;other\n": 7, "Welcome to the cluster\n 3 news\n\n7\n": 7, "7\nGood-bye.\n": 7} {
		if id, err := parseSubmitted(out); err != nil || id != want {
			t.Errorf("%q is read as %d, %v", out, id, err)
		}
	}
}
