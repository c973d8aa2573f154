// Package faults breaks the running system on purpose: processes are killed and stopped, Redis and
// the database are cut off and stalled, disks fill up. Afterwards everything that was accepted has
// ended once, and nothing is left behind.
//
// The lengths of outages are scaled down in "make test" and real with the build tag faults.
// TestSoak needs the build tag soak.
package faults
