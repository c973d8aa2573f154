package record

import (
	"fmt"
	"strings"
	"time"

	"exporthub/pkg/dataset"
	"exporthub/pkg/errs"
)

// Detail is what is known of an export so far. The job's row keeps it, and each of the attempt's
// steps replaces it whole, so a reader never sees half of an update. Pointers tell "unknown yet"
// from zero: an export of no rows has a count of 0.
type Detail struct {
	Count         *int64 `json:"count,omitempty"`
	Rows          *int64 `json:"rows,omitempty"`
	ETASeconds    *int64 `json:"eta_seconds,omitempty"`
	FileSize      *int64 `json:"file_size,omitempty"` // bytes
	UploadAttempt int    `json:"upload_attempt,omitempty"`
	File          *File  `json:"file,omitempty"`            // once it can be fetched
	Estimated     bool   `json:"count_estimated,omitempty"` // of Count
	Cut           int64  `json:"cut,omitempty"`
	Replaced      int64  `json:"replaced,omitempty"`
	OutOfSpan     int64  `json:"out_of_span,omitempty"`
}

// ProgressWritten is the progress, in percent, from which on the file is complete. Before it
// nothing is in the store, but for parts that were uploaded ahead.
const ProgressWritten = 90

// ObjectPrefix begins the keys of the files of all exports.
const ObjectPrefix = "export/"

// LinkTTL is how long a redirect to the store's own link is good: as long as a download needs to
// begin. The clean-up keeps expired files for at least as long.
const LinkTTL = 5 * time.Minute

// File is a finished file in the store.
type File struct {
	Key         string `json:"key"`
	Filename    string `json:"filename"` // with its extension
	ContentType string `json:"content_type"`
	Size        int64  `json:"size"` // bytes
	// SHA256 is of the whole file, in hexadecimal digits; empty in rows of before it was taken.
	SHA256    string    `json:"sha256,omitempty"`
	URL       string    `json:"url"`
	ExpiresAt time.Time `json:"expires_at"`
	// Columns are what the file holds, so that a link can be compared with what its owner may see
	// later.
	Columns []FileColumn `json:"columns,omitempty"`
}

// FileColumn is a column as a file holds it.
type FileColumn struct {
	Key    string `json:"key"`
	Masked bool   `json:"masked,omitempty"`
}

// Changed says in words what of the data the file holds otherwise; it is empty when the file holds
// everything unchanged. The words are part of the record, the event and the message, which have to
// agree.
func (d Detail) Changed() string {
	var parts []string
	for _, p := range []struct {
		count int64
		words string
	}{
		{d.Cut, "%s 处文字超过单元格的长度上限，已截断"},
		{d.Replaced, "%s 处文字含有无效字符，已替换为 \uFFFD"},
		{d.OutOfSpan, "%s 个日期超出可表示的范围，已改为文字或留空"},
	} {
		if p.count > 0 {
			parts = append(parts, fmt.Sprintf(p.words, errs.Number(p.count)))
		}
	}
	return strings.Join(parts, ";")
}

// Written returns the columns of the export's file as the file holds them. It needs a Detail.File.
func (e Export) Written(set dataset.Dataset) []dataset.Column {
	var columns []dataset.Column
	for _, c := range e.Detail.File.Columns {
		columns = append(columns, dataset.Column{Key: c.Key, Masked: c.Masked})
	}
	if columns != nil {
		return columns
	}
	// Files from before columns could be hidden don't say what they hold. They hold what was asked
	// for, unmasked, and with nothing asked for every column of the list.
	for _, key := range e.Args.Columns {
		columns = append(columns, dataset.Column{Key: key})
	}
	if columns == nil {
		return set.Columns
	}
	return columns
}
