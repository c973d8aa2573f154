// Command ran runs "go test" and fails when a pattern found no test, which go test itself passes:
//
//	go run ./pkg/testkit/ran Golden Diagram -- go test ./... -run 'Golden|Diagram'
//
// Each pattern before the dashes is a regular expression that the name of a test, benchmark or fuzz
// target has to match that really ran; a skipped one did not. So a test that is renamed or moved
// away takes the target of the Makefile that names it with it, where it would have gone unseen.
//
// The output is that of "go test -v" for what failed and a line for each package; -v in the command
// prints everything.
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
)

// Exit codes of this command, beside the tests' own.
const (
	exitFailure = 1
	exitUsage   = 2
)

func main() {
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

func run(args []string, out, errs io.Writer) int {
	dashes := slices.Index(args, "--")
	if dashes < 1 || len(args) < dashes+3 || args[dashes+2] != "test" {
		fmt.Fprintln(errs, "usage: ran pattern [pattern ...] -- go test [argument ...]")
		return exitUsage
	}
	var wanted []*regexp.Regexp
	for _, pattern := range args[:dashes] {
		compiled, err := regexp.Compile(pattern)
		if err != nil {
			fmt.Fprintln(errs, "ran:", err)
			return exitUsage
		}
		wanted = append(wanted, compiled)
	}
	command := args[dashes+1:]
	cmd := exec.Command(command[0], slices.Concat([]string{"test", "-json"}, command[2:])...)
	cmd.Stderr = errs
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		fmt.Fprintln(errs, "ran:", err)
		return exitFailure
	}
	if err := cmd.Start(); err != nil {
		fmt.Fprintln(errs, "ran:", err)
		return exitFailure
	}
	// Read to the end before Wait, which closes the pipe.
	names := report(stdout, out, slices.Contains(command, "-v"))
	if err := cmd.Wait(); err != nil {
		// Failed tests are what CI reports; that a pattern found none of them would only distract.
		var exit *exec.ExitError
		if errors.As(err, &exit) && exit.ExitCode() > 0 {
			return exit.ExitCode()
		}
		fmt.Fprintln(errs, "ran:", err)
		return exitFailure
	}
	return missing(wanted, names, errs)
}

// missing reports each pattern that matches none of the names, and returns the exit code.
func missing(wanted []*regexp.Regexp, names []string, errs io.Writer) int {
	code := 0
	for _, pattern := range wanted {
		if !slices.ContainsFunc(names, pattern.MatchString) {
			fmt.Fprintf(errs, "ran: no test matches %q: it was renamed, moved or skipped\n", pattern)
			code = exitFailure
		}
	}
	return code
}

// event is a line of "go test -json", as "go doc test2json" describes it.
type event struct {
	Action  string
	Package string
	Test    string
	Output  string
}

// report prints events as they come and returns the names of what ran. The output of a test is kept
// until it is known how it ended: of those that pass nothing is printed unless all is asked for.
func report(from io.Reader, out io.Writer, all bool) (names []string) {
	kept := map[string]*strings.Builder{}
	lines := bufio.NewReader(from)
	for {
		line, err := lines.ReadBytes('\n')
		if len(line) > 0 {
			names = append(names, take(line, kept, out, all)...)
		}
		if err != nil {
			return names
		}
	}
}

// take handles one line and returns the name of a test that has just ended, if one has.
func take(line []byte, kept map[string]*strings.Builder, out io.Writer, all bool) []string {
	var e event
	if json.Unmarshal(line, &e) != nil {
		_, _ = out.Write(line) // what the build prints is no JSON
		return nil
	}
	key := e.Package + " " + e.Test
	switch e.Action {
	case "output", "build-output":
		if all || e.Test == "" || strings.HasPrefix(e.Test, "Benchmark") {
			fmt.Fprint(out, e.Output)
			return nil
		}
		if kept[key] == nil {
			kept[key] = &strings.Builder{}
		}
		kept[key].WriteString(e.Output)
	case "fail":
		if kept[key] != nil {
			fmt.Fprint(out, kept[key])
		}
		delete(kept, key)
	case "run": // all that a benchmark has: no event says that it ended
		if strings.HasPrefix(e.Test, "Benchmark") {
			return []string{e.Test}
		}
	case "pass":
		delete(kept, key)
		if e.Test != "" {
			return []string{e.Test}
		}
	case "skip":
		delete(kept, key)
	}
	return nil
}
