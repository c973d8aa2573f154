// Package telemetry is how the program is seen from outside while it runs: structured logs,
// Prometheus metrics and the two health answers. It imports nothing of ours. Everything in it is
// safe for concurrent use.
package telemetry
