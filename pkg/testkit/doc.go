// Package testkit gives tests the real things: Redis, PostgreSQL and MariaDB, a TCP proxy that cuts
// and stalls connections, a clock that is set, golden files, and waiting without sleeping.
//
// "make test" starts the servers once for all packages:
//
//	go run ./pkg/testkit/services -- go test ./...
//
// which passes their URLs to testkit in TESTKIT_REDIS_URL, TESTKIT_POSTGRES_URL and
// TESTKIT_MARIADB_URL. Without these variables, testkit starts a server of its own when the first
// test of a process asks for it. It ends with the process (on Linux even with a killed one; its
// directory is swept by the next run), or tidily, directory and all, in packages that have
//
//	func TestMain(m *testing.M) { testkit.Main(m) }
//
// A missing binary fails the test with the name of the package to install. A fresh database per
// test comes from database/dbtest.
//
// Everything is safe for concurrent use unless it says otherwise. Importing the package registers
// the flag -update.
package testkit
