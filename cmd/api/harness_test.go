package main

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"exporthub/pkg/testkit"
	"exporthub/test/program"
)

func TestMain(m *testing.M) { testkit.Main(m) }

// app is the program running in this process: for what can only be seen from inside, such as the
// goroutines it leaves. Everything else that drives the program starts its binary, under test/.
type app struct {
	*program.App
	out  *program.Output
	logs *program.Output
	dir  string
	stop func() error // ends it and returns what run returned
}

// startEmbedded runs the program as make run does, on a free port and in a directory of the test's.
func startEmbedded(t testing.TB, environ ...string) *app {
	t.Helper()
	return startIn(t, t.TempDir(), environ...)
}

// startIn is startEmbedded on data that may be there already.
func startIn(t testing.TB, dir string, environ ...string) *app {
	t.Helper()
	a := &app{
		App:  &program.App{T: t},
		out:  &program.Output{},
		logs: &program.Output{},
		dir:  dir,
	}
	w := world{
		In:  strings.NewReader(""),
		Out: a.out,
		Err: a.logs,
	}
	// Not the test's context: that ends before cleanups run, and run must not end before stop.
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() {
		done <- run(ctx, []string{"-embedded"}, append(program.EmbeddedEnviron(dir), environ...), w)
	}()
	a.stop = sync.OnceValue(func() error {
		cancel()
		return <-done
	})
	t.Cleanup(func() {
		if err := a.stop(); err != nil {
			t.Errorf("run: %v", err)
		}
		if t.Failed() {
			t.Logf("logs:\n%s", a.logs)
		}
	})
	testkit.Eventually(t, time.Minute, func() bool {
		select {
		case err := <-done:
			done <- err
			t.Fatalf("run ended: %v\n%s", err, a.logs)
		default:
		}
		a.URL = program.AddressIn(a.out.String())
		return a.URL != ""
	}, "the program to say where it is")
	return a
}
