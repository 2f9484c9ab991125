package slurm

import (
	"errors"
	"math"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// parseJobs reads what squeue --json writes.
func parseJobs(data []byte) ([]Job, error) {
	var jobs []Job
	err := document(data, map[string]func(*scanner) error{"jobs": func(s *scanner) error {
		job, err := s.job()
		jobs = append(jobs, job)
		return err
	}})
	return jobs, err
}

func (s *scanner) job() (Job, error) {
	var j Job
	var words []string
	var task number
	err := s.object(func(key []byte) (err error) {
		switch string(key) {
		case "job_id":
			j.ID, err = s.id()
		case "array_job_id":
			j.ArrayJob, err = s.id()
		case "array_task_id":
			task, err = s.number()
		case "array_task_string":
			j.ArrayTask, err = s.text()
		case "name":
			j.Name, err = s.text()
		case "user_name":
			j.User, err = s.text()
		case "user_id":
			j.UserID, err = s.userID()
		case "account":
			j.Account, err = s.text()
		case "partition":
			j.Partition, err = s.text()
		case "qos":
			j.QOS, err = s.text()
		case "job_state":
			words, err = s.texts()
		case "state_reason":
			j.Reason, err = s.text()
		case "comment":
			j.Comment, err = s.comment()
		case "nodes":
			j.Nodes, err = s.hosts()
		case "node_count":
			j.NodeCount, err = s.count()
		case "cpus":
			j.CPUs, err = s.count()
		case "memory_per_node":
			j.MemoryPerNode, err = s.mebibytes()
		case "priority":
			err = s.priority(&j)
		case "required_nodes":
			j.RequestedNodes, err = s.hosts()
		case "excluded_nodes":
			j.ExcludedNodes, err = s.hosts()
		case "scheduled_nodes":
			j.ScheduledNodes, err = s.hosts()
		case "resv_name":
			j.Reservation, err = s.text()
		case "submit_time":
			j.Submitted, err = s.moment()
		case "eligible_time":
			j.Eligible, err = s.moment()
		case "start_time":
			j.Started, err = s.moment()
		case "end_time":
			j.Ends, err = s.moment()
		case "preempt_time":
			j.Preempted, err = s.moment()
		case "time_limit":
			j.Limit, err = s.minutes()
		case "time_minimum":
			j.LimitMinimum, err = s.minutes()
		case "restart_cnt":
			j.Restarts, err = s.count()
		case "exit_code":
			j.ExitCode, j.Signal, err = s.exit()
		case "current_working_directory":
			j.WorkingDirectory, err = s.text()
		default:
			err = s.skip()
		}
		return err
	})
	if err == nil && j.ID == 0 {
		err = errors.New("a job without job_id")
	}
	if j.ArrayTask == "" && task.set && j.ArrayJob != 0 {
		j.ArrayTask = JobID(task.n).String()
	}
	j.State, j.Flags = jobState(words)
	return j, err
}

// jobState tells the base state from the flags. Slurm 22.05 writes one word, which is a flag if there is one.
func jobState(words []string) (string, []string) {
	bases := []string{
		"PENDING", "RUNNING", "SUSPENDED", "COMPLETED", "CANCELLED", "FAILED", "TIMEOUT", "NODE_FAIL", "PREEMPTED",
		"BOOT_FAIL", "DEADLINE", "OUT_OF_MEMORY",
	}
	state := ""
	var flags []string
	for _, word := range words {
		word = strings.ToUpper(word)
		if state == "" && slices.Contains(bases, word) {
			state = word
		} else {
			flags = append(flags, word)
		}
	}
	if state == "" && len(flags) > 0 {
		state, flags = flags[0], flags[1:]
	}
	return state, flags
}

// userID reads a user's number as digits; what is not set is "".
func (s *scanner) userID() (string, error) {
	if s.peek() == '"' {
		return s.text()
	}
	n, err := s.number()
	if err != nil || !n.set || n.infinite {
		return "", err
	}
	return strconv.FormatInt(n.n, 10), nil
}

// comment reads a job's comment: a string, or an object of several of which the job's is one.
func (s *scanner) comment() (comment string, err error) {
	if s.peek() != '{' {
		return s.text()
	}
	err = s.each(fields{"job": func() (err error) { comment, err = s.text(); return err }})
	return comment, err
}

func (s *scanner) priority(j *Job) error {
	n, err := s.number()
	switch {
	case err != nil:
		return err
	case n.infinite || n.n > math.MaxUint32:
		j.Priority = math.MaxUint32
	case n.n > 0:
		j.Priority = uint32(n.n)
	}
	return nil
}

// exit reads how a job's script ended: the status of wait(2) up to Slurm 23.02, later an object.
func (s *scanner) exit() (code, signal int, err error) {
	if s.peek() == '{' && !s.isNumberObject() {
		return s.exitObject()
	}
	n, err := s.number()
	if status := syscall.WaitStatus(n.n); status.Signaled() {
		return 0, int(status.Signal()), err
	}
	return int(n.n >> 8 & 0xff), 0, err
}

func (s *scanner) exitObject() (code, signal int, err error) {
	id := func() (err error) { signal, err = s.count(); return err }
	err = s.each(fields{
		"return_code": func() (err error) { code, err = s.count(); return err },
		"signal":      func() error { return s.each(fields{"id": id, "signal_id": id}) },
	})
	return code, signal, err
}
