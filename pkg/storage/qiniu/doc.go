// Package qiniu is a storage.Store on Qiniu Kodo. Objects are in a private bucket and are fetched
// over short-lived signed links; a public bucket beside it takes what anyone may see
// (storage.Direct).
//
// Small objects are sent as a form, larger ones in parts that are read from the source by position,
// several at a time. A part that fails is sent again by itself. When Put gives up for now
// (Unavailable), the parts that arrived are kept at Kodo and remembered here: the next Put of that
// key, by this Store, checks them against its source and sends the missing ones only. When it gives
// up for good, is cancelled, or the key is deleted, the unfinished upload is aborted; one that
// could not be aborted, or that no Put has resumed, is aborted by Sweep and Close. Kodo does not
// list what is unfinished: what a killed process leaves is known to others by Options.Ledger, and
// ended by their Abort. Ahead begins such an upload while the object is still being written
// (storage.IncrementalUploader): it sends the parts that are full, and leaves the rest to Put.
//
// Nothing Kodo says is taken on trust: the MD5 of every part, and the hash and size of the finished
// object, are compared with the source's, and the object is asked for before Put returns.
//
// Connections go to the configured hosts and domains and nowhere else: the dialer refuses any other
// address, proxies in the environment are ignored, and the SDK's telemetry, region queries and
// resolver are off. Credentials are the given ones only and appear in no error.
//
// A Store is safe for concurrent use. Memory is bounded by Threshold for a small object and by 64
// KiB for each part under way for a large one.
package qiniu
