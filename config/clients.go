package config

import (
	"fmt"
	"net"
	"strconv"
)

// Executor is an executor manager in an executors_database.json.
type Executor struct {
	Node    string // empty: its address
	Address string
	Port    int
	Cores   int
	Memory  int // MB; 0: as much as it lends
}

// Executors is an executors_database.json.
type Executors struct{ Executors []Executor }

func (e *Executors) schema() object {
	seen := map[string]string{} // who has an address, or a node's name
	return object{{
		name: "executors", need: true, means: "the executor managers",
		value: list{
			of: "executor managers",
			next: func(int) value {
				e.Executors = append(e.Executors, Executor{Cores: 1})
				return e.Executors[len(e.Executors)-1].schema()
			},
			done: func(r *reader, index, line int, path string) error {
				executor := e.Executors[index]
				ids := []string{"the address " + net.JoinHostPort(executor.Address, strconv.Itoa(executor.Port))}
				if executor.Node != "" {
					ids = append(ids, fmt.Sprintf("the name %q", executor.Node))
				}
				for _, id := range ids {
					if first := seen[id]; first != "" && executor.Address != "" {
						return r.note(line, "%s has %s, as %s has; each executor manager stands here once", path, id, first)
					}
					seen[id] = path
				}
				return nil
			},
		},
	}}
}

func (e *Executor) schema() object {
	return object{
		{name: "node", value: nameOrNone(&e.Node), means: "its name. Default: its address"},
		{name: "address", value: address(&e.Address), need: true, means: "the address of its device"},
		{name: "port", value: port(&e.Port), need: true, means: "the port that its `rdma_device_port` names"},
		{name: "cores", value: whole{&e.Cores, 1, maxCore + 1}, means: "the cores that it lends. Default 1"},
		{name: "memory", value: count(&e.Memory, 0), means: "the memory that it lends, in MB. Default 0: all that it lends"},
	}
}

// ParseExecutors reads an executors_database.json.
func ParseExecutors(file string, content []byte) (Executors, error) {
	e := Executors{}
	if err := parse(file, content, e.schema()); err != nil {
		return Executors{}, err
	}
	return e, nil
}

// Benchmark is a benchmark.json: how a client of rFaaS's benchmarks is set up.
type Benchmark struct {
	Device                 string // empty: the first of the device database
	DevicePort             int
	ResourceManagerAddress string // empty: by the executors database, or the run directory
	ResourceManagerPort    int
	PinThreads             Pinning
	Repetitions            int
	WarmupRepetitions      int
	Cores                  int
	Memory                 int // MB of each lease; 0: a share of the node's
	HotTimeout             int // milliseconds; -1: always hot; 0: never
}

func (b *Benchmark) schema() object {
	return object{
		{name: "config", need: true, means: "whom the client talks to", value: object{
			{name: "rdma_device", value: nameOrNone(&b.Device), means: "a device of the device database. Default: the first"},
			{name: "rdma_device_port", value: portOrAny(&b.DevicePort), means: "the port that rFaaS's executors connect to; Sublet's do not need one. Default 0"},
			{name: "resource_manager_address", value: addressOrNone(&b.ResourceManagerAddress), means: "where the resource manager is. Default: what the run directory says"},
			{name: "resource_manager_port", value: portOrAny(&b.ResourceManagerPort), means: "and at which port. Default 0"},
		}},
		{name: "benchmark", need: true, means: "what is measured", value: object{
			{name: "pin_threads", value: pinning{&b.PinThreads}, means: "which cores the client's threads are bound to: false none, true distinct ones, an array those. Default false"},
			{name: "repetitions", value: count(&b.Repetitions, 1), means: "how many invocations are measured. Default 100"},
			{name: "warmup_repetitions", value: count(&b.WarmupRepetitions, 0), means: "how many go before, unmeasured. Default 0"},
			{name: "numcores", value: whole{&b.Cores, 1, maxCore + 1}, means: "how many executors are leased. Default 1"},
			{name: "memory", value: count(&b.Memory, 0), means: "the memory of the lease, in MB. Default 0: a share of the node's"},
			{name: "hot_timeout", value: whole{&b.HotTimeout, -1, maxHotTimeout}, means: "milliseconds that an executor spins after an invocation; -1 always, 0 never. Default -1"},
		}},
	}
}

// maxHotTimeout is a day, in milliseconds.
const maxHotTimeout = 24 * 60 * 60 * 1000

// ParseBenchmark reads a benchmark.json.
func ParseBenchmark(file string, content []byte) (Benchmark, error) {
	b := Benchmark{Repetitions: 100, Cores: 1, HotTimeout: -1}
	if err := parse(file, content, b.schema()); err != nil {
		return Benchmark{}, err
	}
	return b, nil
}
