package als

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/redpanda-data/benthos/v4/public/service"

	"github.com/recsys-benthos/recsys-benthos/internal/model"
	"github.com/recsys-benthos/recsys-benthos/internal/ratings"
)

// newRequests returns the input beside a live model, at noon of 3 January 2026.
func newRequests(t *testing.T, live *model.Live, yaml string) (*requestsInput, *service.Resources) {
	t.Helper()
	mgr := service.MockResources(service.MockResourcesOptAddCache("model"))
	mgr.SetGeneric(model.LiveKey{Label: "model"}, live)
	conf, err := requestsSpec().ParseYAML(yaml, nil)
	if err != nil {
		t.Fatal(err)
	}
	in, err := newRequestsInput(conf, mgr)
	if err != nil {
		t.Fatal(err)
	}
	in.schedule.now = func() time.Time { return time.Date(2026, 1, 3, 12, 0, 0, 0, time.UTC) }
	return in, mgr
}

// readAll reads batches until the input ends, and acknowledges them.
func readAll(t *testing.T, in *requestsInput) (batches []string) {
	t.Helper()
	for {
		batch, ack, err := in.ReadBatch(t.Context())
		if errors.Is(err, service.ErrEndOfInput) {
			return batches
		}
		if err != nil {
			t.Fatal(err)
		}
		var texts []string
		for _, msg := range batch {
			data, _ := msg.AsBytes()
			texts = append(texts, string(data))
		}
		batches = append(batches, strings.Join(texts, "\n"))
		if err := ack(t.Context(), nil); err != nil {
			t.Error(err)
		}
	}
}

func TestARunAsksForAllUsersOnce(t *testing.T) {
	live := liveOf(t, shelf(true))
	live.Users.Learn(ratings.Rating{User: 7, Movie: 10, Value: 4, Time: 1})
	in, _ := newRequests(t, live, "n: 3\nbatch_size: 2\n")
	got := readAll(t, in)
	ask := func(user int) string {
		return fmt.Sprintf(`{"request_id":"all-users-v1-20260103-%d","kind":"recommend","user_id":%d,"n":3}`, user, user)
	}
	if len(got) != 2 || got[0] != ask(1)+"\n"+ask(2) || got[1] != ask(7) {
		t.Errorf("got %q", got)
	}
}

func TestARunAsksForMoviesOrForSome(t *testing.T) {
	in, _ := newRequests(t, liveOf(t, shelf(true)), "of: movies\n")
	if got := readAll(t, in); len(got) != 1 || strings.Count(got[0], "\n") != 3 ||
		!strings.HasPrefix(got[0], `{"request_id":"all-movies-v1-20260103-10","kind":"audience","movie_id":10,"n":10}`) {
		t.Errorf("got %q", got)
	}
	in, _ = newRequests(t, liveOf(t, shelf(true)), "ids: [99, 1]\n")
	if got := readAll(t, in); len(got) != 1 || strings.Count(got[0], `"user_id":99,`)+strings.Count(got[0], `"user_id":1,`) != 2 {
		t.Errorf("got %q", got)
	}
}

// TestARunWaitsForAModelAndItsRatings: without them users would be missing.
func TestARunWaitsForAModelAndItsRatings(t *testing.T) {
	live := model.NewLive()
	in, mgr := newRequests(t, live, "")
	learned := make(chan struct{})
	mgr.SetGeneric(learnedKey{"model"}, learned)
	waits := func(what string) {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		defer cancel()
		if _, _, err := in.ReadBatch(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("without %s: %v", what, err)
		}
	}
	waits("a model")
	live.Swap(liveOf(t, shelf(true)).LineUp())
	waits("ratings")
	live.Users.Learn(ratings.Rating{User: 7, Movie: 10, Value: 4, Time: 1})
	close(learned)
	if got := readAll(t, in); len(got) != 1 || strings.Count(got[0], "\n") != 2 {
		t.Errorf("got %q", got)
	}
}

func TestSchedulesSayWhenTheNextRunIsDue(t *testing.T) {
	noon := time.Date(2026, 1, 3, 12, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		text string
		last time.Time
		want time.Time
	}{
		{"0 4 * * *", time.Time{}, time.Date(2026, 1, 4, 4, 0, 0, 0, time.UTC)},
		{"TZ=Europe/Berlin 0 14 * * *", time.Time{}, time.Date(2026, 1, 3, 13, 0, 0, 0, time.UTC)},
		{"6h", time.Time{}, noon},
		{"6h", noon.Add(-time.Hour), noon.Add(5 * time.Hour)},
		{"", time.Time{}, noon},
	} {
		s, err := parseSchedule(c.text)
		if err != nil {
			t.Fatal(err)
		}
		s.last = c.last
		if got := s.next(noon); !got.Equal(c.want) || s.once() != (c.text == "") {
			t.Errorf("%q after %v: next %v, want %v; once %v", c.text, c.last, got, c.want, s.once())
		}
	}
	for _, bad := range []string{"soon", "0s", "-1h", "99 * * * *"} {
		if _, err := parseSchedule(bad); err == nil {
			t.Errorf("%q is a schedule", bad)
		}
	}
}

// TestALateIntervalIsNotCaughtUp: a run that took longer than the interval delays
// the next one, and there are no two in a row for it.
func TestALateIntervalIsNotCaughtUp(t *testing.T) {
	s, err := parseSchedule("1h")
	if err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 1, 3, 12, 0, 0, 0, time.UTC)
	s.now = func() time.Time { return now }
	s.last = now.Add(-5 * time.Hour)
	if err := s.wait(t.Context()); err != nil || !s.next(now).Equal(now.Add(time.Hour)) {
		t.Errorf("%v, next %v", err, s.next(now))
	}
}

func TestBadRequestInputsNameTheField(t *testing.T) {
	for yaml, want := range map[string]string{"n: 0": "field n:", "n: 1001": "field n:", "of: cats": "of", "schedule: soon": "field schedule:", "batch_size: 0": "field batch_size:"} {
		mgr := service.MockResources(service.MockResourcesOptAddCache("model"))
		mgr.SetGeneric(model.LiveKey{Label: "model"}, model.NewLive())
		conf, err := requestsSpec().ParseYAML(yaml, nil)
		if err == nil {
			_, err = newRequestsInput(conf, mgr)
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", yaml, err, want)
		}
	}
}
