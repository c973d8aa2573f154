package export

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"exporthub/pkg/job"
)

// detail is what is known of an export so far; the job's row keeps it.
type detail struct {
	Count         *int64      `json:"count,omitempty"`
	Rows          *int64      `json:"rows,omitempty"`
	ETASeconds    *int64      `json:"eta_seconds,omitempty"`
	FileSize      *int64      `json:"file_size,omitempty"`
	UploadAttempt int         `json:"upload_attempt,omitempty"`
	File          *storedFile `json:"file,omitempty"`            // once it can be fetched
	Estimated     bool        `json:"count_estimated,omitempty"` // of Count
	Cut           int64       `json:"cut,omitempty"`
	Replaced      int64       `json:"replaced,omitempty"`
	OutOfSpan     int64       `json:"out_of_span,omitempty"`
}

// storedFile is a finished file in the store.
type storedFile struct {
	Key         string    `json:"key"`
	Filename    string    `json:"filename"`
	ContentType string    `json:"content_type"`
	Size        int64     `json:"size"`
	URL         string    `json:"url"`
	ExpiresAt   time.Time `json:"expires_at"`
	// Columns are what the file holds, so that a link can be compared with what its owner may see later.
	Columns []fileColumn `json:"columns,omitempty"`
}

// fileColumn is a column as a file holds it.
type fileColumn struct {
	Key    string `json:"key"`
	Masked bool   `json:"masked,omitempty"`
}

// event is what followers of an export receive: the seven documented fields first, in the documented order, then ours.
type event struct {
	Status   job.State `json:"status"`
	FileURL  *string   `json:"file_url"`
	Progress int       `json:"progress"`
	Service  string    `json:"service"`
	UUID     string    `json:"uuid"`
	Count    *int64    `json:"count"`
	FileSize *int64    `json:"file_size"`

	Seq           uint64 `json:"seq"`
	Attempt       int    `json:"attempt"`
	UploadAttempt int    `json:"upload_attempt,omitempty"`
	Rows          *int64 `json:"rows,omitempty"`
	ETASeconds    *int64 `json:"eta_seconds,omitempty"`
	// Estimated says that count is about right only, since counting takes too long. What is written is counted exactly.
	Estimated bool `json:"count_estimated,omitempty"`
	// What of the data the file holds otherwise: texts that were cut, texts with invalid bytes, dates out of span; and
	// that in words.
	Cut       int64   `json:"cut,omitempty"`
	Replaced  int64   `json:"replaced,omitempty"`
	OutOfSpan int64   `json:"out_of_span,omitempty"`
	Changed   string  `json:"changed,omitempty"`
	Filename  string  `json:"filename,omitempty"`
	Error     *reason `json:"error,omitempty"`
	At        string  `json:"at"`
	Replayed  bool    `json:"replayed,omitempty"`
}

// reason is why an export failed.
type reason struct {
	Code    string `json:"code"`
	Message string `json:"message"`
}

// exportJob is an export's job with its two documents read.
type exportJob struct {
	job.Job
	payload payload
	detail  detail
}

func readJob(j job.Job) (exportJob, error) {
	e := exportJob{Job: j}
	if err := json.Unmarshal(j.Payload, &e.payload); err != nil {
		return e, fmt.Errorf("payload of export %s: %w", j.UUID, err)
	}
	if len(j.Detail) > 0 {
		if err := json.Unmarshal(j.Detail, &e.detail); err != nil {
			return e, fmt.Errorf("detail of export %s: %w", j.UUID, err)
		}
	}
	return e, nil
}

// changed says in words what of the data the file holds otherwise; nothing when it holds everything as it is.
func (d detail) changed() string {
	var parts []string
	for _, p := range []struct {
		count int64
		words string
	}{
		{d.Cut, "%d 处文字超过单元格的长度上限，已截断"},
		{d.Replaced, "%d 处文字含有无效字符，已替换为 \uFFFD"},
		{d.OutOfSpan, "%d 个日期超出可表示的范围，已改为文字或留空"},
	} {
		if p.count > 0 {
			parts = append(parts, fmt.Sprintf(p.words, p.count))
		}
	}
	return strings.Join(parts, ";")
}

// event tells the export as it stands.
func (e exportJob) event(replayed bool) event {
	v := event{
		Status: e.State, Progress: e.Progress, Service: e.payload.Service, UUID: e.UUID,
		Seq: e.Seq(), Attempt: e.Attempt, At: e.UpdatedAt.UTC().Format(time.RFC3339Nano), Replayed: replayed,
	}
	if e.State != job.StateQueued {
		v.Count, v.FileSize, v.Rows = e.detail.Count, e.detail.FileSize, e.detail.Rows
		v.UploadAttempt = e.detail.UploadAttempt
		v.Estimated, v.Cut, v.Replaced, v.OutOfSpan = e.detail.Estimated, e.detail.Cut, e.detail.Replaced, e.detail.OutOfSpan
		v.Changed = e.detail.changed()
	}
	if e.State != job.StateQueued && !e.State.Ended() {
		v.ETASeconds = e.detail.ETASeconds
	}
	if f := e.detail.File; f != nil && e.State == job.StateSuccess {
		v.Filename = f.Filename
		if f.URL != "" {
			v.FileURL = &f.URL
		}
	}
	if e.Failure != nil && (e.State == job.StateFailure || e.State == job.StateQueued) {
		v.Error = &reason{Code: e.Failure.Code, Message: e.Failure.Message}
	}
	return v
}

func (e exportJob) render(replayed bool) json.RawMessage {
	data, err := json.Marshal(e.event(replayed))
	if err != nil {
		panic(err) // a struct of plain fields always marshals
	}
	return data
}

// render is the kind's Render. A job whose documents can't be read is told by its row alone.
func render(j job.Job) (json.RawMessage, []string) {
	e, _ := readJob(j)
	return e.render(false), []string{userStream(j.OwnerID), jobStream(j.UUID)}
}

func userStream(id int64) string   { return channelPrefix + strconv.FormatInt(id, 10) }
func jobStream(uuid string) string { return channelPrefix + uuid }
