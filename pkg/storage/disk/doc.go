// Package disk is a storage.Store in a folder of the local disk, or of a disk that several hosts
// mount.
//
// An object is a file named after its key. Put writes a temporary file beside it (.tmp-...),
// flushes it to the disk, renames it and flushes the folder: a reader of the key sees the old
// object or the new one, whole, also after a power cut. What a crashed Put leaves is removed by
// Sweep. Folders are made with mode 0700, files with 0600.
//
// Every access goes through os.Root, so no symbolic link leads out of the folder, and only regular
// files are objects. Names that differ in case only are different keys where the file system keeps
// them apart.
//
// A Store is safe for concurrent use, also by several processes; of simultaneous Puts of a key one
// wins, whole.
package disk
