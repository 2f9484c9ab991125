package server

import (
	"bufio"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
)

// established is a connection's state as the kernel writes it: both ends are open. Of what is being closed
// it no longer knows whose it was, and says user 0.
const established = "01"

// userOf asks the kernel whose the other end of a connection on this host is: the peer's socket is in its
// table with the addresses the other way around. found is false where it is not: it belongs to another
// host or network namespace, or is closed.
func userOf(peer, ours netip.AddrPort) (uid int, found bool, err error) {
	for _, table := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		file, err := os.Open(table)
		if errors.Is(err, fs.ErrNotExist) {
			continue // a kernel without IPv6
		}
		if err != nil {
			return 0, false, fmt.Errorf("asking whose a connection is: %w", err)
		}
		uid, found, err = findSocket(bufio.NewScanner(file), peer, ours)
		file.Close()
		if found || err != nil {
			return uid, found, err
		}
	}
	return 0, false, nil
}

// findSocket looks for the socket from local to remote in one of the kernel's tables:
//
//	sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
//	 0: 0100007F:1388 0100007F:D2F4 01 00000000:00000000 00:00000000 00000000  1000        0 12345 ...
func findSocket(table *bufio.Scanner, local, remote netip.AddrPort) (uid int, found bool, err error) {
	for table.Scan() {
		fields := strings.Fields(table.Text())
		if len(fields) < 10 || fields[3] != established || fields[9] == "0" { // the head, or nobody's
			continue
		}
		if from, ok := socketAddress(fields[1]); !ok || from != canonical(local) {
			continue
		}
		if to, ok := socketAddress(fields[2]); !ok || to != canonical(remote) {
			continue
		}
		if uid, err = strconv.Atoi(fields[7]); err != nil {
			return 0, false, fmt.Errorf("asking whose a connection is: the kernel says user %q", fields[7])
		}
		return uid, true, nil
	}
	return 0, false, table.Err()
}

// canonical is an address without the dress of IPv6 around one of IPv4.
func canonical(address netip.AddrPort) netip.AddrPort {
	return netip.AddrPortFrom(address.Addr().Unmap().WithZone(""), address.Port())
}

// socketAddress reads the kernel's: words of 32 bits in the order of this machine's bytes, which is that
// of all machines that Sublet runs on, the least first.
func socketAddress(text string) (netip.AddrPort, bool) {
	host, port, _ := strings.Cut(text, ":")
	raw, err := hex.DecodeString(host)
	number, portErr := strconv.ParseUint(port, 16, 16)
	if err != nil || portErr != nil || len(raw)%4 != 0 {
		return netip.AddrPort{}, false
	}
	for word := range slices.Chunk(raw, 4) {
		slices.Reverse(word)
	}
	address, ok := netip.AddrFromSlice(raw)
	return canonical(netip.AddrPortFrom(address, uint16(number))), ok
}
