package faults

import (
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"exporthub/test/subscriber"
)

// mayMount tells whether this process may mount disks that can fill up.
func mayMount(t *testing.T) bool {
	t.Helper()
	dir := t.TempDir()
	if exec.Command("mount", "-t", "tmpfs", "-o", "size=4k", "tmpfs", dir).Run() != nil {
		return false
	}
	if out, err := exec.Command("umount", dir).CombinedOutput(); err != nil {
		t.Fatalf("umount: %v %s", err, out)
	}
	return true
}

// ownNamespace is set where the tests run as the root of a namespace of their own.
const ownNamespace = "FAULT_TESTS_IN_OWN_NAMESPACE"

// asRootOfItsOwn runs the test again as a process that is root in user and mount namespaces of its
// own, where anybody may mount a tmpfs. Its outcome is the test's.
func asRootOfItsOwn(t *testing.T) {
	t.Helper()
	if os.Getenv(ownNamespace) != "" {
		t.Fatal("not even the root of its own namespaces may mount a tmpfs here")
	}
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	again := exec.CommandContext(t.Context(), "unshare", "--user", "--map-root-user", "--mount",
		program, "-test.run=^"+t.Name()+"$", "-test.v", "-test.timeout=10m")
	again.Env = append(os.Environ(), ownNamespace+"=1")
	out, err := again.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "--- PASS: "+t.Name()) {
		t.Fatalf("disks that can fill up are mounted, which takes root, CAP_SYS_ADMIN or user namespaces: %v\n%s", err, out)
	}
}

// tinyDisk mounts a disk of its own of so many bytes.
func tinyDisk(t *testing.T, dir, size string) (resize func(size string)) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("mount", "-t", "tmpfs", "-o", "size="+size, "tmpfs", dir).CombinedOutput(); err != nil {
		t.Fatalf("mount: %v %s", err, out)
	}
	t.Cleanup(func() {
		if out, err := exec.Command("umount", "-l", dir).CombinedOutput(); err != nil {
			t.Errorf("umount: %v %s", err, out)
		}
	})
	return func(size string) {
		if out, err := exec.Command("mount", "-o", "remount,size="+size, dir).CombinedOutput(); err != nil {
			t.Fatalf("remount: %v %s", err, out)
		}
	}
}

// TestFaultFullDisks: an export that does not fit fails with that reason, its slot and place are
// free again, nothing is left, and the worker goes on; one that fits after all succeeds.
func TestFaultFullDisks(t *testing.T) {
	t.Parallel()
	if !mayMount(t) {
		asRootOfItsOwn(t)
		return
	}
	for name, c := range map[string]struct {
		disk func(*faulty) string
		code string
	}{
		"spool":   {func(f *faulty) string { return f.spool }, "disk_full"},
		"storage": {func(f *faulty) string { return f.files }, "upload_failed"},
	} {
		t.Run(name, func(t *testing.T) {
			f := startFaulty(t, 20_000)
			resize := tinyDisk(t, c.disk(f), "1m")
			f.followSteadily()
			worker := f.worker()
			large := f.queue()
			j := f.await(large, 2*time.Minute, "to end", func(j faultJob) bool { return subscriber.Over(subscriber.Event{Status: j.state}) })
			if j.state != "failure" || !strings.Contains(j.failure, `"`+c.code+`"`) {
				t.Fatalf("ended as %s %s, want a failure %s", j.state, j.failure, c.code)
			}
			if n := f.count("SELECT COALESCE(SUM(used), 0) FROM export_days"); n != 0 {
				t.Errorf("%d places used, want it given back", n)
			}
			small := f.queue("&ids=1,2,3")
			f.await(small, time.Minute, "to succeed", func(j faultJob) bool { return j.state == "success" })
			resize("64m")
			f.await(f.queue(), time.Minute, "to succeed", func(j faultJob) bool { return j.state == "success" })
			f.settled(func(uuid string) string {
				if uuid == large {
					return "failure"
				}
				return "success"
			})
			if worker.Gone() {
				t.Error("the worker ended")
			}
		})
	}
}
