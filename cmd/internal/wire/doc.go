// Package wire builds what both commands start: database, Redis, identity, systems, job engine,
// export service, bus. Every dependency is made here, in order, and nowhere else; what was opened
// before a failure is closed again.
package wire
