package jobs

import (
	"errors"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"exporthub/pkg/job"
	"exporthub/pkg/testkit"
)

// anew has the queue ask again at once.
func (q *Queue) anew(t *testing.T) (job.Workers, error) {
	t.Helper()
	q.crew.asked = time.Time{}
	return q.Workers(t.Context())
}

func TestWorkersComeAndGo(t *testing.T) {
	redises(t, func(t *testing.T, client redis.UniversalClient) {
		queue, other := NewQueue(client, DefaultQueue), NewQueue(client, "another")
		if w, err := queue.anew(t); err != nil || w != (job.Workers{}) {
			t.Errorf("before any worker: %+v, %v", w, err)
		}
		s, err := NewServer(Options{Redis: client, Engine: &fakeEngine{}, Concurrency: 3, Logger: quiet})
		if err != nil {
			t.Fatal(err)
		}
		stop := start(t, s.Run)
		testkit.Eventually(t, 20*time.Second, func() bool {
			w, err := queue.anew(t)
			return err == nil && w == job.Workers{Alive: 1, Slots: 3}
		}, "the worker to be seen")
		if w, err := other.anew(t); err != nil || w.Alive != 0 {
			t.Errorf("of another queue: %+v, %v", w, err)
		}
		stop()
		before := time.Now()
		first, err := queue.anew(t)
		if err != nil || first.Alive != 0 || first.GoneSince.Before(before) {
			t.Errorf("after the worker: %+v, %v", first, err)
		}
		if again, err := queue.anew(t); err != nil || !again.GoneSince.Equal(first.GoneSince) {
			t.Errorf("asked again it went at %s, first at %s (%v)", again.GoneSince, first.GoneSince, err)
		}
	})
}

// An absence that was not seen to begin has no time.
func TestWorkersThatWentUnseen(t *testing.T) {
	queue := NewQueue(connect(t, testkit.Redis(t)), DefaultQueue)
	queue.crew.seen = time.Now().Add(-time.Hour)
	if w, err := queue.anew(t); err != nil || !w.GoneSince.IsZero() {
		t.Errorf("an hour after the last answer: %+v, %v", w, err)
	}
}

// An answer is kept, so that a page of waiting jobs asks once.
func TestWorkersAreKeptForAMoment(t *testing.T) {
	server := testkit.OwnRedis(t)
	queue := NewQueue(connect(t, server.URL()), DefaultQueue)
	queue.crew.asked = time.Now().Add(time.Hour) // so that no slow machine lets it expire
	server.Kill()
	if _, err := queue.Workers(t.Context()); err != nil {
		t.Errorf("kept: %v", err)
	}
	if _, err := queue.anew(t); err == nil || errors.Is(err, job.ErrQueueReadOnly) {
		t.Errorf("of a Redis that is gone: %v", err)
	}
}

func TestARedisThatTakesNoWrites(t *testing.T) {
	for name, refuse := range map[string]func(t *testing.T, client redis.UniversalClient){
		"full": func(t *testing.T, client redis.UniversalClient) {
			if err := client.ConfigSet(t.Context(), "maxmemory", "1").Err(); err != nil {
				t.Fatal(err)
			}
		},
		"read-only replica": func(t *testing.T, client redis.UniversalClient) {
			if err := client.Do(t.Context(), "REPLICAOF", "127.0.0.1", "1").Err(); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			client := connect(t, testkit.OwnRedis(t, "--maxmemory-policy", "noeviction").URL())
			queue := NewQueue(client, DefaultQueue)
			if err := queue.CheckWrite(t.Context()); err != nil {
				t.Fatal(err)
			}
			refuse(t, client)
			if err := client.Ping(t.Context()).Err(); err != nil {
				t.Errorf("it answers no PING: %v", err)
			}
			if err := queue.CheckWrite(t.Context()); err == nil {
				t.Error("CheckWrite = nil")
			}
			if _, err := queue.anew(t); !errors.Is(err, job.ErrQueueReadOnly) {
				t.Errorf("Workers: %v", err)
			}
		})
	}
}

// A stalled Redis does not hold up who asks.
func TestAStalledRedisIsGivenUp(t *testing.T) {
	server := testkit.OwnRedis(t)
	o, err := redis.ParseURL(server.URL())
	if err != nil {
		t.Fatal(err)
	}
	o.ContextTimeoutEnabled = true
	o.ReadTimeout = time.Hour // only the question's own bound is left
	client := redis.NewClient(o)
	t.Cleanup(func() { client.Close() })
	queue := NewQueue(client, DefaultQueue)
	server.Freeze()
	t.Cleanup(server.Thaw)
	if _, err := queue.anew(t); err == nil || errors.Is(err, job.ErrQueueReadOnly) {
		t.Errorf("Workers: %v", err)
	}
}
