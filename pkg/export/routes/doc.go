// Package routes is the export engine over HTTP: the record of an export, its cancellation, and the
// downloads of files. It decodes, asks the other parts of the engine, and words the answers.
package routes
