package als

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redpanda-data/benthos/v4/public/service"

	"github.com/recsys-benthos/recsys-benthos/internal/registry"
)

// challenge gives a version the role of a challenger.
func challenge(t testing.TB, r *registry.Registry, role, version string, share float64) registry.Promotion {
	t.Helper()
	p, _, err := r.Update(t.Context(), time.Now(), func(next *registry.Promotion) (bool, error) {
		next.Action, next.Role, next.Version, next.Roles[role], next.Shares[role] = registry.ActionAssign, role, version, version, share
		return true, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

type reply struct {
	RequestID    string   `json:"request_id"`
	User         int64    `json:"user_id"`
	Value        float64  `json:"prediction"`
	ModelVersion string   `json:"model_version"`
	Role         string   `json:"role"`
	Actual       *float64 `json:"actual"`
	Shadows      []struct {
		ModelVersion string  `json:"model_version"`
		Role         string  `json:"role"`
		Value        float64 `json:"prediction"`
		Late         bool    `json:"late"`
	} `json:"shadows"`
}

func TestAllVersionsPredictBeforeARatingIsLearned(t *testing.T) {
	r, first := published(t, 3, time.UnixMilli(1500))
	second := promote(t, r, 4, time.UnixMilli(500)) // the first is in shadow now
	mgr, follower := resources(t, r)
	if err := follower.Poll(); err != nil {
		t.Fatal(err)
	}
	got := predictOne(t, newPredict(t, mgr),
		`{"event_type":"rate","user_id":5,"movie_id":20,"value":5,"timestamp":1}`,
		`{"user_id":5,"movie_id":21}`,
		`{"event_type":"rate","user_id":5,"movie_id":22,"value":1,"timestamp":2,"shadows":"mine","role":"mine"}`)
	for i, want := range []string{
		// 1 s is older than what the first version was trained on.
		`"prediction":4,"model_version":"` + second.Version + `","requested_at":"1970-01-01T00:00:04.000Z","predicted_at":"1970-01-01T00:00:05.000Z","cold":["user","movie"],"actual":5,"absolute_error":1,` +
			`"shadows":[{"model_version":"` + first.Version + `","role":"challenger:previous","prediction":3,"late":true}]}`,
		`"prediction":4.5,"model_version":"` + second.Version + `","requested_at":"1970-01-01T00:00:04.000Z","predicted_at":"1970-01-01T00:00:05.000Z","cold":["user","movie"]}`,
		`"actual":1,"absolute_error":3.5,"shadows":[{"model_version":"` + first.Version + `","role":"challenger:previous","prediction":4}]}`, // 3 + (5−3)/(1+1)
	} {
		if !strings.HasSuffix(got[i], want) {
			t.Errorf("got  %s\nwant …%s", got[i], want)
		}
	}
}

func TestAChallengerServesItsUsersAndTheChampionIsInItsShadow(t *testing.T) {
	r, _ := published(t, 2, time.UnixMilli(0))
	champion := promote(t, r, 4, time.UnixMilli(0))
	challenge(t, r, "challenger:bold", champion.Previous, 0.25)
	mgr, follower := resources(t, r)
	if err := follower.Poll(); err != nil {
		t.Fatal(err)
	}
	p := newPredict(t, mgr)
	var texts []string
	for user := range 2000 {
		texts = append(texts, fmt.Sprintf(`{"event_type":"rate","user_id":%d,"movie_id":11,"value":3,"timestamp":1}`, user+2))
	}
	served := 0
	for _, text := range predictOne(t, p, texts...) {
		var got reply
		if err := json.Unmarshal([]byte(text), &got); err != nil {
			t.Fatal(err)
		}
		versions := map[string]float64{champion.Version: 4, champion.Previous: 2}
		shadow := got.Shadows[0]
		if got.Value != versions[got.ModelVersion] || len(got.Shadows) != 1 || shadow.ModelVersion == got.ModelVersion || shadow.Value != versions[shadow.ModelVersion] {
			t.Fatalf("reply %s", text)
		}
		if bold := got.ModelVersion == champion.Previous; bold != (got.Role == "challenger:bold") || bold != (shadow.Role == "") {
			t.Fatalf("reply %s", text)
		} else if bold {
			served++
		}
	}
	if served < 430 || served > 570 { // ±3.5 standard errors
		t.Errorf("the challenger served %d of 2000 users", served)
	}
}

// TestRepliesNameTheOneVersionThatMadeThem while the line-up changes: version k
// predicts k for everybody.
func TestRepliesNameTheOneVersionThatMadeThem(t *testing.T) {
	r, first := published(t, 1, time.UnixMilli(0))
	values := map[string]float64{first.Version: 1}
	names := []string{first.Version}
	for _, mean := range []float32{2, 3, 4} {
		name := promote(t, r, mean, time.UnixMilli(0)).Version
		values[name], names = float64(mean), append(names, name)
	}
	mgr, follower := resources(t, r)
	if err := follower.Poll(); err != nil {
		t.Fatal(err)
	}
	p := newPredict(t, mgr)
	done := make(chan struct{})
	var readers sync.WaitGroup
	for reader := range 3 {
		readers.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-done:
					return
				default:
				}
				var batch service.MessageBatch
				for k := range 20 { // new users: nothing is known of them
					user := reader + 10 + 3*(n*20+k)
					batch = append(batch, request(fmt.Sprintf(`{"event_type":"rate","user_id":%d,"movie_id":11,"value":3,"timestamp":1}`, user)))
				}
				out, err := p.ProcessBatch(t.Context(), batch)
				if err != nil {
					t.Error(err)
					return
				}
				for _, msg := range out[0] {
					var got reply
					data, _ := msg.AsBytes()
					if err := json.Unmarshal(data, &got); err != nil || got.Value != values[got.ModelVersion] {
						t.Errorf("reply %s, %v", data, err)
						return
					}
					for _, s := range got.Shadows {
						if s.Value != values[s.ModelVersion] || s.ModelVersion == got.ModelVersion {
							t.Errorf("reply %s", data)
						}
					}
				}
			}
		})
	}
	for k := range 40 {
		if k%4 == 0 {
			_, _, _, err := r.Promote(t.Context(), names[k/4%4], time.Now(), func(string) (bool, string, error) { return true, "test", nil })
			if err != nil {
				t.Error(err)
			}
		} else {
			challenge(t, r, fmt.Sprint("challenger:", k%3), names[k%4], float64(k%4)/3)
		}
		if err := follower.Poll(); err != nil {
			t.Error(err)
		}
	}
	close(done)
	readers.Wait()
}
