package record

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"time"
)

// Kind is the job kind of exports, as the rows of jobs name it.
const Kind = "export"

// Collection is where exports are asked for and listed.
const Collection = "/api/exports"

// KeyFor is how long an idempotency key means the request that it came with first.
const KeyFor = 24 * time.Hour

// Path is where an export's record is served; the uuid follows.
const Path = Collection + "/"

// Args is what an attempt needs to run. It is written once, when the export is admitted, and stays
// readable for as long as the row is kept: a field may be added, but none renamed.
type Args struct {
	Dataset string `json:"dataset"`
	Service string `json:"service"`
	Format  string `json:"format"`
	// Filter is the dataset's own filter type as JSON; Args.Selection decodes it.
	Filter json.RawMessage `json:"filter"`
	// Columns are the keys that were asked for; nil stands for the dataset's default columns as
	// they are when the attempt runs, not as they were when it was admitted.
	Columns []string `json:"columns,omitempty"`
	IDs     []int64  `json:"ids,omitempty"`
	// Filename is without the extension, which belongs to the format.
	Filename string `json:"filename"`
	// RetryOf is the export whose request this one repeats, if it is one.
	RetryOf string `json:"retry_of,omitempty"`
}

// Fingerprint is the same for two requests exactly when they ask for the same rows and columns in
// the same format. The name of the file is left out, since clients that repeat a request may make
// up a new one, and so is what the request repeats.
func (a Args) Fingerprint() string {
	a.Filename = ""
	a.RetryOf = ""
	data, err := json.Marshal(a)
	if err != nil {
		panic(err) // plain fields always marshal, and Filter was marshalled before
	}
	return HashOf(string(data))
}

// HashOf is the SHA-256 of a text, as rows hold it.
func HashOf(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}
