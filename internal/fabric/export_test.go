package fabric

// What only tests may do to a client.

var NewTrial = newTrial

func (c *Client) Arrives(number uint32, bytes []byte) bool { return c.arrives(number, bytes) }

func (c *Client) SubmitRaw(request []byte) (uint64, error) { return c.submitRaw(request) }
