// Package record holds what the parts of the export engine share: the documents of an export's
// job (Args, what was asked for; Detail, what is known so far), the export's own row beside the
// job, the event that is published for it, and the rule about who may see it.
//
// It is the leaf of pkg/export. The folders beside it (attempt, delivery, retention, routes) import
// it and, as a rule, not each other, so that what one of them keeps about an export has to pass
// through here. Everything is safe for concurrent use: values are copied and rows are the truth.
package record
