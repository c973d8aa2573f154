//go:build faults

package faults

import "time"

// length is how long faults last and what is promised after them, as documented.
var length = lengths{lease: 10 * time.Second, takeover: 15 * time.Second, outage: time.Minute, stall: 45 * time.Second}
