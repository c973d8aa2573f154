// Package releases tests this release beside the one before it, both built from their commits, on
// one database and one Redis, as a deploy has them for a while. docs/releases.md has what is
// promised.
package releases
