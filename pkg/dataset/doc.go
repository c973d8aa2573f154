// Package dataset is the contract between the systems and the export engine: what can be exported,
// as data.
//
// A system declares a Dataset: its name, who may export it, its filter, its typed columns and a
// query that streams. The list page, the export, the permission check and the column picker read
// this one declaration; the engine never learns what an invitation is. A format (xlsx, csv)
// implements Writer and knows columns and values, nothing else.
//
// Define builds a Dataset from typed parts. Registries and Datasets are immutable once built and
// safe for concurrent use; a Writer and the slice a Rows iteration yields belong to one goroutine.
package dataset
