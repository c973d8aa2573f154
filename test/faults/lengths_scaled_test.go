//go:build !faults

package faults

import "time"

// length is how long faults last and what is promised after them, scaled down.
var length = lengths{
	scaled: true,
	lease:  1500 * time.Millisecond, takeover: 10 * time.Second, outage: 4 * time.Second, stall: 5 * time.Second,
}
