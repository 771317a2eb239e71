package experiment

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/recsys-benthos/recsys-benthos/internal/message"
)

// rated is a rating of 3 stars, for which the champion says 3+c and the challenger
// 3+x: the difference of their squared errors is c²−x².
func rated(user, movie, at int64, c, x float64) Rating {
	return Rating{
		User: user, Movie: movie, At: at, Actual: 3,
		Predictions: []Prediction{{Version: "v2", Value: 3 + c}, {Version: "v1", Role: "challenger:previous", Value: 3 + x}},
	}
}

const hour = dayMillis / 24

// only is the result of the only comparison.
func only(t *testing.T, c *Comparisons) Result {
	t.Helper()
	results := c.Results()
	if len(results) != 1 {
		t.Fatalf("%d comparisons", len(results))
	}
	return results[0]
}

func expect(t *testing.T, c *Comparisons, gain float64, users int, ratings int64) {
	t.Helper()
	if r := only(t, c); math.Abs(r.Gain-gain) > 1e-12 || r.Users != users || r.Ratings != ratings {
		t.Errorf("gain %v of %d users and %d ratings, want %v, %d, %d", r.Gain, r.Users, r.Ratings, gain, users, ratings)
	}
}

func TestAUsersDayIsOneValueOnceItIsOver(t *testing.T) {
	c := NewComparisons(Config{})
	if c.Add(rated(1, 10, 0, 0.5, 0)) || c.Add(rated(1, 11, hour, 0, 0.5)) || c.Add(rated(1, 12, 2*hour, 1, 0)) {
		t.Error("a day was closed before its end")
	}
	c.Add(rated(2, 10, 3*hour, 0.25, 0))
	expect(t, c, 0, 0, 0)
	if r := only(t, c); r.Open != 2 || r.Low != -1 || r.High != 1 || r.Champion != "v2" || r.Challenger != "v1" || r.Role != "challenger:previous" || r.EValue != 1 {
		t.Errorf("got %+v", r)
	}
	// The next day of user 1 closes the day of user 1; an hour later all are closed.
	if !c.Add(rated(1, 10, dayMillis, 0, 0.5)) {
		t.Error("the next day closes nothing")
	}
	expect(t, c, 1.0/3, 1, 3) // (0.25 − 0.25 + 1)/3
	c.Add(rated(3, 10, dayMillis+hour-1, 0, 0))
	expect(t, c, 1.0/3, 1, 3)
	c.Add(rated(3, 11, dayMillis+hour, 0, 0))
	expect(t, c, (1.0/3+0.0625)/2, 2, 4)
	// Days of a user are averaged first, then users.
	c.Add(rated(9, 10, 3*dayMillis, 0, 0))
	expect(t, c, ((1.0/3-0.25)/2+0.0625+0)/3, 3, 7)
}

func TestWhatComesLateOrTwiceIsIgnored(t *testing.T) {
	c := NewComparisons(Config{})
	c.Add(rated(1, 10, 5*hour, 0.5, 0))
	c.Add(rated(1, 10, 5*hour, 0.5, 0))         // the same request again
	c.Add(rated(1, 10, 6*hour, 0, 1))           // the same movie again that day
	c.Add(rated(2, 10, 2*dayMillis, 0, 0))      // closes day 0
	c.Add(rated(1, 11, 7*hour, 0, 1))           // of a closed day
	c.Add(rated(1, 10, 2*dayMillis, 0.5, 0))    // another day
	c.Add(rated(1, 12, dayMillis+hour, 0, 0.5)) // before the day that is open
	c.Add(rated(3, 12, hour, 0.5, 0))           // of a user of whom that day is not closed
	c.Add(rated(4, 12, 9*dayMillis, 0, 0))
	expect(t, c, (0.25+0.25+0)/3, 3, 4)
	if r := only(t, c); r.Ignored != 4 {
		t.Errorf("%d are ignored, want 4", r.Ignored)
	}
}

