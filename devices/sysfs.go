package devices

import (
	"io/fs"
	"path"
	"strconv"
	"strings"
)

// sysfs reads what the kernel writes below /sys. What is not there is empty.
type sysfs struct{ files fs.FS }

func (s sysfs) text(name string) string {
	if s.files == nil {
		return ""
	}
	content, err := fs.ReadFile(s.files, name)
	if err != nil {
		return "" // also of files that can be read only while the link is up
	}
	return strings.TrimSpace(string(content))
}

// names are what lies in a folder, sorted.
func (s sysfs) names(folder string) []string {
	if s.files == nil {
		return nil
	}
	entries, err := fs.ReadDir(s.files, folder)
	if err != nil {
		return nil
	}
	names := make([]string, len(entries))
	for i, entry := range entries {
		names[i] = entry.Name()
	}
	return names
}

func (s sysfs) exists(name string) bool {
	if s.files == nil {
		return false
	}
	_, err := fs.Stat(s.files, name)
	return err == nil
}

// target is the last part of what a link points to.
func (s sysfs) target(name string) string {
	if s.files == nil {
		return ""
	}
	to, err := fs.ReadLink(s.files, name)
	if err != nil {
		return ""
	}
	return path.Base(to)
}

// numaNode is that of a device's slot; nil if it is near to none.
func (s sysfs) numaNode(folder string) *int {
	node, err := strconv.Atoi(s.text(folder + "/device/numa_node"))
	if err != nil || node < 0 {
		return nil
	}
	return &node
}

// adapter is an RDMA device, or one of Slingshot's, in sysfs.
type adapter struct {
	name     string
	provider string // what usually serves it
	netdev   string // empty: none
	state    State  // empty: it is that of its network interface
	reason   string // why it is down
	numa     *int
}

func (s sysfs) adapters() []adapter {
	var found []adapter
	for _, name := range s.names("class/infiniband") {
		found = append(found, s.infiniband(name))
	}
	for _, name := range s.names("class/cxi") {
		folder := "class/cxi/" + name
		found = append(found, adapter{name: name, provider: CXI, netdev: s.first(folder + "/device/net"), numa: s.numaNode(folder)})
	}
	return found
}

// infiniband reads a device of whatever kind has verbs. Its first port that is active counts.
func (s sysfs) infiniband(name string) adapter {
	folder := "class/infiniband/" + name
	a := adapter{name: name, provider: Verbs, numa: s.numaNode(folder), state: Down, reason: "it has no port"}
	if s.target(folder+"/device/driver") == "efa" {
		a.provider = EFA
	}
	for _, number := range s.names(folder + "/ports") {
		port := folder + "/ports/" + number
		netdev := s.netdev(folder, port)
		state := s.text(port + "/state") // 4: ACTIVE
		if a.netdev == "" || strings.HasPrefix(state, "4:") {
			a.netdev = netdev
		}
		if strings.HasPrefix(state, "4:") {
			a.state, a.reason = Active, ""
			break
		}
		_, word, _ := strings.Cut(state, ": ")
		a.reason = "its port " + number + " is in state " + word
		if physical := s.text(port + "/phys_state"); physical != "" {
			_, word, _ := strings.Cut(physical, ": ")
			a.reason += " (" + word + ")"
		}
	}
	return a
}

// netdev is the network interface of an RDMA device's port: that of RoCE stands with its addresses,
// that of InfiniBand lies beside the device, and the one that SoftRoCE was made on is its parent.
func (s sysfs) netdev(folder, port string) string {
	for _, index := range s.names(port + "/gid_attrs/ndevs") {
		if name := s.text(port + "/gid_attrs/ndevs/" + index); name != "" {
			return name
		}
	}
	if name := s.first(folder + "/device/net"); name != "" {
		return name
	}
	return s.text(folder + "/parent")
}

func (s sysfs) first(folder string) string {
	if names := s.names(folder); len(names) > 0 {
		return names[0]
	}
	return ""
}

// same tells whether sysfs means the interface that this process has: in a network namespace it can
// show another of the same name.
func (s sysfs) same(i Interface) bool {
	folder := "class/net/" + i.Name
	return s.text(folder+"/ifindex") == strconv.Itoa(i.Index) && (i.Hardware == "" || strings.EqualFold(s.text(folder+"/address"), i.Hardware))
}
