// Package export turns lists into files: it admits requests within each person's limits, runs them as durable jobs, and
// hands out the finished files.
//
// A Service queues (Queue), runs (Kind, given to the job engine), tells (Render, Channels) and serves (Routes). It knows
// datasets, formats and stores by their interfaces only.
//
// Admission is one transaction: the person's slot, the place in the day, and the job with its row here. They change
// together and never apart, so none can leak. Everything is safe for concurrent use, on any number of processes.
package export
