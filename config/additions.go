package config

// Addition is the body of rFaaS's POST /add?node=NAME: an executor manager that is to be lent.
type Addition struct {
	Address string
	Port    int
	Cores   int
	Memory  int // MB; 0: as much as it lends
}

func (a *Addition) schema() object {
	return object{
		{name: "ip_address", value: address(&a.Address), need: true, means: "the address of its device"},
		{name: "port", value: port(&a.Port), need: true, means: "the port that its `rdma_device_port` names"},
		{name: "cores", value: whole{&a.Cores, 1, maxCore + 1}, need: true, means: "the cores that may be leased"},
		{name: "memory", value: count(&a.Memory, 0), means: "the memory that may be leased, in MB. Default 0: all that it lends"},
	}
}

// ParseAddition reads the body of an /add. name is what errors call it.
func ParseAddition(name string, content []byte) (Addition, error) {
	a := Addition{}
	if err := parse(name, content, a.schema()); err != nil {
		return Addition{}, err
	}
	return a, nil
}

// ParseRemoval reads the body of a /remove: as that of an /add, but that every key may be missing. What is
// missing is 0 or empty.
func ParseRemoval(name string, content []byte) (Addition, error) {
	a := Addition{}
	schema := a.schema()
	for i := range schema {
		schema[i].need = false
	}
	if err := parse(name, content, schema); err != nil {
		return Addition{}, err
	}
	return a, nil
}
