package subscriber

import "strings"

// Event is what subscribers read of an event of a job.
type Event struct {
	UUID     string  `json:"uuid"`
	Service  string  `json:"service"`
	Status   string  `json:"status"`
	Progress int     `json:"progress"`
	Count    *int64  `json:"count"`
	FileURL  *string `json:"file_url"`
	FileSize *int64  `json:"file_size"`
	Attempt  int     `json:"attempt"`
	Replayed bool    `json:"replayed"`
	Seq      uint64  `json:"seq"` // orders the events of one job
}

// Over reports whether the event is an end of its job.
func Over(e Event) bool { return IsEnd(e.Status) }

// IsEnd reports whether a status is one that a job ends with.
func IsEnd(status string) bool {
	return status == "success" || status == "failure" || status == "cancelled"
}

// EndOf accepts the end of one job and of no other.
func EndOf(uuid string) func(Event) bool {
	return func(e Event) bool { return e.UUID == uuid && Over(e) }
}

// Stages are the statuses in order, each once as long as it lasts.
func Stages(events []Event) string {
	var names []string
	for _, e := range events {
		if len(names) == 0 || names[len(names)-1] != e.Status {
			names = append(names, e.Status)
		}
	}
	return strings.Join(names, " ")
}