func TestValuesAreClipped(t *testing.T) {
	c := NewComparisons(Config{Period: time.Minute})
	c.Add(rated(1, 10, 0, 3, 0))
	c.Add(rated(2, 10, 0, 0, 4))
	c.Add(rated(3, 10, 0, 0.5, 0))
	c.Add(rated(4, 10, 10*60_000, 0, 0))
	expect(t, c, 0.25/3, 3, 3)
}

func TestWhatAVersionWasTrainedOnSaysNothing(t *testing.T) {
	c := NewComparisons(Config{})
	for _, late := range [][2]bool{{true, false}, {false, true}} {
		r := rated(1, 10, 0, 1, 0)
		r.Predictions[0].Late, r.Predictions[1].Late = late[0], late[1]
		c.Add(r)
	}
	r := rated(1, 10, 0, 1, 0)
	r.Predictions[0].Role = "challenger:x" // nobody is the champion
	c.Add(r)
	if got := c.Results(); len(got) != 0 {
		t.Errorf("got %+v", got)
	}
}

// TestEveryChallengerIsComparedWithTheChampion also where a challenger serves.
func TestEveryChallengerIsComparedWithTheChampion(t *testing.T) {
	c := NewComparisons(Config{})
	c.Add(Rating{User: 1, Movie: 1, At: 0, Actual: 3, Predictions: []Prediction{
		{Version: "bold", Role: "challenger:bold", Value: 3.5}, {Version: "v2", Value: 3.25}, {Version: "v1", Role: "challenger:previous", Value: 3},
	}})
	c.Add(rated(2, 1, 5*dayMillis, 0, 0))
	got := map[string]float64{}
	for _, r := range c.Results() {
		got[r.Champion+" "+r.Challenger] = r.Gain
	}
	if len(got) != 2 || got["v2 bold"] != 0.0625-0.25 || got["v2 v1"] != 0.0625 {
		t.Errorf("got %v", got)
	}
}

func TestMemoryIsBounded(t *testing.T) {
	c := NewComparisons(Config{})
	for k := range int64(maxPerUser + 10) {
		c.Add(rated(1, k, 0, 1, 0))
	}
	if r := only(t, c); r.Skipped != 10 || c.ratings != maxPerUser {
		t.Errorf("%d ratings are kept, %d skipped", c.ratings, r.Skipped)
	}
	for k := range maxPairs + 5 {
		r := rated(7, 1, int64(k), 1, 0)
		r.Predictions[1].Version = fmt.Sprint("v", k+100)
		c.Add(r)
	}
	if n := len(c.Results()); n != maxPairs || c.users != maxPairs || c.ratings != maxPairs {
		t.Errorf("%d comparisons of %d users with %d open ratings", n, c.users, c.ratings)
	}
	c.users = maxUsers
	last := rated(8, 1, 9, 1, 0)
	last.Predictions[1].Version = fmt.Sprint("v", maxPairs+104)
	c.Add(last)
	if r := c.Results()[0]; r.Skipped != 1 || r.Users+r.Open != 1 {
		t.Errorf("without room: %+v", r)
	}
	last.At = 3 * dayMillis
	c.Add(last)
	if n := len(c.Results()); n != maxPairs-1 || c.Results()[0].Skipped != 1 {
		t.Errorf("comparisons that ended did not make room: %d are left, %+v", n, c.Results()[0])
	}
}

func TestBelowTheLeastNumberOfUsersNothingIsSettled(t *testing.T) {
	c := NewComparisons(Config{Period: time.Minute})
	for user := range int64(31) {
		if r := c.Results(); len(r) > 0 && r[0].Settled != Undecided {
			t.Fatalf("settled at %d users", r[0].Users)
		}
		c.Add(rated(user, 1, user*10*60_000, 1-float64(user%3)/10, 0))
	}
	if r := only(t, c); r.Settled != Better || r.Users != 30 || r.Low <= 0 || r.High < r.Gain || r.EValue < 20 {
		t.Errorf("got %+v", r)
	}
}

