package main

import (
	"fmt"
	"io"
	"sort"
)

// print writes the figures with their aims and returns how many aims are missed.
func (f *figures) print(out io.Writer, list bool) int {
	missed := 0
	row := func(name, value, aim string, ok bool) {
		mark := ""
		if !ok {
			mark = "  missed"
			missed++
		}
		fmt.Fprintf(out, "%-52s %12s   %-14s%s\n", name, value, aim, mark)
	}
	plain := func(name, value string) { row(name, value, "", true) }
	share := percent(f.comments, f.lines-f.blank)
	reasons := percent(f.commentsInside, f.codeInside)

	plain("files (no tests)", fmt.Sprint(f.files))
	plain("lines", fmt.Sprint(f.lines))
	row("comment lines, % of lines that are not blank", fmt.Sprintf("%.1f", share), ">= 15", share >= 15)
	row("comments inside functions, a hundred lines of code", fmt.Sprintf("%.2f", reasons), ">= 2.5", reasons >= 2.5)
	row("comment lines over 100 columns, tests too", fmt.Sprint(len(f.wide)), "0", len(f.wide) == 0)
	row("assignments of three or more values", fmt.Sprint(len(f.tuples)), "< 10", len(f.tuples) < 10)
	plain("literals with several fields on a line, %", fmt.Sprintf("%.0f", percent(f.dense, f.literals)))
	row("old words, documents and tests too", fmt.Sprint(len(f.words)), "0", len(f.words) == 0)
	plain("exported names without documentation", fmt.Sprint(len(f.undocumented)))
	plain("functions", fmt.Sprint(f.functions))
	plain("functions over 60 lines", fmt.Sprint(len(f.over60)))
	row("longest function, lines", fmt.Sprint(f.longest.size), "<= 55", f.longest.size <= 55)
	plain("", f.longest.file+": "+f.longest.text)
	row("longest file, lines", fmt.Sprint(f.longestFile.size), "<= 350", f.longestFile.size <= 350)
	plain("", f.longestFile.file)
	if list {
		each(out, "comment line over 100 columns", f.wide)
		each(out, "assignment of three or more", f.tuples)
		each(out, "old word", f.words)
		each(out, "no documentation", f.undocumented)
		each(out, "function over 60 lines", f.over60)
	}
	return missed
}

func each(out io.Writer, title string, places []place) {
	sort.SliceStable(places, func(i, j int) bool { return places[i].file < places[j].file })
	for _, p := range places {
		fmt.Fprintf(out, "%s:%d: %s: %s\n", p.file, p.line, title, p.text)
	}
}

func percent(part, whole int) float64 {
	if whole == 0 {
		return 0
	}
	return 100 * float64(part) / float64(whole)
}
