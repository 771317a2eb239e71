package experiment

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"testing"
	"time"
)

func shown(n int, version string, movies ...int64) *Reply {
	return &Reply{Place: Place{"recommendations", 0, int64(n)}, RequestID: fmt.Sprintf("r%d", n), Version: version, User: int64(n), HasUser: true, Movies: movies, At: int64(1000 * n)}
}

func acted(offset, request int, movie int64, rated bool) *Action {
	return &Action{Place: Place{"events", 0, int64(offset)}, RequestID: fmt.Sprintf("r%d", request), User: int64(request), Movie: movie, Rated: rated, At: int64(1000*request + 500)}
}

func expectTallies(t *testing.T, o *Outcomes, rest Unattributed, want ...Tally) {
	t.Helper()
	got, left := o.Tallies()
	if !reflect.DeepEqual(got, want) || left != rest {
		t.Errorf("counted %+v and %+v,\nwant %+v and %+v", got, left, want, rest)
	}
}

func TestWhatUsersDoIsOfTheListTheyWereShown(t *testing.T) {
	o := NewOutcomes(OutcomeConfig{})
	o.Show(shown(1, "v1", 10, 20, 30))
	o.Show(shown(2, "v1", 10))
	other := shown(3, "v2", 10, 20)
	other.Role = "challenger:x"
	o.Show(other)
	for k, a := range []*Action{
		acted(0, 1, 10, false), acted(0, 1, 20, true), acted(0, 1, 10, true), acted(0, 1, 10, false), // the last again
		acted(0, 3, 20, false),
		acted(0, 2, 99, false), // the list does not have it
		acted(0, 7, 10, false), // no such list yet
	} {
		a.Offset = int64(k)
		a.At = int64(10_000 + k)
		o.Act(a)
	}
	foreign := acted(7, 1, 30, false)
	foreign.User, foreign.At = 2, 20_000
	o.Act(foreign)
	late := acted(8, 2, 10, false)
	late.At = 2000 + (24*time.Hour + time.Second).Milliseconds()
	o.Act(late)
	expectTallies(t, o, Unattributed{Waiting: 1, Late: 1, Other: 2},
		Tally{Version: "v1", Shown: 2, Items: 4, Hit: 1, Clicked: 1, Rated: 2},
		Tally{Version: "v2", Role: "challenger:x", Shown: 1, Items: 2, Hit: 1, Clicked: 1})
}

// TestOrderAndRepetitionChangeNothing: two topics are read side by side, and both
// again after a failure.
func TestOrderAndRepetitionChangeNothing(t *testing.T) {
	var want []Tally
	for seed := range uint64(20) {
		r := rand.New(rand.NewPCG(seed, 1))
		replies, actions := make([]*Reply, 40), []*Action{}
		for n := range replies {
			replies[n] = shown(n, fmt.Sprint("v", n%3), 10, 20, 30)
			for m := range n % 4 {
				actions = append(actions, acted(len(actions), n, int64(10+10*m), m%2 == 0))
			}
		}
		o := NewOutcomes(OutcomeConfig{})
		for k, l := 0, 0; k < len(replies) || l < len(actions); {
			switch {
			case l == len(actions) || k < len(replies) && r.IntN(2) == 0:
				o.Show(replies[k])
				k++
			default:
				o.Act(actions[l])
				l++
			}
			if r.IntN(4) == 0 { // back, as after a batch that was not acknowledged
				k, l = max(0, k-r.IntN(5)), max(0, l-r.IntN(5))
			}
		}
		got, rest := o.Tallies()
		byVersion := make([]Tally, 3)
		for _, tally := range got {
			byVersion[tally.Version[1]-'0'] = tally
		}
		if want == nil {
			want = byVersion
		}
		if !reflect.DeepEqual(byVersion, want) || rest != (Unattributed{}) {
			t.Fatalf("seed %d: %+v and %+v, want %+v", seed, byVersion, rest, want)
		}
	}
	if sum := want[0].Clicked + want[1].Clicked + want[2].Clicked + want[0].Rated + want[1].Rated + want[2].Rated; sum != 60 {
		t.Errorf("%d actions were counted, want 60", sum)
	}
}

// TestWhatIsForgottenIsCounted: memory is bounded, on both sides.
func TestWhatIsForgottenIsCounted(t *testing.T) {
	o := NewOutcomes(OutcomeConfig{Replies: 10})
	for n := range 100 {
		o.Show(shown(n, "v1", 10))
	}
	offset := 0
	act := func(request int) {
		a := acted(offset, request, 10, false)
		a.At = int64(200_000 + offset)
		o.Act(a)
		offset++
	}
	act(99)
	act(5) // forgotten
	for n := range 20 {
		act(1000 + n) // never shown
	}
	expectTallies(t, o, Unattributed{Waiting: 10, Unknown: 11}, Tally{Version: "v1", Shown: 100, Items: 100, Hit: 1, Clicked: 1})
	if o.Show(shown(5, "v1", 10)) {
		t.Error("a list that was forgotten counts again when it is read again")
	}
	if len(o.shown) != 10 || len(o.waiting) != 10 || len(o.order.names) != 10 || len(o.queue.names) != 10 {
		t.Errorf("%d lists and %d requests are remembered", len(o.shown), len(o.waiting))
	}
}

func TestAPartitionThatBeginsAnewIsRead(t *testing.T) {
	o := NewOutcomes(OutcomeConfig{})
	o.Show(shown(7, "v1", 10))
	again := shown(8, "v1", 10)
	again.Offset = 0
	if !o.Show(again) {
		t.Error("a new message at a low offset is taken for a repetition")
	}
}

func TestMessagesAreRepliesOrActions(t *testing.T) {
	reply, action := DecodeOutcome([]byte(`{"request_id":"r1","kind":"recommend","user_id":514,"items":[{"movie_id":318,"score":1},{"movie_id":50}],"model_version":"v1","role":"challenger:x"}`))
	if want := (&Reply{RequestID: "r1", Version: "v1", Role: "challenger:x", User: 514, HasUser: true, Movies: []int64{318, 50}}); !reflect.DeepEqual(reply, want) || action != nil {
		t.Errorf("got %+v, %+v", reply, action)
	}
	reply, action = DecodeOutcome([]byte(`{"event_type":"rate","user_id":"514","movie_id":"318","value":"4.5","timestamp":"1","request_id":"r1"}`))
	if want := (&Action{RequestID: "r1", User: 514, Movie: 318, Rated: true}); !reflect.DeepEqual(action, want) || reply != nil {
		t.Errorf("got %+v, %+v", reply, action)
	}
	for _, other := range []string{
		`{"event_type":"rate","user_id":1,"movie_id":2,"value":4}`, `{"event_type":"tag","user_id":1,"movie_id":2,"request_id":"r"}`,
		`{"request_id":"r","kind":"similar","items":[],"model_version":"v"}`, `{"request_id":"r","kind":"recommend"}`,
		`{"event_type":"view","request_id":"r"}`, `{"request_id":"r"`, `"request_id"`, ``,
	} {
		if reply, action := DecodeOutcome([]byte(other)); reply != nil || action != nil {
			t.Errorf("%s: %+v, %+v", other, reply, action)
		}
	}
}
