package faults

import (
	"bufio"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"exporthub/pkg/testkit"
	"exporthub/test/program"
	"exporthub/test/subscriber"
)

// settled checks what holds after every fault: each accepted job ended once, in the state that is
// wanted, every subscriber received that once; one file or none; counters equal rows; nothing
// left lying about; and once the subscribers have left, every program that still runs has as many
// goroutines as before.
func (f *faulty) settled(want func(uuid string) string) {
	f.T.Helper()
	f.ended(want)
	f.clean()
	f.balanced()
	if f.fleet != nil {
		f.fleet.Leave()
	}
	f.quiet()
}

// ended checks that each accepted job ended once, in the state that is wanted, and that subscribers
// received that once.
func (f *faulty) ended(want func(uuid string) string) {
	f.T.Helper()
	for _, uuid := range f.jobs {
		j := f.await(uuid, 2*time.Minute, "to end", func(j faultJob) bool { return subscriber.Over(subscriber.Event{Status: j.state}) })
		if j.state != want(uuid) {
			f.T.Errorf("job %s ended as %s %s, want %s", uuid, j.state, j.failure, want(uuid))
		}
		if f.fleet != nil {
			f.fleet.Ended(uuid, j.state)
		}
	}
}

func success(string) string { return "success" }

// clean waits until the store holds the files of the jobs that succeeded and nothing else, and the
// spool nothing.
func (f *faulty) clean() {
	f.T.Helper()
	var found string
	deadline := time.Now().Add(30*time.Second + length.lease)
	for {
		if found = f.litter(); found == "" {
			return
		}
		if time.Now().After(deadline) {
			f.T.Errorf("left behind: %s", found)
			return
		}
		waitBriefly()
	}
}

// waitBriefly is the pause of a loop that looks at something with a deadline.
func waitBriefly() { <-time.After(50 * time.Millisecond) }

// litter tells what lies in the store and the spool that should not, finished or not, or is missing
// there.
func (f *faulty) litter() string {
	rows, err := f.sql.QueryContext(f.T.Context(), "SELECT object_key FROM exports WHERE object_key IS NOT NULL AND file_removed_at IS NULL")
	if err != nil {
		f.T.Fatal(err)
	}
	defer rows.Close()
	missing := map[string]bool{}
	for rows.Next() {
		var key string
		if err := rows.Scan(&key); err != nil {
			f.T.Fatal(err)
		}
		missing[key] = true
	}
	var problems []string
	for _, dir := range []string{f.files, f.spool} {
		err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return nil // what is removed meanwhile is no litter
			}
			key, _ := filepath.Rel(dir, path)
			if dir == f.files && missing[key] {
				delete(missing, key)
				return nil
			}
			problems = append(problems, path)
			return nil
		})
		if err != nil {
			f.T.Fatal(err)
		}
	}
	if f.kodo != nil {
		for _, o := range f.kodo.Objects(program.KodoPrivate) {
			if missing[o.Key] {
				delete(missing, o.Key)
				continue
			}
			problems = append(problems, "at Qiniu: "+o.Key)
		}
		for _, u := range f.kodo.Uploads() {
			problems = append(problems, "unfinished: "+u.Key)
		}
	}
	if n := f.count("SELECT count(*) FROM unfinished_uploads"); n > 0 {
		problems = append(problems, fmt.Sprintf("%d uploads written down", n))
	}
	for key := range missing {
		problems = append(problems, "missing: "+key)
	}
	return strings.Join(problems, ", ")
}

// balanced runs -check.
func (f *faulty) balanced() {
	f.T.Helper()
	program.Check(f.T, append(f.environ[:len(f.environ):len(f.environ)], "DATABASE_URL="+f.dsn))
}

// watched is a program of the system whose metrics are read.
type watched struct {
	*program.Process
	name    string
	metrics string // its address
}

// watch starts a program and notes how many goroutines it runs before it has anything to do. One
// that finds work waiting tells nothing of that: the least that any program of the name ran counts.
func (f *faulty) watch(name string, environ []string, up func(*program.Process)) *watched {
	f.T.Helper()
	w := f.start(name, environ)
	up(w.Process)
	n := f.idle(w)
	if least, known := f.goroutines[name]; !known || n < least {
		f.goroutines[name] = n
	}
	return w
}

// start starts a program with metrics of its own.
func (f *faulty) start(name string, environ []string) *watched {
	f.T.Helper()
	w := &watched{name: name, metrics: program.FreeAddress(f.T)}
	w.Process = program.Spawn(f.T, name, append(environ[:len(environ):len(environ)], "METRICS_ADDR="+w.metrics))
	f.programs = append(f.programs, w)
	return w
}

// idle waits until a program has run for a while and stays at one number of goroutines, and returns
// that; after 3 s of changes the last.
func (f *faulty) idle(w *watched) (n int) {
	f.T.Helper()
	same := 0
	for began := time.Now(); same < 10 && (n == 0 || time.Since(began) < 3*time.Second); waitBriefly() {
		now := int(f.metric(w, "go_goroutines"))
		if same++; now != n {
			n, same = now, 0
		}
	}
	return n
}

// quiet waits until every program that still runs has as many goroutines as it had before.
func (f *faulty) quiet() {
	f.T.Helper()
	for _, w := range f.programs {
		if w.Gone() {
			continue
		}
		var n int
		deadline := time.Now().Add(time.Minute)
		for n = int(f.metric(w, "go_goroutines")); n > f.goroutines[w.name] && time.Now().Before(deadline); waitBriefly() {
			n = int(f.metric(w, "go_goroutines"))
		}
		if n > f.goroutines[w.name] {
			f.T.Errorf("%s %d runs %d goroutines, before it were %d", w.name, w.Cmd.Process.Pid, n, f.goroutines[w.name])
		}
	}
}

// metric reads a figure of a program's, which has to be there.
func (f *faulty) metric(w *watched, name string) float64 {
	f.T.Helper()
	value, found := f.figure(w, name)
	if !found {
		f.T.Fatalf("no %s in the metrics of %s", name, w.name)
	}
	return value
}

// figure reads a figure of a program's if it is there. One that is starting is waited for. No idle
// connections of this test's are left to count.
func (f *faulty) figure(w *watched, name string) (value float64, found bool) {
	f.T.Helper()
	http.DefaultTransport.(*http.Transport).CloseIdleConnections()
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 10 * time.Second}
	var res *http.Response
	testkit.Eventually(f.T, time.Minute, func() (ok bool) {
		var err error
		if res, err = client.Get("http://" + w.metrics + "/metrics"); err != nil && w.Gone() {
			f.T.Fatalf("%s has ended: %s", w.name, w.Logs)
		}
		return err == nil
	}, "the metrics of %s", w.name)
	defer res.Body.Close()
	scan := bufio.NewScanner(res.Body)
	for scan.Scan() {
		if text, found := strings.CutPrefix(scan.Text(), name+" "); found {
			value, err := strconv.ParseFloat(text, 64)
			if err != nil {
				f.T.Fatal(err)
			}
			return value, true
		}
	}
	if err := scan.Err(); err != nil {
		f.T.Fatal(err)
	}
	return 0, false
}
