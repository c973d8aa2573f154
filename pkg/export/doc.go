// Package export turns lists into files: it admits requests within each person's limits, runs
// them as durable jobs, and hands out the finished files.
//
// The package itself is admission and its limits, and the Service that fits the parts together. The
// parts are folders, over one leaf:
//
//	record     the leaf: the documents of an export's job, its row, its event, who may see it
//	attempt    the run: reading rows, writing the file, uploading it
//	delivery   links to files, waiting for files, the audit of downloads
//	retention  the clean-up of files, uploads and old rows, and the comparison of counters with rows
//	routes     the engine over HTTP
//	xlsx, csv  formats
//
// The engine knows datasets, formats and stores by their interfaces only.
//
// Admission is one transaction: the person's active quota, the daily quota, and the job with its
// row here. They change together, so none can leak. Everything is safe for concurrent use, on any
// number of processes.
package export
