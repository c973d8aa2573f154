package record

import "exporthub/pkg/job"

// Status is what the documents call the state of an export: the stage of one that runs, else its
// state. Pages, links and old front ends compare these words, so they don't change.
type Status string

// The statuses in the order in which an export passes them.
const (
	StatusQueued        Status = "queued"
	StatusStarting      Status = "starting"       // a worker has taken it
	StatusStart         Status = "start"          // the number of rows is known
	StatusWritingFile   Status = "writing_file"   // rows are being written
	StatusBeforeUpload  Status = "before_upload"  // the file is complete
	StatusUploading     Status = "uploading"      // the file is being sent
	StatusUploadFailure Status = "upload_failure" // the last try to send it failed; failure follows
	StatusSuccess       Status = "success"
	StatusFailure       Status = "failure"
	StatusCancelled     Status = "cancelled"
	// StatusExpired takes the place of success once the file's retention is over. The job stays
	// what it was.
	StatusExpired Status = "expired"
)

// The stages of a running export.
const (
	StageStarting      = job.Stage(StatusStarting)
	StageStart         = job.Stage(StatusStart)
	StageWritingFile   = job.Stage(StatusWritingFile)
	StageBeforeUpload  = job.Stage(StatusBeforeUpload)
	StageUploading     = job.Stage(StatusUploading)
	StageUploadFailure = job.Stage(StatusUploadFailure)
)

// CodeUploadFailed is the code of a file that could not be stored.
const CodeUploadFailed = "upload_failed"

// CodeUnreadable is the code of a stored row that can't be read.
const CodeUnreadable = "unreadable_row"

// Stages is what may follow what while an export runs. Old pages take upload_failure for the end,
// so nothing but failure follows it, and a worker that is lost there is not replaced.
func Stages() []job.StageSpec {
	return []job.StageSpec{
		{Name: StageStarting, Next: []job.Stage{StageStart}},
		{Name: StageStart, Next: []job.Stage{StageWritingFile}},
		{Name: StageWritingFile, Next: []job.Stage{StageBeforeUpload}},
		{
			Name:     StageBeforeUpload,
			Next:     []job.Stage{StageUploading, StageUploadFailure},
			Succeeds: true,
		},
		{
			Name:     StageUploading,
			Next:     []job.Stage{StageUploadFailure},
			Succeeds: true,
		},
		{
			Name: StageUploadFailure,
			Fails: &job.Failure{
				Kind:    "unavailable",
				Code:    CodeUploadFailed,
				Message: "文件上传失败，请稍后重新提交",
			},
		},
	}
}

// StatusOf is the status of an export's job.
func StatusOf(j job.Job) Status {
	if j.State == job.StateRunning {
		return Status(j.Stage)
	}
	return Status(j.State)
}

// Ended reports whether an export with this status is over for good.
func (s Status) Ended() bool {
	return s == StatusSuccess || s == StatusFailure || s == StatusCancelled || s == StatusExpired
}
