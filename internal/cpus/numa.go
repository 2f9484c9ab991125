package cpus

import (
	"path/filepath"
	"strconv"
	"strings"
)

// NUMA tells on which NUMA node each of some cores is, by the core's ID. Nil: they are all on one, or the kernel does
// not say.
func NUMA(cores []Core, folder string) map[int]int {
	nodes := map[int]int{}
	several := false
	for _, core := range cores {
		// The pattern is ours, and the only error of Glob is a bad one.
		links, _ := filepath.Glob(filepath.Join(folder, "cpu"+strconv.Itoa(core.ID), "node[0-9]*"))
		if len(links) != 1 {
			return nil
		}
		node, err := strconv.Atoi(strings.TrimPrefix(filepath.Base(links[0]), "node"))
		if err != nil {
			return nil
		}
		nodes[core.ID] = node
		several = several || node != nodes[cores[0].ID]
	}
	if !several {
		return nil
	}
	return nodes
}
