package topology

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"exporthub/pkg/database"
	"exporthub/test/subscriber"
)

// The figures of the whole system, on real Redis and PostgreSQL with every program a process of its
// own. Each benchmark reports figures of its own beside ns/op, which says little here.

// percentile returns the p-th percentile of durations, which it sorts.
func percentile(all []time.Duration, p int) time.Duration {
	slices.Sort(all)
	return all[min(len(all)-1, len(all)*p/100)]
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// members adds n people with one statement, since adding is not what is measured.
func (s *topology) members(b *testing.B, prefix string, n int) []member {
	b.Helper()
	err := s.db.Write(b.Context(), func(ctx context.Context, tx *database.Tx) error {
		_, err := tx.Exec(ctx, `INSERT INTO people (account, name, role, created_at, updated_at)
			SELECT ? || n, '', 2, 0, 0 FROM generate_series(0, ?) AS n`, prefix, n-1)
		return err
	})
	if err != nil {
		b.Fatal(err)
	}
	all := make([]member, n)
	for i := range all {
		all[i] = s.member(fmt.Sprintf("%s%d", prefix, i))
	}
	return all
}

// BenchmarkExportRequests is how many export requests of different people are accepted a second,
// and how long they take.
func BenchmarkExportRequests(b *testing.B) {
	const people, atOnce = 2000, 32
	s := startTopology(b, 100)
	for round := 0; b.Loop(); round++ {
		b.StopTimer()
		all := s.members(b, fmt.Sprintf("bench%d.", round), people)
		took := make([]time.Duration, people)
		var next atomic.Int64
		var wait sync.WaitGroup
		b.StartTimer()
		began := time.Now()
		for range atOnce {
			wait.Go(func() {
				for i := next.Add(1) - 1; i < people; i = next.Add(1) - 1 {
					asked := time.Now()
					uuid, refusal, err := s.replicas[i%2].Ask(all[i].token, "export_format=xlsx")
					if took[i] = time.Since(asked); err != nil || uuid == "" {
						b.Errorf("request %d: %s %v", i, refusal, err)
					}
				}
			})
		}
		wait.Wait()
		b.ReportMetric(people/time.Since(began).Seconds(), "accepted/s")
		b.ReportMetric(milliseconds(percentile(took, 50)), "p50-ms")
		b.ReportMetric(milliseconds(percentile(took, 99)), "p99-ms")
	}
}

// BenchmarkRequestToStarting is how long an idle system takes from the request to the event
// starting at its subscriber.
func BenchmarkRequestToStarting(b *testing.B) {
	const exports = 200
	s := startTopology(b, 10, "EXPORT_DAILY_LIMIT=1000000")
	s.Worker()
	me := s.member("13800000051")
	f := subscriber.Socket(b, "subscriber", s.replicas[1].URL, me.channel)
	f.Subscribed(b)
	for b.Loop() {
		var took []time.Duration
		for range exports {
			asked := time.Now()
			uuid, refusal, err := s.replicas[0].Ask(me.token, "export_format=csv")
			if err != nil || uuid == "" {
				b.Fatal(refusal, err)
			}
			events, err := f.Until(b.Context(), func(p subscriber.Event) bool { return p.UUID == uuid && p.Status == "starting" })
			if err != nil {
				b.Fatal(events, err)
			}
			took = append(took, time.Since(asked))
			if _, err := f.Until(b.Context(), subscriber.EndOf(uuid)); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(milliseconds(percentile(took, 50)), "p50-ms")
		b.ReportMetric(milliseconds(percentile(took, 99)), "p99-ms")
	}
}

// BenchmarkExportOf200000 is one large export in one worker: from the request to success, with what
// the worker's process used in all, its start included.
func BenchmarkExportOf200000(b *testing.B) {
	const rows = 200_000
	s := startTopology(b, rows, "EXPORT_DAILY_LIMIT=1000000")
	me := s.member("13800000052")
	// Polling the record would be measured too.
	f := subscriber.Socket(b, "subscriber", s.replicas[1].URL, me.channel)
	f.Subscribed(b)
	for _, format := range []string{"xlsx", "csv"} {
		b.Run(format, func(b *testing.B) {
			for b.Loop() {
				w := s.Worker()
				asked := time.Now()
				uuid, refusal, err := s.replicas[0].Ask(me.token, "export_format="+format)
				if err != nil || uuid == "" {
					b.Fatal(refusal, err)
				}
				events, err := f.Until(b.Context(), subscriber.EndOf(uuid))
				if err != nil {
					b.Fatal(err)
				}
				j := events[len(events)-1]
				wall := time.Since(asked)
				if j.Count == nil || *j.Count != rows || j.FileSize == nil {
					b.Fatalf("ended %+v", j)
				}
				w.Signal(syscall.SIGTERM)
				if err := w.Ended(time.Minute); err != nil {
					b.Fatal(err)
				}
				state := w.Cmd.ProcessState
				peak := float64(state.SysUsage().(*syscall.Rusage).Maxrss) / 1024
				if runtime.GOOS == "darwin" {
					peak /= 1024 // in bytes there
				}
				b.ReportMetric(wall.Seconds(), "wall-s")
				b.ReportMetric((state.UserTime() + state.SystemTime()).Seconds(), "cpu-s")
				b.ReportMetric(peak, "peak-MiB")
				b.ReportMetric(float64(*j.FileSize)/(1<<20), "file-MiB")
			}
		})
	}
}
