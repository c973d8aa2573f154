//go:build race

package program

// raceEnabled builds the programs with the race detector where the tests are built with it, so that
// "go test -race ./test/..." races the programs and not only the tests around them.
const raceEnabled = true
