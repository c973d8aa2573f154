package record

import "encoding/json"

// Kind is the job kind of exports, as the rows of jobs name it.
const Kind = "export"

// Path is where an export's record is served; the uuid follows.
const Path = "/api/exports/"

// Args is what an attempt needs to run. It is written once, when the export is admitted, and stays
// readable for as long as the row is kept: a field may be added, but none renamed.
type Args struct {
	Dataset string `json:"dataset"`
	Service string `json:"service"`
	Format  string `json:"format"`
	// Filter is the dataset's own filter type as JSON; DecodeFilter reads it.
	Filter json.RawMessage `json:"filter"`
	// Columns are the keys that were asked for; nil stands for the dataset's default columns as
	// they are when the attempt runs, not as they were when it was admitted.
	Columns []string `json:"columns,omitempty"`
	IDs     []int64  `json:"ids,omitempty"`
	// Filename is without the extension, which belongs to the format.
	Filename string `json:"filename"`
}
