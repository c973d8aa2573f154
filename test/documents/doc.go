// Package documents holds the running system to the documents it was built from: their examples are
// replayed and the answers' keys, types and literal texts compared with golden files.
package documents
