package e2e

import (
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/recsys-benthos/recsys-benthos/internal/recsystest"
)

// killSeed is the seed of the moments: RECSYS_SEED, or a new one.
func killSeed(t *testing.T) uint64 {
	t.Helper()
	text := os.Getenv("RECSYS_SEED")
	if text == "" {
		return rand.Uint64N(1e6)
	}
	seed, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatalf("RECSYS_SEED: %v", err)
	}
	return seed
}

// killPlan is how often up is killed, on which data, and how fast these are
// played, so that they last for all the kills, however late each comes.
type killPlan struct {
	kills   int
	data    string
	history float64
	rate    string
}

func planKills(t *testing.T) killPlan {
	t.Helper()
	data := recsystest.DataDir(t)
	if long() {
		return killPlan{kills: 20, data: data, history: 0.5, rate: "800"}
	}
	return killPlan{kills: 5, data: smallData(t, data, 200), history: 0.5, rate: "600"}
}

func (k killPlan) up(state string, more ...string) []string {
	share := strconv.FormatFloat(k.history, 'f', -1, 64)
	return up(state, append([]string{"--data", k.data, "--history", share, "--json"}, more...)...)
}

// toTheEnd runs up until all data are played and everything is answered.
func (k killPlan) toTheEnd(t *testing.T, state string) *process {
	t.Helper()
	p := start(t, launch{args: k.up(state, "--rate", "0", "--until-predictions", "100000000")})
	p.succeed(2 * time.Minute)
	s, _ := summaryOf(t, p)
	t.Logf("to the end: %+v", s)
	checkAccounts(t, s)
	return p
}

func TestKilledAtRandomMomentsUpLosesNothingAndStoresEveryEventOnce(t *testing.T) {
	plan, seed := planKills(t), killSeed(t)
	t.Logf("%d kills; repeat them with RECSYS_SEED=%d", plan.kills, seed)
	unbroken, killed := t.TempDir(), t.TempDir()
	plan.toTheEnd(t, unbroken)

	random := rand.New(rand.NewPCG(seed, 1))
	earliest, latest := 300*time.Millisecond, 3*time.Second
	for i := range plan.kills {
		p := start(t, launch{args: plan.up(killed, "--rate", plan.rate)})
		after := earliest + time.Duration(random.Int64N(int64(latest-earliest)))
		if i == 0 { // while the history is loaded
			after = min(after, time.Second)
		}
		select {
		case <-p.Done:
			t.Fatalf("kill %d: it ended by itself\n%s", i+1, p.tail())
		case <-time.After(after):
		}
		p.Kill()
		t.Logf("kill %d after %.2f s; %d predictions are in the index", i+1, after.Seconds(), len(liveIn(killed)))
	}
	last := plan.toTheEnd(t, killed)
	checkRecovery(t, last, killed)

	want := dump(t, unbroken, "ratings.db")
	got := dump(t, killed, "ratings.db")
	if len(got) != len(want) {
		t.Errorf("%d tables instead of %d", len(got), len(want))
	}
	for table := range want {
		sameRows(t, "rating store, table "+table, got[table], want[table])
	}
	all := timeline(t, plan.data)
	sameRows(t, "rating store, against the data", got["ratings"], ratingRows(all))
	sameRows(t, "prediction index", predictions(t, killed), predictions(t, unbroken))
	ids := rows(t, openDatabase(t, killed, "predictions.db"), "SELECT request_id FROM predictions")
	slices.Sort(ids)
	sameRows(t, "request ids in the prediction index", ids, liveRequests(all, int(plan.history*float64(len(all))), len(all)))
	checkNoDeadLetters(t, killed)
}

// checkRecovery logs how soon the last run answered after its start.
func checkRecovery(t *testing.T, p *process, state string) {
	t.Helper()
	start := p.started.UTC().Format("2006-01-02T15:04:05.000Z")
	found := rows(t, openDatabase(t, state, "predictions.db"), "SELECT min(predicted_at) FROM predictions WHERE predicted_at > ?", start)
	at, err := time.Parse(time.RFC3339, found[0])
	if err != nil {
		t.Fatalf("no prediction was made after the last kill: %v", found)
	}
	t.Logf("recovery: first prediction %.2f s after the last start", at.Sub(p.started).Seconds())
}

func checkNoDeadLetters(t *testing.T, state string) {
	t.Helper()
	address := freeAddress(t)
	startBroker(t, state, address)
	for _, letter := range connect(t, address).records(t, "dead_letters") {
		t.Errorf("dead letter %q: %v", letter.Value, letter.Headers)
	}
}
