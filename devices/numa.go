package devices

import (
	"bufio"
	"cmp"
	"slices"
	"strconv"
	"strings"
)

// NUMANode is a part of the machine whose cores are equally near to its memory.
type NUMANode struct {
	ID     int    `json:"id"`
	CPUs   string `json:"cpus"`   // as Linux writes lists: 0-3,8
	Cores  int    `json:"cores"`  // whole ones; a core can have several CPUs
	Memory int64  `json:"memory"` // in bytes
}

// NUMANodes are the machine's, or one that has all CPUs where the kernel does not tell of nodes.
func (m Machine) NUMANodes() []NUMANode {
	s := sysfs{m.Sys}
	const folder = "devices/system/node"
	var nodes []NUMANode
	for _, name := range s.names(folder) {
		number, isNode := strings.CutPrefix(name, "node")
		id, err := strconv.Atoi(number)
		if !isNode || err != nil {
			continue
		}
		list := s.text(folder + "/" + name + "/cpulist")
		nodes = append(nodes, NUMANode{ID: id, CPUs: list, Cores: s.cores(list), Memory: s.memory(folder + "/" + name + "/meminfo")})
	}
	if list := s.text("devices/system/cpu/online"); len(nodes) == 0 && list != "" {
		nodes = append(nodes, NUMANode{CPUs: list, Cores: s.cores(list)})
	}
	slices.SortFunc(nodes, func(a, b NUMANode) int { return cmp.Compare(a.ID, b.ID) })
	return nodes
}

// cores counts the whole cores of a list of CPUs: those of which it has the first.
func (s sysfs) cores(list string) int {
	count := 0
	for _, cpu := range parseList(list) {
		siblings := parseList(s.text("devices/system/cpu/cpu" + strconv.Itoa(cpu) + "/topology/thread_siblings_list"))
		if len(siblings) == 0 || slices.Min(siblings) == cpu {
			count++
		}
	}
	return count
}

// parseList reads Linux's lists of CPUs. What is none is passed over.
func parseList(list string) (cpus []int) {
	for part := range strings.SplitSeq(list, ",") {
		from, to, isRange := strings.Cut(part, "-")
		first, err := strconv.Atoi(from)
		last := first
		if err == nil && isRange {
			last, err = strconv.Atoi(to)
		}
		if err != nil || first < 0 || last < first || last >= 1<<16 {
			continue
		}
		for cpu := first; cpu <= last; cpu++ {
			cpus = append(cpus, cpu)
		}
	}
	return cpus
}

// memory reads "Node 0 MemTotal: 16374584 kB".
func (s sysfs) memory(name string) int64 {
	if s.files == nil {
		return 0
	}
	file, err := s.files.Open(name)
	if err != nil {
		return 0
	}
	defer file.Close()
	for lines := bufio.NewScanner(file); lines.Scan(); {
		words := strings.Fields(lines.Text())
		if len(words) < 4 || words[2] != "MemTotal:" {
			continue
		}
		kilobytes, err := strconv.ParseInt(words[3], 10, 64)
		if err == nil && kilobytes >= 0 && kilobytes < 1<<50 {
			return kilobytes << 10
		}
	}
	return 0
}

// speed is an interface's, in bits per second; 0 if the kernel does not say.
func (s sysfs) speed(i Interface) uint64 {
	megabits, err := strconv.ParseUint(s.text("class/net/"+i.Name+"/speed"), 10, 32)
	if err != nil || !s.same(i) {
		return 0 // -1 of interfaces without one
	}
	return megabits * 1_000_000
}
