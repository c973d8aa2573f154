package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"
	"time"
)

// main runs the program; an interrupt ends its children too.
func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// run reads the flags and measures what they ask for.
func run(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	rows := flags.String("rows", "200000,1000000", "numbers of rows, comma-separated")
	rounds := flags.Int("rounds", 3, "measurements of each writer")
	only := flags.String("only", "", "writers to measure, comma-separated; empty is all")
	jobs := flags.Bool("job", false, "measure whole exports from the databases")
	one := flags.String("one", "", "measure this writer in this process (used by the program itself)")
	source := flags.String("source", "", "database of -one")
	if err := flags.Parse(args); err != nil {
		return err
	}
	var counts []int
	for _, text := range strings.Split(*rows, ",") {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 {
			return fmt.Errorf("-rows: %q is no number of rows", text)
		}
		counts = append(counts, n)
	}
	if *rounds < 1 {
		return fmt.Errorf("-rounds: want 1 or more, got %d", *rounds)
	}
	// A child of this program: it measures itself and prints a sample as JSON.
	if *one != "" {
		return measureHere(ctx, out, *one, *source, counts[0])
	}
	if *jobs {
		return benchJobs(ctx, out, counts, *rounds)
	}
	return benchWriters(ctx, out, counts, *rounds, *only)
}

// sample is what one process measured of one file. Programs in other languages print it as JSON.
type sample struct {
	CPU  float64 // seconds, of all threads
	Wall float64 // seconds, to the finished file
	Peak int64   // bytes resident at most
	Size int64   // bytes of the file
}

// measure runs one writer in a process of its own: the peak of a process only grows, and garbage of
// one writer would be another's work.
func measure(ctx context.Context, w peer, source string, rows int) (sample, error) {
	var s sample
	command := w.command(source, rows)
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.Stderr = os.Stderr
	start := time.Now()
	out, err := cmd.Output()
	if err != nil {
		return s, fmt.Errorf("%s, %d rows: %w", w.name, rows, err)
	}
	if err := json.Unmarshal(out, &s); err != nil {
		return s, fmt.Errorf("%s: %w", w.name, err)
	}
	// Programs in other languages do not measure their time: theirs includes their start, some
	// hundredths of a second.
	if s.Wall == 0 {
		s.Wall = time.Since(start).Seconds()
	}
	return s, nil
}

// self is this program, for its children. Under `go run` it is a file that is gone afterwards.
func self() string {
	path, err := os.Executable()
	if err != nil {
		return os.Args[0]
	}
	return path
}
