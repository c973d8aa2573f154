package localserver

import (
	"errors"
	"math/rand/v2"
	"net"
	"strconv"
)

// Ports are looked for below those that systems give to outgoing connections (32768 on Linux, 49152
// elsewhere), so that a server that was killed for a while finds its port free again.
const (
	firstPort = 15_000
	lastPort  = 30_000
	portTries = 1000
)

// FreeAddress is a loopback address that no process listens on and that is not in taken, to which
// it is added. Another process may take it before the server does: then the server ends at once.
func FreeAddress(taken map[string]bool) (string, error) {
	for range portTries {
		port := firstPort + rand.IntN(lastPort-firstPort)
		address := net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
		if taken[address] {
			continue
		}
		// Asked at random and not from the kernel, which hands out ports of the range above.
		l, err := net.Listen("tcp", address)
		if err != nil {
			continue
		}
		taken[address] = true
		return address, l.Close()
	}
	return "", errors.New("no free loopback port found between 15000 and 30000")
}