// TestBetterAndWorseAreMirrorImages: with the versions' places exchanged all is
// the same, with the sign changed.
func TestBetterAndWorseAreMirrorImages(t *testing.T) {
	one, other := NewComparisons(Config{}), NewComparisons(Config{})
	random := rand.New(rand.NewPCG(3, 3))
	outcomes := map[Outcome]Outcome{Better: Worse, Worse: Better, Undecided: Undecided}
	settled := false
	for k := range int64(4000) {
		a, b := 0.5*random.NormFloat64(), 0.3*random.NormFloat64()
		if one.Add(rated(k/3, k, k*hour, a, b)) != other.Add(rated(k/3, k, k*hour, b, a)) {
			t.Fatal("a day closes in one only")
		}
		x, y := only(t, one), only(t, other)
		if x.Settled != outcomes[y.Settled] || math.Abs(x.Gain+y.Gain) > 1e-12 || math.Abs(x.Low+y.High) > 1e-12 || math.Abs(x.EValue-y.EValue) > 1e-9*x.EValue {
			t.Fatalf("after %d ratings %+v and %+v", k, x, y)
		}
		settled = settled || x.Settled == Better
	}
	if !settled {
		t.Error("nothing was settled")
	}
}

func TestTheRadiusIsThatOfTheLiterature(t *testing.T) {
	rho2 := (-2*math.Log(0.05) + math.Log(-2*math.Log(0.05)+1)) / 100
	for _, n := range []int{10_000, 1_000_000} { // where Student's distribution is the normal one
		x := float64(n)
		want := 0.5 * math.Sqrt(2*(x*rho2+1)/(x*x*rho2)*math.Log(math.Sqrt(x*rho2+1)/0.05))
		if got := radius(0.05, n, 0.25); math.Abs(got/want-1) > 1e-3 {
			t.Errorf("n = %d: %v, want %v", n, got, want)
		}
	}
	// Of 29 degrees of freedom: the normal z and Student's t of one probability.
	if got := radius(0.05, 30, 1) * math.Sqrt(30); got < 3.45 || got > 3.75 {
		t.Errorf("30 users: %v standard errors", got)
	}
}

// TestBettingOnNothingIsRarelyWorthwhile: an e-value exceeds 20 with a probability
// of at most 5 %, whatever the values' distribution.
func TestBettingOnNothingIsRarelyWorthwhile(t *testing.T) {
	const sequences = 2000
	for name, draw := range map[string]func(r *rand.Rand) float64{
		"normal":    func(r *rand.Rand) float64 { return min(max(0.1*r.NormFloat64(), -1), 1) },
		"all or no": func(r *rand.Rand) float64 { return float64(2*r.IntN(2) - 1) },
		"skewed": func(r *rand.Rand) float64 {
			if r.IntN(20) == 0 {
				return 0.95
			}
			return -0.05
		},
	} {
		exceeded := 0
		for k := range uint64(sequences) {
			random := rand.New(rand.NewPCG(k, 1))
			var b bets
			for range 300 {
				if b.add(draw(random)); b.eValue() >= 20 {
					exceeded++
					break
				}
			}
		}
		if exceeded > sequences/20 {
			t.Errorf("%s: %d of %d exceed 20", name, exceeded, sequences)
		}
	}
	var b bets
	for range 200 {
		b.add(0.1)
	}
	if b.eValue() < 1e5 {
		t.Errorf("of 200 times 0.1: %v", b.eValue())
	}
}

