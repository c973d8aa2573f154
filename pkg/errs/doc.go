// Package errs is the one error type of the program: what kind of failure it is, what may be said
// of it to the person who asked, and what caused it.
//
// Kinds meet the outside in two tables only: httpapi maps them to statuses and envelopes, job maps
// them to "try again" or "fail". Everything between returns errors and handles none twice.
//
// Values are immutable once made; everything here is safe for concurrent use.
package errs
