package routes_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"net"
	"regexp"
	"sync"
	"testing"
	"time"

	"exporthub/jobs"
	"exporthub/pkg/auth"
	"exporthub/pkg/database/dbtest"
	"exporthub/pkg/export"
	"exporthub/pkg/export/exporttest"
	"exporthub/pkg/testkit"
)

// holding answers no task before its test ends: a worker that is busy for as long as one likes.
type holding struct{ end chan struct{} }

func (h holding) Handle(ctx context.Context, _ string, _ int) error {
	select {
	case <-h.end:
	case <-ctx.Done():
	}
	return nil
}

func (h holding) Drain(context.Context) error { return nil }

// A queued export says what it waits for: Redis, a worker, or its turn. Each state is a real one.
func TestAWaitingExportSaysWhatItWaitsFor(t *testing.T) {
	server, primary := testkit.OwnRedis(t), testkit.OwnRedis(t)
	h := exporttest.New(t, dbtest.SQLite(t, exporttest.Sources(t)...), exporttest.Options{
		RedisURL: server.URL(),
		Limits:   export.Limits{Active: 2, Daily: 9},
	})
	s := h.Server()
	ctx, who := h.Person("13800000001", auth.Staff)
	token, err := h.Auth.Renew(who)
	if err != nil {
		t.Fatal(err)
	}
	var uuids []string
	for range 2 {
		ticket, err := h.Exports.Queue(ctx, exporttest.Request())
		if err != nil {
			t.Fatal(err)
		}
		uuids = append(uuids, ticket.UUID)
	}
	// SQLite's clock counts milliseconds, and both may have come in one: then neither is the first.
	h.Exec("UPDATE jobs SET run_at = run_at - 1000 WHERE uuid = ?", uuids[0])
	expect := func(what, want string) {
		t.Helper()
		says, got := regexp.MustCompile("^正在排队，"+want+"$"), ""
		defer func() {
			if t.Failed() {
				t.Logf("it says %q", got)
			}
		}()
		// The reason is kept for 2 s, a worker reports each 5 s.
		testkit.Eventually(t, 30*time.Second, func() bool {
			var record struct{ Why string }
			_, body := h.Get(s, "/api/exports/"+uuids[1], token.Value)
			if err := json.Unmarshal(body, &record); err != nil {
				t.Fatal(err)
			}
			got = record.Why
			return says.MatchString(got)
		}, "%s: the record to say %q", what, want)
	}
	config := func(name, value string) {
		t.Helper()
		if err := h.Redis.ConfigSet(t.Context(), name, value).Err(); err != nil {
			t.Fatal(err)
		}
	}
	expect("no worker was ever there", "目前没有运行中的执行进程，启动后自动执行")

	config("maxmemory-policy", "noeviction")
	config("maxmemory", "1")
	expect("Redis is full", `任务队列\(Redis\)暂时不能写入，恢复后自动执行`)
	config("maxmemory", "0")
	expect("there is room again", "目前没有运行中的执行进程，启动后自动执行")

	host, port, err := net.SplitHostPort(primary.Addr())
	if err != nil {
		t.Fatal(err)
	}
	if err := h.Redis.Do(t.Context(), "REPLICAOF", host, port).Err(); err != nil {
		t.Fatal(err)
	}
	expect("Redis is a read-only replica", `任务队列\(Redis\)暂时不能写入，恢复后自动执行`)
	if err := h.Redis.Do(t.Context(), "REPLICAOF", "NO", "ONE").Err(); err != nil {
		t.Fatal(err)
	}
	server.Kill()
	expect("Redis is gone", `任务队列\(Redis\)暂时无法访问，恢复后自动执行`)
	server.Restart()

	stop := holdWorker(t, h)
	expect("the worker has the one before", "所有执行进程都在忙，前面还有 1 个任务")
	h.End(uuids[0])
	expect("the one before is over", "所有执行进程都在忙，下一个就是它")
	stop()
	expect("the worker has gone", `自 \d{4}-\d\d-\d\d \d\d:\d\d:\d\d 起没有运行中的执行进程，启动后自动执行`)
}

// holdWorker starts a worker that answers one task at a time, and never while it runs.
func holdWorker(t *testing.T, h *exporttest.Hub) (stop func()) {
	t.Helper()
	end := make(chan struct{})
	worker, err := jobs.NewServer(jobs.Options{
		Redis:       h.Redis,
		Engine:      holding{end},
		Concurrency: 1,
		Logger:      slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- worker.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		close(end)
		cancel()
		if err := <-done; err != nil {
			t.Errorf("worker: %v", err)
		}
	})
	// Also where the test fails before that: asynq's subscriber panics when its client is closed
	// under it.
	t.Cleanup(stop)
	return stop
}
