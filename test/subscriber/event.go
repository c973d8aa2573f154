package subscriber

import "strings"

// Event is what subscribers read of an event: of a job, of a decision, of a message.
type Event struct {
	UUID          string  `json:"uuid"`
	Service       string  `json:"service"`
	Status        string  `json:"status"`
	Progress      int     `json:"progress"`
	Count         *int64  `json:"count"`
	FileURL       *string `json:"file_url"`
	FileSize      *int64  `json:"file_size"`
	Attempt       int     `json:"attempt"`
	UploadAttempt int     `json:"upload_attempt"`
	Rows          *int64  `json:"rows"`
	ETASeconds    *int64  `json:"eta_seconds"`
	At            string  `json:"at"`
	Replayed      bool    `json:"replayed"`
	Seq           uint64  `json:"seq"` // orders the events of one export; 0 of everything else

	ID      int64               `json:"id"` // of a single decision
	Done    int                 `json:"done"`
	Total   int                 `json:"total"`
	Failed  int                 `json:"failed"`
	Message *struct{ ID int64 } `json:"message"`
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
