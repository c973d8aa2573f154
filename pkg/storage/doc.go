// Package storage keeps finished files: a small Store interface, the keys and signed links around
// it. The adapters are storage/disk and storage/qiniu; storage/storagetest is the suite both pass.
//
// What a store may offer beyond Store is an interface of its own, found by a type assertion: Direct
// (browsers send files to it), IncrementalUploader (a file is sent while it is written), Aborter
// (uploads of a killed process can be ended). Code that uses one works without it, more slowly.
//
// Keys are slash-separated, relative and clean ("export/1763726400_<uuid>.xlsx"); CheckKey refuses
// everything else, so that no adapter has to think about escaping its root. Stores are safe for
// concurrent use.
package storage
