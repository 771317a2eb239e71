package als

import (
	"encoding/json"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redpanda-data/benthos/v4/public/service"

	"github.com/recsys-benthos/recsys-benthos/internal/experiment"
	"github.com/recsys-benthos/recsys-benthos/internal/message"
	"github.com/recsys-benthos/recsys-benthos/internal/registry"
)

func newCompare(t *testing.T, mgr *service.Resources, yaml string) *comparer {
	t.Helper()
	conf, err := compareSpec().ParseYAML(yaml, nil)
	if err != nil {
		t.Fatal(err)
	}
	c, err := newComparer(conf, mgr)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// predictions are what 60 users rated on two days, for which the champion was off
// by about a star and the challenger by about off.
func predictions(champion, challenger, role string, off float32) (texts []string) {
	for k := range int64(120) {
		jitter := float32(k%7-3) / 50
		p := message.Prediction{
			RequestID: "r", User: k % 60, Movie: k, Value: 4 + jitter, ModelVersion: champion, HasActual: true, Actual: 3,
			RequestedAt: k / 60 * 26 * time.Hour.Milliseconds(), PredictedAt: k / 60 * 26 * time.Hour.Milliseconds(),
			Shadows: []message.Shadow{{ModelVersion: challenger, Role: role, Value: 3 + off - jitter}},
		}
		texts = append(texts, string(p.AppendJSON(nil)))
	}
	return texts
}

// compared is what a batch became: what each message tells, and the one that
// tells something.
func compared(t *testing.T, c *comparer, texts []string) (tells map[string]int, told *service.Message) {
	t.Helper()
	var batch service.MessageBatch
	for _, text := range texts {
		batch = append(batch, service.NewMessage([]byte(text)))
	}
	out, err := c.ProcessBatch(t.Context(), batch)
	if err != nil || len(out) != 1 || len(out[0]) != len(texts) {
		t.Fatalf("%d batches, %v", len(out), err)
	}
	tells = map[string]int{}
	for i, msg := range out[0] {
		what, _ := msg.MetaGet("als_compare")
		tells[what]++
		data, _ := msg.AsBytes()
		if what != tellNothing && what != "" {
			told = msg
		} else if string(data) != texts[i] {
			t.Errorf("message %d was changed: %s", i, data)
		}
	}
	return tells, told
}

// announced reads the announcement that a message has become.
func announced(t *testing.T, msg *service.Message) message.Announcement {
	t.Helper()
	data, err := msg.AsBytes()
	if err != nil {
		t.Fatal(err)
	}
	a, err := message.DecodeAnnouncement("test", data)
	if role, _ := msg.MetaGet("role"); err != nil || role != a.Role {
		t.Fatalf("role %q of %s, %v", role, data, err)
	}
	return a
}

// onProbation has two versions, the second one the champion.
func onProbation(t *testing.T) (*registry.Registry, *service.Resources, registry.Promotion, *registry.Follower) {
	t.Helper()
	r, _ := published(t, 3, time.Time{})
	second := promote(t, r, 4, time.Time{})
	mgr, follower := resources(t, r)
	if err := follower.Poll(); err != nil {
		t.Fatal(err)
	}
	return r, mgr, second, follower
}

func TestAPromotionThatMadePredictionsWorseIsTakenBackOnce(t *testing.T) {
	r, mgr, second, follower := onProbation(t)
	texts := predictions(second.Version, second.Previous, registry.Previous, 0.25)
	var processes sync.WaitGroup
	announcements := make(chan message.Announcement, 4)
	for range 4 {
		c := newCompare(t, mgr, "action: rollback")
		processes.Go(func() {
			tells, told := compared(t, c, texts)
			if tells[tellRolledBack] != 1 || tells[tellNothing] != len(texts)-1 {
				t.Errorf("messages tell %v", tells)
				return
			}
			a := announced(t, told)
			if a.Role != registry.Champion || a.Version != second.Previous || a.Sequence != 3 || a.Action != registry.ActionRollback || a.SHA256 == "" {
				t.Errorf("announced is %+v", a)
			}
			if !strings.HasPrefix(a.Reason, "challenger:previous, version "+second.Previous+", is better than the champion, version "+second.Version+", on live ratings: its mean squared error is less by 0.9") ||
				!strings.Contains(a.Reason, " users with ") {
				t.Errorf("the reason is %s", a.Reason)
			}
			announcements <- a
		})
	}
	processes.Wait()
	close(announcements)
	for a := range announcements {
		if err := follower.Announced(a); err != nil {
			t.Error(err)
		}
	}
	latest, _, err := r.Latest()
	if err != nil || latest.Sequence != 3 || len(latest.Roles) != 1 || latest.Roles[registry.Champion] != second.Previous || latest.Previous != second.Version {
		t.Errorf("the last promotion is %+v, %v", latest, err)
	}
	if l := follower.Live.LineUp(); l.Champion.Name != second.Previous || len(l.Challengers) != 0 {
		t.Errorf("%s serves, with %d challengers", l.Champion.Name, len(l.Challengers))
	}
	// Read again by a process that knows the new line-up: it is history.
	if tells, _ := compared(t, newCompare(t, mgr, "action: rollback"), texts); tells[tellNothing] != len(texts) {
		t.Errorf("afterwards messages tell %v", tells)
	}
}

func TestAProbationEndsWhenTheChampionBeforeIsNotBetter(t *testing.T) {
	for name, off := range map[string]float32{"it is worse": 1.5, "they are as good": 1} {
		t.Run(name, func(t *testing.T) {
			r, mgr, second, follower := onProbation(t)
			texts := predictions(second.Version, second.Previous, registry.Previous, off)
			yaml := "action: rollback\nmargin: 0.5"
			tells, told := compared(t, newCompare(t, mgr, yaml), texts)
			if tells[tellSettled] != 1 {
				t.Fatalf("messages tell %v", tells)
			}
			a := announced(t, told)
			if a.Role != registry.Previous || a.Version != "" || a.Sequence != 3 || a.Action != registry.ActionWithdraw || !strings.Contains(a.Reason, second.Previous) {
				t.Errorf("announced is %+v", a)
			}
			latest, _, err := r.Latest()
			if err != nil || len(latest.Roles) != 1 || latest.Roles[registry.Champion] != second.Version {
				t.Errorf("the last promotion is %+v, %v", latest, err)
			}
			// It was recorded, but the process ended before it was announced.
			tells, told = compared(t, newCompare(t, mgr, yaml), texts)
			if tells[tellSettled] != 1 || announced(t, told).Sequence != 3 {
				t.Errorf("read again, messages tell %v", tells)
			}
			if err := follower.Announced(a); err != nil || len(follower.Live.LineUp().Challengers) != 0 {
				t.Errorf("following it: %v", err)
			}
		})
	}
}

func TestWithoutAnActionASettledComparisonIsToldOnly(t *testing.T) {
	r, mgr, second, follower := onProbation(t)
	challenge(t, r, "challenger:bold", second.Previous, 0)
	if err := follower.Poll(); err != nil {
		t.Fatal(err)
	}
	for yaml, role := range map[string]string{"": registry.Previous, "action: rollback": "challenger:bold"} {
		c := newCompare(t, mgr, yaml)
		texts := predictions(second.Version, second.Previous, role, 0)
		tells, told := compared(t, c, texts)
		if tells[tellFound] != 1 {
			t.Fatalf("%s: messages tell %v", role, tells)
		}
		data, _ := told.AsBytes()
		var got experiment.Result
		if err := json.Unmarshal(data, &got); err != nil || got.Settled != experiment.Better || got.Role != role || got.Users < 30 || got.Low <= 0 {
			t.Errorf("told is %s, %v", data, err)
		}
		if tells, _ := compared(t, c, texts); tells[tellNothing] != len(texts) {
			t.Errorf("%s: a second time messages tell %v", role, tells)
		}
	}
	if latest, _, err := r.Latest(); err != nil || latest.Sequence != 3 {
		t.Errorf("the last promotion is %+v, %v", latest, err)
	}
}

func TestARegistryThatIsAwayIsWaitedFor(t *testing.T) {
	r, mgr, second, _ := onProbation(t)
	folder := strings.TrimPrefix(r.URL(), "file://") + "/promotions"
	if err := os.Rename(folder, folder+".away"); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(folder, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	c := newCompare(t, mgr, "action: rollback")
	var once sync.Once
	c.now = func() time.Time { // asked for at each attempt; the first one fails
		once.Do(func() {
			time.AfterFunc(time.Millisecond, func() {
				if os.Remove(folder) != nil || os.Rename(folder+".away", folder) != nil {
					t.Error("the folder does not come back")
				}
			})
		})
		return time.Now()
	}
	if tells, _ := compared(t, c, predictions(second.Version, second.Previous, registry.Previous, 0)); tells[tellRolledBack] != 1 {
		t.Errorf("messages tell %v", tells)
	}
}

func TestMessagesWithNothingToComparePassUntouched(t *testing.T) {
	_, mgr, second, _ := onProbation(t)
	c := newCompare(t, mgr, "")
	texts := []string{
		`{"request_id":"a","user_id":1,"movie_id":2,"prediction":3}`, `no JSON`, ``, `{"shadows":[]}`,
		strings.Replace(predictions(second.Version, second.Previous, registry.Previous, 0)[0], `"actual":3`, `"x":3`, 1),
	}
	if tells, _ := compared(t, c, texts); tells[tellNothing] != len(texts) {
		t.Errorf("messages tell %v", tells)
	}
	out, err := c.ProcessBatch(t.Context(), service.MessageBatch{service.NewMessage([]byte(`{"shadows":3}`))})
	if err != nil || out[0][0].GetError() == nil || !strings.HasPrefix(out[0][0].GetError().Error(), "als_compare: reading a prediction: ") {
		t.Errorf("got %v, %v", out[0][0].GetError(), err)
	}
	for _, yaml := range []string{"alpha: 1", "alpha: 0", "min_users: 1", "period: 1ms", "margin: -1", "registry: ftp://x", "model: other"} {
		conf, err := compareSpec().ParseYAML(yaml, nil)
		if err == nil {
			_, err = newComparer(conf, mgr)
		}
		if err == nil {
			t.Errorf("%s is taken", yaml)
		}
	}
}
