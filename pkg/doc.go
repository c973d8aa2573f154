// Package pkg is the map of this folder; it holds no code.
//
// Each folder is a noun that a user or an operator would say, and stands in one band. Arrows point
// down only; arch_test.go holds the code to them.
//
//	edges      bayeux (the socket)          beside it: jobs (the queue), web (the page)
//	use cases  admin/all > admin/<system>   export > job, storage
//	contract   dataset                      what systems, engine and formats agree on
//	ground     auth httpapi database event search errs page backoff telemetry ratelimit config
//
// A system never imports another, nor the engine: they meet in admin.Deps and admin.Module. The
// engine never imports a format or a store's adapter. cmd fits everything together, in
// cmd/internal/wire.
package pkg
