package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"text/tabwriter"

	"exporthub/pkg/export/xlsx"
)

// peer is a way to write a file. Exactly one of write, job and outside is set.
type peer struct {
	name  string
	write func(w io.Writer, from source) error
	// instead, from a database
	job func(ctx context.Context, database string, out io.Writer) error
	// outside, instead, returns the command of a program that does it; dir is there as long as the
	// bench runs. A missing is what it lacks on this machine.
	outside func(ctx context.Context, dir string) ([]string, error)
	program []string // what outside returned
}

// command is the process that writes a file: another program, or this one with -one.
func (p peer) command(source string, rows int) []string {
	if p.outside != nil {
		return append(slices.Clone(p.program), fmt.Sprint(rows))
	}
	return []string{self(), "-one", p.name, "-source", source, "-rows", fmt.Sprint(rows)}
}

// documented is the peer that all others are compared with: the way to write large workbooks in Go
// that its documentation shows.
const documented = "excelize"

// writers are what is compared; the first is the measure. rows-only writes nothing: what the others
// take beyond it is theirs.
var writers = []peer{
	{name: documented, write: streamWriter(0)},
	{name: "excelize-level1", write: streamWriter(1)},
	{name: "xlsx", write: ours(xlsx.Options{})},
	{name: "xlsx-1worker", write: ours(xlsx.Options{Workers: 1})},
	{name: "csv", write: oursCSV},
	{name: "rows-only", write: nowhere},
	{name: "libxlsxwriter", outside: compiled},
	{name: "xlsxwriter-python", outside: python},
}

// findPeer looks a name of -one up.
func findPeer(name string) (peer, bool) {
	for _, p := range slices.Concat(writers, plainJobs) {
		if p.name == name {
			return p, true
		}
	}
	return peer{}, false
}

// benchWriters compares the writers on generated rows, for each number of rows. Peers that this
// machine lacks are named and left out.
func benchWriters(ctx context.Context, out io.Writer, counts []int, rounds int, only string) error {
	dir, err := os.MkdirTemp("", "bench-*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	var peers []peer
	for _, p := range writers {
		if only != "" && !slices.Contains(strings.Split(only, ","), p.name) {
			continue
		}
		if p.outside != nil {
			p.program, err = p.outside(ctx, dir)
			// Not a failure: the comparison with what is installed is still worth having.
			if lacks, ok := errors.AsType[missing](err); ok {
				fmt.Fprintf(out, "%s: left out\n", lacks)
				continue
			}
			if err != nil {
				return err
			}
		}
		peers = append(peers, p)
	}
	for _, rows := range counts {
		if err := compare(ctx, out, fmt.Sprintf("%d rows x %d columns", rows, len(titles)), peers, "", rows, rounds); err != nil {
			return err
		}
	}
	return nil
}

// compare measures the peers in turns and prints medians, and ratios to the first one. Ratios are
// of each round's pair: a round in which the machine was busy then counts for both.
func compare(ctx context.Context, out io.Writer, title string, peers []peer, source string, rows, rounds int) error {
	samples := make([][]sample, len(peers))
	// Round by round and not peer by peer, so that what else the machine does in a minute hits all.
	for range rounds {
		for i, p := range peers {
			s, err := measure(ctx, p, source, rows)
			if err != nil {
				return err
			}
			samples[i] = append(samples[i], s)
		}
	}
	fmt.Fprintf(out, "\n%s, median of %d\n", title, rounds)
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "writer\tCPU s\twall s\tpeak MiB\tfile MB\tCPU ratio\twall ratio\tfile ratio\t")
	cpu := func(s sample) float64 { return s.CPU }
	wall := func(s sample) float64 { return s.Wall }
	size := func(s sample) float64 { return float64(s.Size) }
	peak := func(s sample) float64 { return float64(s.Peak) }
	for i, p := range peers {
		own := samples[i]
		fmt.Fprintf(t, "%s\t%.2f\t%.2f\t%.0f\t%.1f\t%.2fx\t%.2fx\t%.3f\t\n", p.name,
			median(own, cpu), median(own, wall), median(own, peak)/(1<<20), median(own, size)/1e6,
			ratio(samples[0], own, cpu), ratio(samples[0], own, wall), 1/ratio(samples[0], own, size))
	}
	return t.Flush()
}

// median and not the mean: one measurement beside a busy neighbour must not move it.
func median(samples []sample, of func(sample) float64) float64 {
	values := make([]float64, len(samples))
	for i, s := range samples {
		values[i] = of(s)
	}
	slices.Sort(values)
	return values[len(values)/2]
}

// ratio is the median of how many times a is b, round by round.
func ratio(a, b []sample, of func(sample) float64) float64 {
	values := make([]float64, len(a))
	for i := range a {
		// rows-only writes a file of no bytes.
		values[i] = of(a[i]) / max(of(b[i]), 1e-9)
	}
	slices.Sort(values)
	return values[len(values)/2]
}
