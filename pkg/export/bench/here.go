package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// measureHere writes one file in this process and prints what that took, as one line of JSON. The
// file goes to the system's directory for temporary files and is removed.
func measureHere(ctx context.Context, out io.Writer, name, database string, rows int) error {
	p, known := findPeer(name)
	if !known || p.outside != nil {
		return fmt.Errorf("-one: there is no writer %q", name)
	}
	f, err := os.CreateTemp("", "bench-*.out")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	defer f.Close()
	// From here on: the start of the process and its file are no part of the measurement.
	cpu, start := cpuSeconds(), time.Now()
	if p.job != nil {
		err = p.job(ctx, database, f)
	} else {
		err = p.write(f, generated(rows))
	}
	if err != nil {
		return err
	}
	s := sample{Wall: time.Since(start).Seconds(), CPU: cpuSeconds() - cpu, Peak: peakBytes()}
	if s.Size, err = f.Seek(0, io.SeekEnd); err != nil {
		return err
	}
	return json.NewEncoder(out).Encode(s)
}

// cpuSeconds is what this process has used of all processors, in all its threads: an encoder on
// many cores has a short wall time and the same work.
func cpuSeconds() float64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0 // a measurement of 0 shows that there is none
	}
	// User and system: writing files is mostly the latter.
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()).Seconds()
}

// peakBytes is the most memory this process has had, as the system counts it. What getrusage
// returns begins with the parent's peak, so that it is asked only where there is nothing better.
func peakBytes() int64 {
	if f, err := os.Open("/proc/self/status"); err == nil {
		defer f.Close()
		for lines := bufio.NewScanner(f); lines.Scan(); {
			if text, found := strings.CutPrefix(lines.Text(), "VmHWM:"); found {
				kb, _ := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(text, "kB")), 10, 64)
				return kb << 10
			}
		}
	}
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	// Bytes on macOS, kilobytes elsewhere.
	if runtime.GOOS == "darwin" {
		return u.Maxrss
	}
	return u.Maxrss << 10
}
