// Package dbtest gives each test a fresh database on the engines we run on: SQLite, PostgreSQL and
// MariaDB, real ones.
//
//	dbtest.Each(t, []fs.FS{crm.Migrations}, func(t *testing.T, db *database.DB) { ... })
//
// DBTEST_ENGINES=PostgreSQL runs them on that engine alone, as the race detector's target does.
//
// Tests may run in parallel. A database is dropped with its test.
package dbtest
