package als

import (
	"math/rand/v2"
	"strconv"
	"testing"
	"time"

	"github.com/redpanda-data/benthos/v4/public/service"

	"github.com/recsys-benthos/recsys-benthos/internal/message"
)

// TestFallingSkillIsToldOnce: the model predicts 3 for everything, as its biases do;
// users rate about 3, and then what the model says is off by more and more.
func TestFallingSkillIsToldOnce(t *testing.T) {
	r, promotion := published(t, 3, time.Time{})
	mgr, follower := resources(t, r)
	if err := follower.Poll(); err != nil {
		t.Fatal(err)
	}
	conf, err := skillSpec().ParseYAML("window: 500\ndrop: 0.05", nil)
	if err != nil {
		t.Fatal(err)
	}
	meter, err := newSkillMeter(conf, mgr)
	if err != nil {
		t.Fatal(err)
	}
	random := rand.New(rand.NewPCG(1, 1))
	users := int64(0) // each rates once, so that the biases are those of the model
	play := func(version string, late bool, worse float64) (fallen int) {
		t.Helper()
		for k := range 3000 {
			actual := float32(3 + random.NormFloat64()/2)
			users++
			p := message.Prediction{
				RequestID: strconv.Itoa(k), User: users, Movie: int64(k), ModelVersion: version,
				Value: 3 + float32(worse*random.NormFloat64()), HasActual: true, Actual: actual, Late: late,
			}
			text := p.AppendJSON(nil)
			out, err := meter.Process(t.Context(), service.NewMessage(text))
			if err != nil || len(out) != 1 {
				t.Fatalf("%d messages, %v", len(out), err)
			}
			if got, err := out[0].AsBytes(); err != nil || string(got) != string(text) {
				t.Fatalf("the message became %s, %v", got, err)
			}
			if said, ok := out[0].MetaGet("als_skill"); ok && said == "fallen" {
				fallen++
			}
		}
		return fallen
	}
	if n := play(promotion.Version, false, 0); n != 0 {
		t.Errorf("an unchanged model fell %d times", n)
	}
	if n := play("another", false, 3) + play(promotion.Version, true, 3); n != 0 {
		t.Errorf("what is not the champion's, or late, counts: %d", n)
	}
	if n := play(promotion.Version, false, 0.5); n != 1 {
		t.Errorf("a worse model fell %d times, want to be told once", n)
	}
	for _, text := range []string{"", "no JSON", `{"model_version":"` + promotion.Version + `","actual":3}`} {
		if out, err := meter.Process(t.Context(), service.NewMessage([]byte(text))); err != nil || len(out) != 1 || out[0].GetError() != nil {
			t.Errorf("%q: %v", text, err)
		}
	}
}