func TestARecordOfPredictionsIsARating(t *testing.T) {
	p := message.Prediction{
		RequestID: "r", User: 7, Movie: 8, Value: 3.5, ModelVersion: "v2", Role: "challenger:x", RequestedAt: 1000, PredictedAt: 2000,
		Actual: 4, HasActual: true, Late: true,
		Shadows: []message.Shadow{{ModelVersion: "v1", Value: 3}, {ModelVersion: "v3", Role: "challenger:y", Value: 2.5, Late: true}},
	}
	record, ok, err := DecodeRecord(p.AppendJSON(nil))
	if err != nil || !ok {
		t.Fatal(ok, err)
	}
	got, ok := record.Rating()
	want := "{7 8 0 1000 4 [{v2 challenger:x 3.5 true} {v1  3 false} {v3 challenger:y 2.5 true}]}"
	if !ok || fmt.Sprint(got) != want {
		t.Errorf("got %v, want %s", got, want)
	}
	p.RequestedAt = 2000 + maxFuture.Milliseconds() + 1
	record, _, _ = DecodeRecord(p.AppendJSON(nil))
	if _, ok := record.Rating(); ok {
		t.Error("a request from the future is a rating")
	}
	for text, want := range map[string]string{
		`{"prediction":3,"actual":4}`:      "",
		`not even JSON`:                    "",
		`{"shadows":[}`:                    "reading a prediction: invalid character",
		`{"shadows":[{"prediction":"x"}]}`: "reading a prediction: json: cannot unmarshal string",
	} {
		_, ok, err := DecodeRecord([]byte(text))
		if ok || (err == nil) != (want == "") || err != nil && !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s: %v, %v", text, ok, err)
		}
	}
	for _, text := range []string{`{"shadows":[]}`, `{"shadows":[{}],"actual":3,"user_id":1,"movie_id":2,"prediction":3,"model_version":"v","requested_at":"2026-01-02T15:04:05Z","predicted_at":"2026-01-02T15:04:05Z"}`} {
		record, _, err := DecodeRecord([]byte(text))
		if _, ok := record.Rating(); ok || err != nil {
			t.Errorf("%s: %v, %v", text, ok, err)
		}
	}
}

func BenchmarkAdd(b *testing.B) {
	c := NewComparisons(Config{})
	n := int64(0)
	b.ReportAllocs()
	r := rated(1, 1, 0, 0.1, 0.2)
	for b.Loop() {
		n++
		r.User, r.Movie, r.At = n*7%10_000, n%1000, n*100
		c.Add(r)
	}
}

func TestMomentsAreThoseOfASample(t *testing.T) {
	var m moments
	for _, x := range []float64{1, 2, 3, 9} {
		m.add(x)
	}
	m.replace(9, 4)
	if m.mean() != 2.5 || math.Abs(m.variance()-5.0/3) > 1e-12 {
		t.Errorf("mean %v, variance %v", m.mean(), m.variance())
	}
}

// Read again from its beginning, a topic comes partition by partition.
func TestAPartitionThatIsReadLaterIsNotLate(t *testing.T) {
	play := func(in func(part int32, day, user int64) bool, c *Comparisons) {
		for day := range int64(3) {
			for user := range int64(40) {
				part := int32(user % 2)
				if !in(part, day, user) {
					continue
				}
				for movie := range int64(2) {
					r := rated(user, 100*day+movie, day*dayMillis+user*1000+2*hour, 0.5, 0.1)
					r.Partition = part
					c.Add(r)
				}
			}
		}
	}
	together, apart := NewComparisons(Config{}), NewComparisons(Config{})
	play(func(int32, int64, int64) bool { return true }, together)
	for _, part := range []int32{0, 1} {
		play(func(p int32, _, _ int64) bool { return p == part }, apart)
	}
	want, got := only(t, together), only(t, apart)
	if math.Abs(want.Gain-got.Gain) > 1e-12 || want.Users != got.Users || want.Ratings != got.Ratings || got.Ignored != 0 || got.Users != 40 {
		t.Errorf("partition by partition: %+v, together: %+v", got, want)
	}
}
