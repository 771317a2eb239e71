package registry

import (
	"fmt"
	"math"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/recsys-benthos/recsys-benthos/internal/als"
	"github.com/recsys-benthos/recsys-benthos/internal/message"
	"github.com/recsys-benthos/recsys-benthos/internal/model"
	"github.com/recsys-benthos/recsys-benthos/internal/ratings"
)

// assign gives a version a role, or takes the role away with "".
func assign(t testing.TB, r *Registry, role, version string, share float64) Promotion {
	t.Helper()
	p, ok, err := r.Update(t.Context(), time.Now(), func(next *Promotion) (bool, error) {
		next.Action, next.Role, next.Version, next.Roles[role], next.Shares[role] = ActionAssign, role, version, version, share
		if version == "" {
			next.Action = ActionWithdraw
			delete(next.Roles, role)
			delete(next.Shares, role)
		}
		return true, nil
	})
	if err != nil || !ok {
		t.Fatalf("assigning: %v, %v", ok, err)
	}
	return p
}

// describe is a line-up in one line.
func describe(l *model.LineUp) string {
	text := fmt.Sprintf("%d: %s", l.Sequence, l.Champion.Name)
	for _, c := range l.Challengers {
		text += fmt.Sprintf(", %s %s %v", c.Role, c.Name, c.Share)
	}
	return text
}

func poll(t *testing.T, f *Follower, want string) {
	t.Helper()
	if err := f.Poll(); err != nil {
		t.Errorf("polling: %v", err)
	}
	if got := describe(f.Live.LineUp()); got != want {
		t.Errorf("serves %s, want %s", got, want)
	}
}

func TestAllRolesOfTheNewestPromotionAreServed(t *testing.T) {
	r := open(t)
	f := follower(r)
	var swaps []string
	f.OnSwap = func(l *model.LineUp) { swaps = append(swaps, describe(l)) }
	one, two, three := publish(t, r, 1).Version, publish(t, r, 2).Version, publish(t, r, 3).Version
	promote(t, r, one)
	poll(t, f, "1: "+one)
	first := f.Live.Current()
	promote(t, r, two)
	poll(t, f, "2: "+two+", challenger:previous "+one+" 0")
	assign(t, r, "challenger:bold", three, 0.25)
	poll(t, f, "3: "+two+", challenger:bold "+three+" 0.25, challenger:previous "+one+" 0")
	assign(t, r, Previous, "", 0)
	poll(t, f, "4: "+two+", challenger:bold "+three+" 0.25")
	promote(t, r, three)
	poll(t, f, "5: "+three+", challenger:previous "+two+" 0")
	promote(t, r, one)
	poll(t, f, "6: "+one+", challenger:previous "+three+" 0")
	if f.Live.Current() == first {
		t.Error("a version that had no role was kept in memory")
	}
	poll(t, f, "6: "+one+", challenger:previous "+three+" 0")
	if len(swaps) != 6 {
		t.Errorf("%d swaps: %q", len(swaps), swaps)
	}
}

func TestAVersionThatKeepsARoleIsNotLoadedAgain(t *testing.T) {
	r := open(t)
	f := follower(r)
	one, two := publish(t, r, 1).Version, publish(t, r, 2).Version
	promote(t, r, one)
	promote(t, r, two)
	poll(t, f, "2: "+two+", challenger:previous "+one+" 0")
	before := f.Live.LineUp()
	for _, version := range []string{one, two} { // what is not read is not missed
		if err := os.Remove(r.bucket.path(modelKey(version))); err != nil {
			t.Fatal(err)
		}
	}
	promote(t, r, one)
	poll(t, f, "3: "+one+", challenger:previous "+two+" 0")
	if after := f.Live.LineUp(); after.Champion != before.Challengers[0].Version || after.Challengers[0].Version != before.Champion {
		t.Error("the versions changed places, but are others")
	}
}

func TestABadChallengerIsLeftOutUntilItIsMended(t *testing.T) {
	r := open(t)
	f := follower(r)
	good, bad, other := publish(t, r, 1).Version, publish(t, r, 2).Version, publish(t, r, 3).Version
	promote(t, r, good)
	path := r.bucket.path(modelKey(bad))
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, content[1:], 0o644); err != nil {
		t.Fatal(err)
	}
	p := assign(t, r, "challenger:bad", bad, 0.5)
	assign(t, r, "challenger:other", other, 0.5)
	for k := range 10 {
		err := f.Poll()
		if err == nil || !strings.Contains(err.Error(), "leaving challenger:bad out: ") || !strings.Contains(err.Error(), bad) || !strings.Contains(err.Error(), "version "+good+", is not affected") {
			t.Fatalf("poll %d: %v", k, err)
		}
		if got, want := describe(f.Live.LineUp()), "3: "+good+", challenger:other "+other+" 0.5"; got != want {
			t.Fatalf("poll %d: serves %s, want %s", k, got, want)
		}
	}
	announcement, err := r.Announcement(p)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Announced(announcement); err != nil {
		t.Errorf("an old announcement: %v", err)
	}
	if err := os.WriteFile(path, content, 0o644); err != nil {
		t.Fatal(err)
	}
	for range longestWait {
		_ = f.Poll() // it is not tried each time
	}
	poll(t, f, "3: "+good+", challenger:bad "+bad+" 0.5, challenger:other "+other+" 0.5")
}

