package job

// State is where a job stands. The names are part of the documented progress events.
type State string

// The states in the order in which a job passes them.
const (
	StateQueued        State = "queued"
	StateStarting      State = "starting"       // a worker has taken it
	StateStart         State = "start"          // the extent of the work is known
	StateWritingFile   State = "writing_file"   // rows are being written
	StateBeforeUpload  State = "before_upload"  // the file is complete
	StateUploading     State = "uploading"      // the file is being sent
	StateUploadFailure State = "upload_failure" // the last try to send it failed; failure follows
	StateSuccess       State = "success"
	StateFailure       State = "failure"
	StateCancelled     State = "cancelled"
)
