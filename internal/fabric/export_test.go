package fabric

import "time"

// What only tests may do to a client.

var NewTrial = newTrial

func (c *Client) Arrives(number uint32, bytes []byte) bool { return c.arrives(number, bytes) }

func (c *Client) SubmitRaw(request []byte) (uint64, error) { return c.submitRaw(request) }

const ProbeRest = probeRest

// PatienceLeft is what is left of a probe's patience after turns that took so long.
func PatienceLeft(turns ...time.Duration) time.Duration {
	now := time.Now()
	p := patience{last: now, left: probePatience}
	for _, turn := range turns {
		now = now.Add(turn)
		p.isOver(now)
	}
	return p.left
}
