package als

import (
	"testing"
	"time"

	"github.com/redpanda-data/benthos/v4/public/service"
)

// TestErrorsOfNewRatingsAreAddedUp: what live RMSE is made of leaves out ratings that
// the model may have been trained on, and requests without one.
func TestErrorsOfNewRatingsAreAddedUp(t *testing.T) {
	r, _ := published(t, 3, time.UnixMilli(1500)) // trained until 1.5 s; the mean is 3
	mgr, follower := resources(t, r)
	if err := follower.Poll(); err != nil {
		t.Fatal(err)
	}
	p := newPredict(t, mgr)
	live, err := p.live()
	if err != nil {
		t.Fatal(err)
	}
	b := predicting{users: live.Users, now: 5000, lineUp: live.LineUp()}
	for i, text := range []string{
		`{"event_type":"rate","user_id":5,"movie_id":20,"value":5,"timestamp":1}`, // late
		`{"user_id":6,"movie_id":21}`, // no rating
		`{"event_type":"rate","user_id":7,"movie_id":22,"value":1,"timestamp":2}`, // 3 of 1
		`{"event_type":"rate","user_id":8,"movie_id":23,"value":4,"timestamp":3}`, // 3 of 4
	} {
		if _, err := p.predict(nil, &b, service.NewMessage([]byte(text))); err != nil {
			t.Errorf("message %d: %v", i, err)
		}
	}
	if b.rated != 2 || b.squares != 2*2+1*1 {
		t.Errorf("%d rated, squares %v; want 2 and 5", b.rated, b.squares)
	}
}
