package main

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sublet-hpc/sublet/internal/bytesize"
	"github.com/sublet-hpc/sublet/internal/cpus"
	"github.com/sublet-hpc/sublet/resources/api"
)

// kernel tries the calls without which nothing works.
func (d *doctor) kernel() finding {
	const check = "kernel"
	var name unix.Utsname
	if err := unix.Uname(&name); err != nil {
		return fail(check, fmt.Sprintf("it does not say its version: %v", err), "use Linux 5.4 or later")
	}
	release := unix.ByteSliceToString(name.Release[:])
	for _, try := range []struct {
		what string
		call func() (int, error)
	}{
		{"pidfd_open", func() (int, error) { return unix.PidfdOpen(os.Getpid(), 0) }},
		{"memfd_create", func() (int, error) {
			return unix.MemfdCreate("sublet-doctor", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
		}},
		{"an abstract Unix socket", abstractSocket},
	} {
		fd, err := try.call()
		if err != nil {
			return fail(check, fmt.Sprintf("Linux %s: %s: %v", release, try.what, err), "use Linux 5.4 or later; in a container, allow these calls (its seccomp profile)")
		}
		unix.Close(fd)
	}
	return ok(check, "Linux %s: pidfd, memfd and abstract sockets work", release)
}

func abstractSocket() (int, error) {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	if err := unix.Bind(fd, &unix.SockaddrUnix{Name: fmt.Sprintf("@sublet-doctor-%d", os.Getpid())}); err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// cores counts those that could be lent if no rank computed.
func (d *doctor) cores() finding {
	const check = "cores"
	set, err := cpus.Allowed()
	if err != nil {
		return fail(check, err.Error(), "is this machine Linux on a processor that Sublet knows?")
	}
	whole, partial, err := cpus.Physical(&set, cpus.Folder)
	if err != nil {
		return fail(check, err.Error(), "mount /sys in this container")
	}
	return judgeCores(len(whole), len(partial), set.Count())
}

func judgeCores(whole, partial, allowed int) finding {
	const check = "cores"
	switch {
	case whole == 0:
		return fail(check, fmt.Sprintf("none of the %d CPUs that this job has is a whole core", allowed), "ask the batch system for whole cores (Slurm: --exclusive, or --hint=nomultithread)")
	case partial > 0:
		return warn(check, fmt.Sprintf("%s can be lent; %d CPUs can not, for the other hardware threads of their cores are not this job's", count(whole, "whole core"), partial),
			"ask the batch system for whole cores (Slurm: --exclusive, or --hint=nomultithread)")
	case whole == 1:
		return warn(check, "1 whole core: a rank and an executor would share it", "ask the batch system for a core more than there are ranks")
	}
	return ok(check, "%d whole cores, less those that ranks compute on", whole)
}

const (
	enoughFiles = 4096
	fewFiles    = 256
	enoughTasks = 1024
	// enoughLocked is what a rank and an executor with a GiB of buffers register.
	enoughLocked = 2 << 30
)

// limits are those of this process; programs started from here have the same.
func (d *doctor) limits() []finding {
	limit := func(resource int) uint64 {
		var l unix.Rlimit
		if err := unix.Getrlimit(resource, &l); err != nil {
			return math.MaxUint64
		}
		return l.Max
	}
	return []finding{
		judgeFiles(limit(unix.RLIMIT_NOFILE)),
		judgeTasks(limit(unix.RLIMIT_NPROC), os.Getuid()),
		judgeLocked(limit(unix.RLIMIT_MEMLOCK), d.hasRDMA()),
	}
}

// number writes a limit.
func number(limit uint64) string {
	if limit >= math.MaxInt64 {
		return "unlimited"
	}
	return strconv.FormatUint(limit, 10)
}

func judgeFiles(limit uint64) finding {
	found := number(limit) + " open files at most"
	const change = "raise the hard limit: in /etc/security/limits.conf (\"* hard nofile 65536\"), or LimitNOFILE= of the service that starts the job"
	switch {
	case limit < fewFiles:
		return fail("nofile", found+"; a lease of some executors takes some hundreds", change)
	case limit < enoughFiles:
		return warn("nofile", found+"; an executor takes about 10 in its manager", change)
	}
	return ok("nofile", "%s", found)
}

func judgeTasks(limit uint64, uid int) finding {
	found := number(limit) + " processes and threads of this user at most"
	if limit < enoughTasks && uid != 0 {
		return warn("nproc", found+"; an executor has about 10 threads", "raise the limit: in /etc/security/limits.conf (\"* hard nproc 65536\"), or LimitNPROC= of the service that starts the job")
	}
	return ok("nproc", "%s", found)
}

func judgeLocked(limit uint64, rdma bool) finding {
	found := "unlimited locked memory"
	if limit < math.MaxInt64 {
		found = bytesize.Format(int64(limit)) + " of locked memory at most"
	}
	if !rdma {
		return ok("memlock", "%s; without an RDMA device none is needed", found)
	}
	if limit < enoughLocked {
		return fail("memlock", found+"; what an RDMA device reads and writes must be locked",
			"raise the limit: in /etc/security/limits.conf (\"* hard memlock unlimited\"), in Slurm with PropagateResourceLimitsExcept=MEMLOCK and LimitMEMLOCK=infinity of slurmd")
	}
	return ok("memlock", "%s", found)
}

// hasRDMA tells whether there is an RDMA device that users may open.
func (d *doctor) hasRDMA() bool {
	devices, err := filepath.Glob(filepath.Join(d.root, "sys", "class", "infiniband", "*"))
	return err == nil && len(devices) > 0
}

const (
	fewPIDs       = 256
	littleMemory  = 512 << 20
	littleShared  = 64 << 20
	clockDoubtful = time.Second
	// clockWrong is half of the time for which a ticket is good.
	clockWrong = 10 * time.Second
)

// controlGroup looks for limits that are easy to reach.
func (d *doctor) controlGroup() finding {
	group, version := d.group()
	if version == 0 {
		return ok("cgroup", "none: what bounds executors is their own limit (RLIMIT_DATA)")
	}
	memory, pids := uint64(math.MaxUint64), uint64(math.MaxUint64)
	folder, files := "sys/fs/cgroup", map[string]*uint64{"memory.max": &memory, "pids.max": &pids}
	if version == 1 {
		folder, files = "sys/fs/cgroup/memory", map[string]*uint64{"memory.limit_in_bytes": &memory}
	}
	for at := group; ; at = path.Dir(at) {
		for file, least := range files {
			if value, err := strconv.ParseUint(d.text(path.Join(folder, at, file)), 10, 64); err == nil {
				*least = min(*least, value)
			}
		}
		if at == "/" || at == "." {
			return judgeGroup(version, group, memory, pids)
		}
	}
}

// group is this process's control group, of version 2, or else of version 1 and of memory.
func (d *doctor) group() (group string, version int) {
	for line := range strings.Lines(d.text("proc/self/cgroup")) {
		fields := strings.SplitN(strings.TrimSpace(line), ":", 3)
		switch {
		case len(fields) != 3:
		case strings.Contains(","+fields[1]+",", ",memory,"):
			return path.Clean("/" + fields[2]), 1
		case fields[1] == "":
			group, version = path.Clean("/"+fields[2]), 2
		}
	}
	return group, version
}

func judgeGroup(version int, group string, memory, pids uint64) finding {
	var limits []string
	if memory < math.MaxInt64>>12 {
		limits = append(limits, bytesize.Format(int64(memory))+" of memory")
	}
	if pids < math.MaxUint64 {
		limits = append(limits, number(pids)+" processes and threads")
	}
	found := fmt.Sprintf("version %d, %s", version, group)
	if len(limits) > 0 {
		found += ": at most " + strings.Join(limits, " and ")
	}
	switch {
	case memory < littleMemory:
		return warn("cgroup", found, "ask the batch system for more memory (Slurm: --mem), or for executors with less (Want.Memory)")
	case pids < fewPIDs:
		return warn("cgroup", found+"; an executor has about 10 threads", "raise TasksMax= of the service or container")
	}
	return ok("cgroup", "%s", found)
}

// sharedMemory looks at /dev/shm, which libfabric's shm uses. Sublet's own ring does not.
func (d *doctor) sharedMemory() finding {
	const check = "shm"
	folder := filepath.Join(d.root, "dev", "shm")
	var stat unix.Statfs_t
	if err := unix.Statfs(folder, &stat); err != nil {
		return warn(check, fmt.Sprintf("/dev/shm: %v; MPI libraries and libfabric's shm use it, Sublet's ring does not", err), "mount a tmpfs at /dev/shm")
	}
	probe, err := os.CreateTemp(folder, "sublet-doctor-*")
	if err != nil {
		return warn(check, fmt.Sprintf("nothing can be written to /dev/shm (%s); MPI libraries and libfabric's shm do", plainReason(err)), "chmod 1777 /dev/shm (as root)")
	}
	probe.Close()
	os.Remove(probe.Name())
	free := int64(stat.Bavail) * stat.Bsize
	if free < littleShared {
		return warn(check, fmt.Sprintf("%s are free in /dev/shm", bytesize.Format(free)), "remove what nobody uses there, or give it more: mount -o remount,size=50% /dev/shm (as root); in a container --shm-size")
	}
	return ok(check, "%s are free in /dev/shm", bytesize.Format(free))
}

// clock asks the kernel whether somebody keeps the clock.
func (d *doctor) clock() finding {
	var state unix.Timex
	if _, err := unix.Adjtimex(&state); err != nil {
		return ok("clock", "the kernel does not say whether it is synchronized (%v)", err)
	}
	if state.Status&unix.STA_UNSYNC != 0 {
		return warn("clock", "nobody synchronizes it, as far as the kernel knows; tickets are good for 20 s, by the clocks of two hosts", "run chrony or ntpd (in a virtual machine or container, on the host)")
	}
	return ok("clock", "it is synchronized")
}

// quickClocks are the kernel's clock sources that are read without a system call.
var quickClocks = []string{"tsc", "kvm-clock", "hyperv_clocksource_tsc_page", "arch_sys_counter"}

func (d *doctor) clockSource() finding {
	source := d.text("sys/devices/system/clocksource/clocksource0/current_clocksource")
	for _, quick := range quickClocks {
		if source == quick {
			return ok("clock", "its source is %s", source)
		}
	}
	if source == "" {
		return ok("clock", "the kernel does not name its source")
	}
	return warn("clock", fmt.Sprintf("its source is %s, which takes microseconds to read", source), "boot with clocksource=tsc if the processor's is reliable (dmesg | grep -i tsc says why it is not used)")
}

// ptrace looks whether one process of a user may read another's memory.
func (d *doctor) ptrace() finding {
	return judgePtrace(d.text("proc/sys/kernel/yama/ptrace_scope"), os.Getenv("SUBLET_PROVIDER") == "shm")
}

func judgePtrace(scope string, used bool) finding {
	if scope == "" || scope == "0" {
		return ok("ptrace", "libfabric's shm may copy from process to process")
	}
	found := fmt.Sprintf("kernel.yama.ptrace_scope is %s, so that libfabric's shm copies large payloads twice; Sublet's ring does not copy", scope)
	if !used {
		return ok("ptrace", "%s", found)
	}
	return warn("ptrace", found, "sysctl kernel.yama.ptrace_scope=0 (as root), or leave SUBLET_PROVIDER and SUBLET_TRANSPORT unset, which takes the ring")
}

// environment reports what is set that changes what Sublet does, or looks as if it did.
func (d *doctor) environment(getenv func(string) string) []finding {
	var set []string
	for _, name := range []string{"SUBLET_DIR", databaseVariable, api.TokenVariable, "SUBLET_TRANSPORT", "SUBLET_PROVIDER", "SUBLET_BIN", "SUBLET_POOL", api.AccountVariable, "SUBLET_LOG", "FI_VERBS_IFACE"} {
		if value := getenv(name); value != "" {
			set = append(set, name+"="+value)
		}
	}
	if getenv("FI_PROVIDER") != "" {
		set = append(set, "FI_PROVIDER="+getenv("FI_PROVIDER")+" (MPI's; SUBLET_PROVIDER is Sublet's)")
	}
	if len(set) == 0 {
		return []finding{ok("environment", "nothing is set")}
	}
	return []finding{ok("environment", "%s", strings.Join(set, ", "))}
}

// plainReason is an error without the path that the text around it names.
func plainReason(err error) string {
	var broken *fs.PathError
	if errors.As(err, &broken) {
		return broken.Err.Error()
	}
	return err.Error()
}
