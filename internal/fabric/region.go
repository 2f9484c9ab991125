package fabric

// RemoteMemory is where memory lies for a NIC: what the other end needs to write into it. It is
// zero on the ring, where both ends map the same pages.
type RemoteMemory struct {
	Address uint64
	Key     uint64
}

// attacher is what a transport does with regions that the executor can not map.
type attacher interface {
	attach(region uint32, m *Memory) (RemoteMemory, error)
	attached(region uint32, mirror RemoteMemory) error
	push(region uint32) error
	detach(region uint32) error
}

// Attach makes m known as a region of this connection, and returns what the executor needs to
// write outputs into it.
func (c *Client) Attach(region uint32, m *Memory) (RemoteMemory, error) {
	if c.attach == nil {
		return RemoteMemory{}, nil
	}
	return c.attach.attach(region, m)
}

// Attached says where the executor keeps its mirror of a region that was attached.
func (c *Client) Attached(region uint32, mirror RemoteMemory) error {
	if c.attach == nil {
		return nil
	}
	return c.attach.attached(region, mirror)
}

// Push copies the whole region into the executor's mirror, ahead of every later request: for
// constants. On the ring there is nothing to copy.
func (c *Client) Push(region uint32) error {
	if c.attach == nil {
		return nil
	}
	return c.attach.push(region)
}

// Detach forgets a region; no invocation that names it may be in flight.
func (c *Client) Detach(region uint32) error {
	if c.attach == nil {
		return nil
	}
	return c.attach.detach(region)
}
