package dataset

// Request asks for an export: what a list's export button, or an API caller, hands to the engine.
type Request struct {
	Dataset  string
	Format   string // name of a Format; empty is xlsx
	Filter   any    // what the dataset's NewFilter returned, filled
	Columns  []string
	IDs      []int64
	Filename string // what the file is called, without extension; empty lets the engine choose
	// Repeatable says that the same request again, while the first one would still be waited for
	// (EXPORT_WAIT), is the first one: its client sends a request twice without saying so.
	Repeatable bool
}

// Ticket is an accepted export.
type Ticket struct {
	UUID    string `json:"uuid"`
	Channel string `json:"channel" doc:"频道:订阅后收到该任务的进度"`
	// Filename is what the file will be called, without extension: that of the first request where
	// this one repeats it.
	Filename string `json:"-"`
}
