// Package storage keeps finished files: a small Store interface, the keys and signed links around
// it. The adapters are storage/disk and storage/qiniu; storage/storagetest is the suite both pass.
//
// Keys are slash-separated, relative and clean ("export/1763726400_<uuid>.xlsx"); CheckKey refuses
// everything else, so that no adapter has to think about escaping its root. Stores are safe for
// concurrent use.
package storage
