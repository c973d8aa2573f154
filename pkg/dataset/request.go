package dataset

import "encoding/json"

// Request asks for an export: what a list's export button, or an API caller, hands to the engine.
type Request struct {
	Dataset string
	Format  string // name of a Format; empty is xlsx
	Filter  any    // what the dataset's NewFilter returned, filled
	// Values fill the filter in its place: a JSON object by the names of its fields. A name that
	// the filter does not have is refused.
	Values   json.RawMessage
	Columns  []string
	IDs      []int64
	Filename string // what the file is called, without extension; empty lets the engine choose
	// Repeatable says that the same request again, while the first one would still be waited for
	// (EXPORT_WAIT), is the first one: its client sends a request twice without saying so.
	Repeatable bool
	// RetryOf is the uuid of the export whose request this one repeats, if it does.
	RetryOf string
	// IdempotencyKey is what the client calls this request, so that the same one sent again is not
	// another; empty when it does not say.
	IdempotencyKey string
}

// Ticket is an accepted export.
type Ticket struct {
	UUID    string `json:"uuid"`
	Channel string `json:"channel" doc:"频道:订阅后收到该任务的进度"`
	// Filename is what the file will be called, without extension: that of the first request where
	// this one repeats it.
	Filename string `json:"-"`
}
