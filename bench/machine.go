package bench

import (
	"bufio"
	"os"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/sublet-hpc/sublet/bench/record"
	"github.com/sublet-hpc/sublet/internal/cpus"
	"github.com/sublet-hpc/sublet/internal/version"
)

// machine describes this one. What can not be found out stays empty.
func machine() record.Machine {
	m := record.Machine{System: osRelease()}
	m.Host, _ = os.Hostname()
	m.Processor, m.Virtual = processor()
	var name unix.Utsname
	if unix.Uname(&name) == nil {
		m.Kernel = unix.ByteSliceToString(name.Release[:])
	}
	if allowed, err := cpus.Allowed(); err == nil {
		m.CPUs = allowed.Count()
		whole, partial, err := cpus.Physical(&allowed, cpus.Folder)
		if err == nil {
			m.Cores = len(whole) + len(partial)
		}
	}
	return m
}

func versions() record.Versions {
	return record.Versions{Sublet: version.Version, Go: runtime.Version()}
}

// processor is its name, and whether a hypervisor is in between.
func processor() (name string, virtual bool) {
	eachField("/proc/cpuinfo", ":", func(key, value string) {
		switch key {
		case "model name":
			name = value
		case "flags":
			virtual = strings.Contains(" "+value+" ", " hypervisor ")
		}
	})
	if name == "" {
		name = runtime.GOARCH
	}
	return name, virtual
}

func osRelease() (name string) {
	name = runtime.GOOS
	eachField("/etc/os-release", "=", func(key, value string) {
		if key == "PRETTY_NAME" {
			name = strings.Trim(value, `"`)
		}
	})
	return name
}

func eachField(path, separator string, f func(key, value string)) {
	file, err := os.Open(path)
	if err != nil {
		return
	}
	defer file.Close()
	for lines := bufio.NewScanner(file); lines.Scan(); {
		key, value, _ := strings.Cut(lines.Text(), separator)
		f(strings.TrimSpace(key), strings.TrimSpace(value))
	}
}
