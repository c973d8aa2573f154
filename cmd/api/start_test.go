package main

import (
	"context"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"exporthub/test/program"
)

func TestTheSameProgramRefusesBadStarts(t *testing.T) {
	dir := t.TempDir()
	for name, c := range map[string]struct {
		args, environ []string
		want          []string
	}{
		"without any configuration":       {nil, nil, []string{"DATABASE_URL", "REDIS_URL", "AUTH_SECRET", "PUBLIC_URL", "STORAGE_DIR", "SPOOL_DIR"}},
		"embedded for everyone to see":    {[]string{"-embedded"}, []string{"HTTP_ADDR=0.0.0.0:0"}, []string{"-embedded-public"}},
		"an unknown flag":                 {[]string{"-fast"}, nil, []string{"fast"}},
		"an argument too many":            {[]string{"-embedded", "please"}, nil, []string{"please"}},
		"an administrator without a name": {[]string{"-create-admin", ""}, nil, []string{"-create-admin"}},
		"two commands at once":            {[]string{"-create-admin", "x", "-check"}, nil, []string{"-check"}},
		"a spool nobody can write":        {[]string{"-embedded"}, []string{"SPOOL_DIR=/proc/nowhere"}, []string{"SPOOL_DIR"}},
		"a port that is taken":            {[]string{"-embedded"}, []string{"HTTP_ADDR=" + taken(t)}, []string{"HTTP_ADDR"}},
	} {
		t.Run(name, func(t *testing.T) {
			environ := append([]string{"STORAGE_DIR=", "SPOOL_DIR="}, c.environ...)
			if len(c.args) > 0 {
				environ = append([]string{"HTTP_ADDR=127.0.0.1:0", "DATABASE_URL=sqlite:" + filepath.Join(dir, "x.db"), "STORAGE_DIR=" + filepath.Join(dir, "files"), "SPOOL_DIR=" + dir}, c.environ...)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
			defer cancel()
			err := run(ctx, c.args, environ, world{In: strings.NewReader(""), Out: &program.Output{}, Err: &program.Output{}})
			if err == nil {
				t.Fatal("it started")
			}
			for _, want := range c.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q does not name %s", err, want)
				}
			}
		})
	}
}

// taken is an address that another program listens on for as long as the test runs.
func taken(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l.Addr().String()
}
