package record

import "time"

// Quota is what a person has used of their limits.
type Quota struct {
	Active    int // queued and running
	MaxActive int
	Used      int // of the day
	MaxDaily  int
	ResetsAt  time.Time // when the next day begins
}