func TestAnAnnouncedChallengerIsWhatTheLogSays(t *testing.T) {
	r := open(t)
	f := follower(r)
	one, two := publish(t, r, 1).Version, publish(t, r, 2).Version
	promote(t, r, one)
	poll(t, f, "1: "+one)
	hear := func(a message.Announcement, want string) {
		t.Helper()
		if err := f.Announced(a); err != nil {
			t.Errorf("announcing %+v: %v", a, err)
		}
		if got := describe(f.Live.LineUp()); got != want {
			t.Errorf("serves %s, want %s", got, want)
		}
	}
	hear(message.Announcement{Role: "challenger:x", Version: two, Sequence: 2, Share: 1}, "1: "+one) // ahead of the log
	assign(t, r, "challenger:x", two, 0.125)
	hear(message.Announcement{Role: "challenger:x", Version: two, Sequence: 2, Share: 1}, "2: "+one+", challenger:x "+two+" 0.125")
	assign(t, r, "challenger:x", "", 0)
	hear(message.Announcement{Role: "challenger:x", Sequence: 3}, "3: "+one)
	hear(message.Announcement{Role: "challenger:x", Version: two, Sequence: 2}, "3: "+one)
	assign(t, r, "challenger:x", two, 0.5)
	poll(t, f, "4: "+one+", challenger:x "+two+" 0.5")
	// A champion ahead of the log takes its place in the line-up that is known.
	hear(message.Announcement{Role: Champion, Version: two, Sequence: 9}, "9: "+two+", challenger:previous "+one+" 0")
	poll(t, f, "9: "+two+", challenger:previous "+one+" 0")
}

// TestReadersSeeWholeLineUps: while line-ups change, a reader that took one sees
// each version predict what it always predicts, and users learn.
func TestReadersSeeWholeLineUps(t *testing.T) {
	r := open(t)
	f := follower(r)
	versions := map[string]float32{}
	var names []string
	for _, mean := range []float32{1, 2, 3, 4} {
		name := publish(t, r, mean).Version
		versions[name], names = mean, append(names, name)
	}
	promote(t, r, names[0])
	if err := f.Poll(); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	var readers sync.WaitGroup
	for reader := range int64(4) {
		readers.Go(func() {
			for k := int64(0); ; k++ {
				select {
				case <-done:
					return
				default:
				}
				l := f.Live.LineUp()
				predicted := make([]model.Prediction, len(l.Versions()))
				f.Live.Users.PredictEach(l.Versions(), ratings.Rating{User: reader*1000 + k%100, Movie: k % 7, Value: 3}, false, predicted)
				for i, v := range l.Versions() {
					if predicted[i].Value != versions[v.Name] {
						t.Errorf("version %s predicts %v", v.Name, predicted[i].Value)
					}
				}
				if at, _ := l.Serving(k); l.Versions()[at] == nil {
					t.Error("nobody serves")
				}
			}
		})
	}
	for k := range 30 {
		if k%3 == 0 {
			promote(t, r, names[(k/3+1)%4])
		} else {
			assign(t, r, fmt.Sprint("challenger:", k%2), names[k%4], float64(k%5)/4)
		}
		if err := f.Poll(); err != nil {
			t.Error(err)
		}
	}
	close(done)
	readers.Wait()
}

// TestASwapNeedsTheMemoryOfTwoModels: all that is allocated while version 2 is
// loaded beside version 1 is hardly more than one model.
func TestASwapNeedsTheMemoryOfTwoModels(t *testing.T) {
	r := open(t)
	f := follower(r)
	load := func(mean float32) (allocated, live float64) {
		var before, after runtime.MemStats
		promote(t, r, publishLarge(t, r, mean))
		assign(t, r, Previous, "", 0) // without challengers
		runtime.GC()
		runtime.ReadMemStats(&before)
		if err := f.Poll(); err != nil {
			t.Fatal(err)
		}
		runtime.ReadMemStats(&after)
		allocated = float64(after.TotalAlloc - before.TotalAlloc)
		runtime.GC()
		runtime.ReadMemStats(&after)
		return allocated, float64(after.HeapAlloc)
	}
	var start runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&start)
	_, one := load(3)
	size := one - float64(start.HeapAlloc)
	allocated, _ := load(4)
	t.Logf("a model takes %.1f MB; loading another beside it allocates %.3f of that in all", size/1e6, allocated/size)
	if allocated > 1.1*size {
		t.Errorf("loading allocates %.2f of a model's %.1f MB, want at most 1.1", allocated/size, size/1e6)
	}
	if math.Abs(float64(f.Live.Current().Model.Predict(-1, -1).Value)-4) > 1e-6 {
		t.Error("version 2 does not serve")
	}
}

// publishLarge publishes a model of about 15 MB.
func publishLarge(t *testing.T, r *Registry, mean float32) string {
	t.Helper()
	const users, movies, rank = 40_000, 10_000, 64
	f := &als.Factors{
		Rank: rank, Mean: mean, Lambda: 1,
		Users: make([]int64, users), UserBias: make([]float32, users), UserFactors: make([]float32, users*rank), UserCounts: make([]int32, users),
		Movies: make([]int64, movies), MovieBias: make([]float32, movies), MovieFactors: make([]float32, movies*rank), MovieCounts: make([]int32, movies),
	}
	for u := range f.Users {
		f.Users[u] = int64(u)
	}
	for i := range f.Movies {
		f.Movies[i] = int64(i)
	}
	m, err := model.New(f, model.MovieLensScale)
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := r.Publish(t.Context(), m, Manifest{CreatedAt: time.Unix(int64(mean*1000), 0).UTC(), Algorithm: "als"})
	if err != nil {
		t.Fatal(err)
	}
	return manifest.Version
}
