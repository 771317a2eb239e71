package experiment

import (
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
)

// days are ratings of users in two partitions, one rating a user and day.
func days(users, count int) (all []Rating) {
	random := rand.New(rand.NewPCG(1, 1))
	for day := range int64(count) {
		for user := range int64(users) {
			r := rated(user, day, day*dayMillis+user*1000, 0.2+0.1*random.Float64(), 0.1)
			r.Partition = int32(user % 2)
			all = append(all, r)
		}
	}
	return all
}

// TestAReplayEndsWhereTheComparisonIs, whichever partition is read first, and every
// moment of it is what the comparison said then.
func TestAReplayEndsWhereTheComparisonIs(t *testing.T) {
	all := days(60, 4)
	plain := NewComparisons(Config{})
	said := map[Result]bool{}
	for _, r := range all {
		plain.Add(r)
		said[only(t, plain)] = true
	}
	c := NewComparisons(Config{})
	histories := c.Replay(all)
	if len(histories) != 1 || histories[0].Champion != "v2" || histories[0].Challenger != "v1" || len(histories[0].Moments) < 60 {
		t.Fatalf("got %+v", histories)
	}
	moments := histories[0].Moments
	if last := moments[len(moments)-1]; last.Result != only(t, c) || last.Result != only(t, plain) || last.Settled != Better || last.At.UnixMilli() != all[len(all)-1].At {
		t.Errorf("ends with %+v, want %+v", last, only(t, plain))
	}
	for k, m := range moments {
		if !said[m.Result] || k > 0 && m.At.Before(moments[k-1].At) {
			t.Fatalf("moment %d: %+v was never said", k, m)
		}
	}
	apart := slices.Clone(all) // one partition after the other
	slices.SortStableFunc(apart, func(a, b Rating) int { return int(b.Partition - a.Partition) })
	if again := NewComparisons(Config{}).Replay(apart); !reflect.DeepEqual(again, histories) {
		t.Error("the history depends on the order in which partitions are read")
	}
}

func TestLongHistoriesAreThinned(t *testing.T) {
	c := NewComparisons(Config{})
	moments := c.Replay(days(3000, 2))[0].Moments
	if n := len(moments); n < mostMoments || n > 2*mostMoments+1 || moments[n-1].Result != only(t, c) {
		t.Errorf("%d moments, the last %+v", n, moments[n-1])
	}
}

func TestNoRatingsHaveNoHistory(t *testing.T) {
	if got := NewComparisons(Config{}).Replay(nil); len(got) != 0 {
		t.Errorf("got %+v", got)
	}
}
