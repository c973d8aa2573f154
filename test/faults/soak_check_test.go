//go:build soak

package faults

import (
	"fmt"
	"net/http"
	"path/filepath"
	"sort"
	"time"

	"exporthub/pkg/testkit"
	"exporthub/test/subscriber"
)

// demandHits fails when too few kills met a running job, or one that was met went on as if nothing
// had been.
func (s *soak) demandHits() {
	kills := s.faults["kill -9 of worker"] + s.faults["kill -9 of api"]
	s.T.Logf("%d kills, of which %d met running jobs, %d in all; %d takeovers; %d jobs in a later attempt than the first",
		kills, s.hits, len(s.met), s.count("SELECT COALESCE(SUM(takeovers), 0) FROM jobs"),
		s.count("SELECT count(*) FROM jobs WHERE attempt > 1"))
	if s.hits == 0 || s.hits*soakHits < kills {
		s.T.Errorf("%d of %d kills met a running job, want at least one in %d", s.hits, kills, soakHits)
	}
	for _, met := range s.met {
		j := s.job(met.uuid)
		// A cancelled one is not begun again.
		if met.sure && j.attempt <= met.attempt && j.state != "cancelled" {
			s.T.Errorf("job %s lost its worker in attempt %d and is %+v", met.uuid, met.attempt, j)
		}
	}
}

// heal waits until every program runs and answers.
func (s *soak) heal() {
	for _, address := range []string{s.doors[0].targets[0], s.doors[1].targets[0]} {
		testkit.Eventually(s.T, time.Minute, func() bool {
			s.supervise()
			res, err := http.Get("http://" + address + "/readyz")
			if err != nil {
				return false
			}
			res.Body.Close()
			return res.StatusCode == http.StatusOK
		}, "the api at %s to be ready", address)
	}
	s.supervise()
}

// check checks the invariants and tells the figures.
func (s *soak) check() {
	rows, err := s.sql.QueryContext(s.T.Context(), "SELECT uuid, owner_id FROM jobs")
	if err != nil {
		s.T.Fatal(err)
	}
	owners := map[string]int64{}
	for rows.Next() {
		var uuid string
		var owner int64
		if err := rows.Scan(&uuid, &owner); err != nil {
			s.T.Fatal(err)
		}
		owners[uuid] = owner
	}
	if err := rows.Close(); err != nil {
		s.T.Fatal(err)
	}
	for uuid := range s.accepted {
		if owners[uuid] == 0 {
			s.T.Errorf("job %s was accepted and is not there", uuid)
		}
	}
	ends, attempts := map[string]int{}, map[int]int{}
	for uuid, owner := range owners {
		var j faultJob
		testkit.Eventually(s.T, 3*time.Minute, func() bool {
			s.supervise()
			j = s.job(uuid)
			return subscriber.Over(subscriber.Event{Status: j.state})
		}, "job %s to end", uuid)
		ends[j.state]++
		attempts[j.attempt]++
		if j.state == "failure" {
			s.T.Logf("job %s failed: %s", uuid, j.failure)
		}
		for client, p := range s.people {
			if p.id == owner {
				s.fleet.EndedFor(client, uuid, j.state)
			}
		}
	}
	s.clean()
	s.balanced()
	s.fleet.Leave()
	s.quiet()
	found, err := filepath.Glob(filepath.Join(s.files, "export", "*"))
	if err != nil || len(found) != ends["success"] {
		s.T.Errorf("%d files of %d jobs that succeeded (%v)", len(found), ends["success"], err)
	}
	if len(owners) < soakJobs {
		s.T.Errorf("%d jobs were accepted, want %d", len(owners), soakJobs)
	}
	s.demandHits()
	s.T.Logf("%d jobs: %s; by attempts: %v", len(owners), figures(ends), attempts)
	s.T.Logf("answers: %s", figures(s.answers))
	s.T.Logf("faults: %s", figures(s.faults))
}

func figures(of map[string]int) string {
	names := make([]string, 0, len(of))
	for name := range of {
		names = append(names, name)
	}
	sort.Strings(names)
	text := ""
	for _, name := range names {
		text += fmt.Sprintf("%s %d, ", name, of[name])
	}
	return text
}
