package record

import (
	"encoding/json"
	"strconv"
	"time"

	"exporthub/pkg/job"
)

// ChannelPrefix begins the names of the channels and streams of exports.
const ChannelPrefix = "/export/"

// Event is what the subscribers of an export receive. The seven documented fields come first and in
// the documented order, since old pages were seen to depend on it; ours follow.
type Event struct {
	Status   Status  `json:"status"`
	FileURL  *string `json:"file_url"`
	Progress int     `json:"progress"`
	Service  string  `json:"service"`
	UUID     string  `json:"uuid"`
	Count    *int64  `json:"count"`
	FileSize *int64  `json:"file_size"`

	Seq           uint64 `json:"seq"`
	Attempt       int    `json:"attempt"`
	UploadAttempt int    `json:"upload_attempt,omitempty"`
	Rows          *int64 `json:"rows,omitempty"`
	ETASeconds    *int64 `json:"eta_seconds,omitempty"`
	// Estimated says that Count is approximate, because an exact count took too long. The number of
	// rows that were written is always exact.
	Estimated bool `json:"count_estimated,omitempty"`
	// What of the data the file holds otherwise: texts that were cut, texts with invalid bytes,
	// dates out of span; Changed says the same in words.
	Cut       int64   `json:"cut,omitempty"`
	Replaced  int64   `json:"replaced,omitempty"`
	OutOfSpan int64   `json:"out_of_span,omitempty"`
	Changed   string  `json:"changed,omitempty"`
	Filename  string  `json:"filename,omitempty"`
	SHA256    string  `json:"sha256,omitempty"` // of the file, in hexadecimal digits
	Error     *Reason `json:"error,omitempty"`
	At        string  `json:"at"`
	Replayed  bool    `json:"replayed,omitempty"`
}

// Reason is why an export failed.
type Reason struct {
	Code    string `json:"code"`
	Message string `json:"message"`
}

// Event renders the export's current state. It is a pure function of the job's row, which is why a
// late subscriber can be sent the same event again. replayed marks one that was sent before.
func (e Export) Event(replayed bool) Event {
	v := Event{
		Status:   StatusOf(e.Job),
		Progress: e.Progress,
		Service:  e.Args.Service,
		UUID:     e.UUID,
		Seq:      e.Seq(),
		Attempt:  e.Attempt,
		At:       e.UpdatedAt.UTC().Format(time.RFC3339Nano),
		Replayed: replayed,
	}
	// A job that is queued again still carries the last attempt's figures. The next attempt reads
	// another snapshot, so they are not shown.
	if e.State != job.StateQueued {
		v.Count = e.Detail.Count
		v.FileSize = e.Detail.FileSize
		v.Rows = e.Detail.Rows
		v.UploadAttempt = e.Detail.UploadAttempt
		v.Estimated = e.Detail.Estimated
		v.Cut = e.Detail.Cut
		v.Replaced = e.Detail.Replaced
		v.OutOfSpan = e.Detail.OutOfSpan
		v.Changed = e.Detail.Changed()
	}
	// Without a worker nothing is left but waiting.
	if e.State == job.StateRunning && !e.Lost {
		v.ETASeconds = e.Detail.ETASeconds
	}
	if f := e.Detail.File; f != nil && e.State == job.StateSuccess {
		v.Filename = f.Filename
		v.SHA256 = f.SHA256
		if f.URL != "" {
			v.FileURL = &f.URL
		}
	}
	// In queued the failure is the last attempt's, and says why the job waits to be tried again.
	if e.Failure != nil && (e.State == job.StateFailure || e.State == job.StateQueued) {
		v.Error = &Reason{
			Code:    e.Failure.Code,
			Message: e.Failure.Message,
		}
	}
	return v
}

// JSON renders the export's current state as Event does, encoded.
func (e Export) JSON(replayed bool) json.RawMessage {
	data, err := json.Marshal(e.Event(replayed))
	if err != nil {
		panic(err) // a struct of plain fields always marshals
	}
	return data
}

// Streams are the streams under which the export's events are published.
func (e Export) Streams() []string {
	return []string{UserStream(e.OwnerID), JobStream(e.UUID)}
}

// UserStream is the stream of all exports of one person.
func UserStream(id int64) string { return ChannelPrefix + strconv.FormatInt(id, 10) }

// JobStream is the stream of one export.
func JobStream(uuid string) string { return ChannelPrefix + uuid }
