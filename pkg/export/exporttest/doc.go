// Package exporttest is a whole export engine for the tests of its parts, over real ones: a
// database, Redis, a disk. Only tests import it.
package exporttest
