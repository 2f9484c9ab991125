package fabric_test

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/sublet-hpc/sublet/internal/fabric"
	"github.com/sublet-hpc/sublet/internal/statspage"
)

// Warm means that nothing spins: neither while it awaits its client nor afterwards.
func TestWarmSleeps(t *testing.T) {
	libfabric(t, func(t *testing.T, transport transport) {
		o := peerOptions{slots: 8, hot: 0, path: transport.path, provider: transport.provider}
		p := startExecutor(t, o)
		name, nonce := p.listen(o)
		p.waitForState(statspage.Warm)
		p.sleeps("before the client came")
		client, err := fabric.ConnectOFI(fabric.OFIOptions{Transport: o.path, Provider: o.provider, Name: name, Nonce: nonce, Slots: 8, Bells: p.bells})
		check(t, err)
		closeBells := p.close
		p.client, p.close = client, func() { client.Close(); closeBells() }
		buffer := p.region(fabric.Buffers, 2<<20)
		p.invoke("echo", buffer.payload(0, 1<<20), buffer.payload(1<<20, 1<<20))
		p.waitForState(statspage.Warm)
		p.sleeps("after an invocation")
	})
}

func (p *peer) sleeps(when string) {
	p.t.Helper()
	used := func() int {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.command.Process.Pid))
		check(p.t, err)
		fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+2:]))
		var user, system int
		_, err = fmt.Sscan(fields[11]+" "+fields[12], &user, &system)
		check(p.t, err)
		return user + system
	}
	before := used()
	time.Sleep(200 * time.Millisecond) // what it does in this time is measured
	if ticks := used() - before; ticks > 5 {
		p.t.Errorf("%s a sleeping executor used %d ticks in 200 ms", when, ticks)
	}
}
