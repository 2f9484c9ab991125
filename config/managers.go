package config

// ResourceManager is a resource_manager.json.
type ResourceManager struct {
	Device      string // empty: the first of the device database
	DevicePort  int
	HTTPAddress string
	HTTPPort    int
	Threads     int
	Secret      Secret
	Sleep       bool
}

func (c *ResourceManager) schema() object {
	return object{{name: "config", need: true, means: "its settings", value: object{
		{name: "rdma_device", value: nameOrNone(&c.Device), means: "a device of the device database. Default: the first"},
		{name: "rdma_device_port", value: portOrAny(&c.DevicePort), means: "the port that executor managers of rFaaS connect to. Default 10000"},
		{name: "http_network_address", value: address(&c.HTTPAddress), means: "where `/add` and `/remove` are served. Default 127.0.0.1"},
		{name: "http_network_port", value: portOrAny(&c.HTTPPort), means: "and at which port. Default 5000"},
		{name: "rdma-threads", value: whole{&c.Threads, 1, 1024}, means: "rFaaS's; Sublet needs none. Default 1"},
		{name: "rdma-secret", value: secret{&c.Secret}, means: "rFaaS's shared secret. Default 0"},
		{name: "rdma-sleep", value: truth{&c.Sleep}, means: "rFaaS's; Sublet's managers always sleep while nothing comes. Default true"},
	}}}
}

// ParseResourceManager reads a resource_manager.json.
func ParseResourceManager(file string, content []byte) (ResourceManager, error) {
	c := ResourceManager{DevicePort: 10000, HTTPAddress: "127.0.0.1", HTTPPort: 5000, Threads: 1, Sleep: true}
	err := parse(file, content, c.schema())
	if err != nil {
		return ResourceManager{}, err
	}
	return c, nil
}

// ExecutorManager is an executor_manager.json.
type ExecutorManager struct {
	Device                 string // empty: the first of the device database
	DevicePort             int
	NodeName               string // empty: this host's
	ResourceManagerAddress string // empty: by the run directory, or none
	ResourceManagerPort    int
	ResourceManagerSecret  Secret
	Sleep                  bool
	UseDocker              bool // always false: there are no sandboxes yet
	Repetitions            int  // never a reason for an executor to end
	WarmupIterations       int
	PinThreads             Pinning
}

func (c *ExecutorManager) schema() object {
	return object{
		{name: "config", need: true, means: "its settings", value: object{
			{name: "rdma_device", value: nameOrNone(&c.Device), means: "a device of the device database. Default: the first"},
			{name: "rdma_device_port", value: portOrAny(&c.DevicePort), means: "the port that clients connect to; 0, the default, is any that is free"},
			{name: "node_name", value: nameOrNone(&c.NodeName), means: "what the resource manager knows it by. Default: this host's name"},
			{name: "resource_manager_address", value: addressOrNone(&c.ResourceManagerAddress), means: "where the resource manager is. Default: what the run directory says"},
			{name: "resource_manager_port", value: portOrAny(&c.ResourceManagerPort), means: "and at which port. Default 0"},
			{name: "resource_manager_secret", value: secret{&c.ResourceManagerSecret}, means: "rFaaS's shared secret. Default 0"},
			{name: "rdma-sleep", value: truth{&c.Sleep}, means: "rFaaS's; Sublet's managers always sleep while nothing comes. Default true"},
		}},
		{name: "executor", means: "settings of the executors that it starts", value: object{
			{name: "use_docker", value: noSandbox{&c.UseDocker}, means: "must be false: there are no sandboxes yet. Default false"},
			{name: "repetitions", value: count(&c.Repetitions, 0), means: "rFaaS ends an executor after as many calls; Sublet does not. Default 100"},
			{name: "warmup_iters", value: count(&c.WarmupIterations, 0), means: "rFaaS's; Sublet tries every path before it is used. Default 0"},
			{name: "pin_threads", value: pinning{&c.PinThreads}, means: "which cores executors are bound to: false none, true distinct ones, an array those. Default true"},
		}},
	}
}

// noSandbox is true or false, but true can not be had.
type noSandbox struct{ into *bool }

func (n noSandbox) allowed() string {
	return "false: executors are processes, there are no sandboxes yet"
}

func (n noSandbox) read(r *reader, path string) error {
	if err := truth(n).read(r, path); err != nil || !*n.into {
		return err
	}
	return r.note(r.line(), "%s is true; it is %s", path, n.allowed())
}

// ParseExecutorManager reads an executor_manager.json.
func ParseExecutorManager(file string, content []byte) (ExecutorManager, error) {
	c := ExecutorManager{Sleep: true, Repetitions: 100, PinThreads: Pinning{Pin: true}}
	if err := parse(file, content, c.schema()); err != nil {
		return ExecutorManager{}, err
	}
	return c, nil
}
