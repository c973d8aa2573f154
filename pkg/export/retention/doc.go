// Package retention removes what exports leave behind: files whose retention is over, objects that
// belong to no job, uploads that nobody will finish, spool files of killed workers, and the rows of
// old exports. It also compares the counters of quotas with the rows they count (Differences).
//
// Every step may be aborted anywhere and run again: rows say which files are gone, and the walks
// over objects and uploads continue where they stopped.
package retention
