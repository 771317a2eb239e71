package live

import (
	"fmt"
	"math"
	"testing"
	"time"
)

func TestEachWindowHasWhatIsInIt(t *testing.T) {
	a, c := newTest()
	start := c.t
	for i, ago := range []time.Duration{0, 10 * time.Minute, time.Hour, 20 * time.Hour, 30 * time.Hour} {
		predict(t, a, i, start.Add(-ago), 3, `,"actual":4`)
	}
	want := []int64{2, 3, 4}
	for i, window := range a.Windows() {
		s := a.SnapshotOver(i)
		var n int64
		for _, count := range s.Series.Count {
			n += count
		}
		if n != want[i] || s.Series.Accuracy.Count != want[i] || s.WindowSeconds != int64(window.Seconds()) || s.Genres.Total[0] != want[i] ||
			s.Calibration.Bins[0].Count != want[i] || s.Totals.Predictions != 5 {
			t.Errorf("window %v has %d predictions, %+v", window, n, s.Calibration)
		}
	}
}

func TestVersionsHaveLinesAndErrorsInAnyRole(t *testing.T) {
	a, c := newTest()
	shadow := `,"actual":3,"baseline":3.5,"shadows":[{"model_version":"v0","role":"challenger:previous","prediction":3.25},{"model_version":"late","prediction":3,"late":true}]`
	predict(t, a, 1, c.t, 4, shadow)
	predict(t, a, 2, c.t, 4, shadow)
	predict(t, a, 3, c.t, 2, `,"actual":4,"late":true,"baseline":3`)
	s := a.Snapshot()
	last := len(s.Series.Count) - 1
	if len(s.Series.Versions) != 2 {
		t.Fatalf("versions %+v", s.Series.Versions)
	}
	v1, v0 := s.Series.Versions[0], s.Series.Versions[1]
	if v1.Version != "v1" || v1.Predictions != 3 || !near(v1.Mean[last], 10./3) || !near(v1.RMSE[last], 1) || v1.Accuracy.Count != 2 {
		t.Errorf("in service: %+v", v1)
	}
	if v0.Version != "v0" || v0.Predictions != 0 || !math.IsNaN(float64(v0.Mean[last])) || !near(v0.RMSE[last], .25) || v0.Accuracy.Count != 2 {
		t.Errorf("in shadow: %+v", v0)
	}
	if !near(s.Series.Baseline[last], .5) || s.Accuracy.Baseline.Count != 2 || !near(s.Accuracy.BesideBaseline.RMSE, 1) || !near(s.Series.BaselineAccuracy.RMSE, .5) {
		t.Errorf("baseline %+v, %+v", s.Accuracy, s.Series.BaselineAccuracy)
	}
	if s.ByModel[0].Version != "v1" || s.ByModel[1].Version != "v0" || s.ByModel[1].Count != 2 || s.ByModel[1].Predictions != 0 {
		t.Errorf("by model %+v", s.ByModel)
	}
	for i := range 20 { // more versions in a step than it keeps
		predict(t, a, 100+i, c.t, 4, fmt.Sprintf(`,"actual":3,"shadows":[{"model_version":"x%d","prediction":3}]`, i))
	}
	if s = a.Snapshot(); len(s.Series.Versions) != keptVersions || s.Series.Versions[0].Predictions != 23 {
		t.Errorf("%d versions, the first with %d predictions", len(s.Series.Versions), s.Series.Versions[0].Predictions)
	}
}

func TestCalibrationIsByHalfStarAndSaysHowTrueIntervalsAre(t *testing.T) {
	a, c := newTest()
	for i, of := range []struct{ predicted, actual, stddev float64 }{
		{4.1, 4, 1}, {3.9, 5, 1}, {4.2, 2, 1}, {2.6, 2.5, .01}, {7, 5, 10},
	} {
		predict(t, a, i, c.t, of.predicted, fmt.Sprintf(`,"actual":%v,"stddev":%v`, of.actual, of.stddev))
	}
	predict(t, a, 10, c.t, 2.4, `,"actual":2.5`)
	got := a.Snapshot().Calibration
	// 4.1, 3.9 and 4.2 are next to 4: errors .1, −1.1 and 2.2. Within 1.28 deviations are the first two and the last.
	want := []CalibrationBin{{2.5, 2, 0}, {4, 3, .4}, {5, 1, 2}}
	for i, bin := range got.Bins {
		if bin.Predicted != want[i].Predicted || bin.Count != want[i].Count || !near(bin.MeanError, float64(want[i].MeanError)) {
			t.Errorf("bin %+v, want %+v", bin, want[i])
		}
	}
	if len(got.Bins) != len(want) || got.Stated != 5 || !near(got.Within, .6) {
		t.Errorf("%+v", got)
	}
}

func TestDelaysAreOfTheLastMinute(t *testing.T) {
	a, c := newTest()
	if d := a.Snapshot().Throughput; !math.IsNaN(float64(d.DelayP50)) {
		t.Errorf("a delay of %v before the first prediction", d.DelayP50)
	}
	for i := range 100 { // the request came a second before, and once twenty minutes
		asked := c.t.Add(-time.Second)
		if i == 99 {
			asked = c.t.Add(-20 * time.Minute)
		}
		err := a.Prediction(0, fmt.Appendf(nil, `{"request_id":"%d","user_id":1,"movie_id":2,"prediction":3,"model_version":"v1","requested_at":%q,"predicted_at":%q}`,
			i, asked.Format(time.RFC3339Nano), c.t.Format(time.RFC3339Nano)))
		if err != nil {
			t.Fatal(err)
		}
	}
	d := a.Snapshot().Throughput
	if d.DelayP50 < 1000 || d.DelayP50 > 1200 || d.DelayP99 > 1200 {
		t.Errorf("half within %v ms, 99 %% within %v ms, want a second", d.DelayP50, d.DelayP99)
	}
	c.t = c.t.Add(2 * time.Minute)
	if d := a.Snapshot().Throughput; !math.IsNaN(float64(d.DelayP99)) {
		t.Errorf("two minutes later 99 %% within %v ms", d.DelayP99)
	}
	for _, of := range []int64{-5, 0, 1, 7, 1000, 1 << 40} {
		var one delays
		one.add(of)
		if got := float64(one.quantile(.5)); got < min(float64(max(of, 1)), 1<<26) || got > 1.2*float64(max(of, 1)) {
			t.Errorf("%d ms is told as %v", of, got)
		}
	}
}

func TestPredictionsAreFoundByUserAndTitle(t *testing.T) {
	a, c := newTest()
	for i := range keptRecent + 7 {
		err := a.Prediction(0, fmt.Appendf(nil, `{"request_id":"%d","user_id":%d,"movie_id":%d,"title":"Film <b>%d</b>","prediction":3,"predicted_at":%q}`,
			i, i%100, i%10, i%10, c.t.Add(time.Duration(i)*time.Millisecond-time.Hour).Format(time.RFC3339Nano)))
		if err != nil {
			t.Fatal(err)
		}
	}
	rows, fit := a.Search(Query{})
	if fit != keptRecent || len(rows) != 50 || rows[0].User != 6 || rows[0].At < rows[49].At {
		t.Errorf("%d of %d, the first %+v", len(rows), fit, rows[0])
	}
	rows, fit = a.Search(Query{User: 37, HasUser: true, Title: "fILM <B>7", Limit: 3})
	if fit != 100 || len(rows) != 3 || rows[0].User != 37 || rows[0].Title != "Film <b>7</b>" {
		t.Errorf("%d of %d: %+v", len(rows), fit, rows)
	}
	if rows, fit = a.Search(Query{User: 37, HasUser: true, Title: "Film <b>8"}); fit != 0 || rows == nil {
		t.Errorf("%d rows %v", fit, rows)
	}
	if _, fit = a.Search(Query{User: 0, HasUser: true}); fit != 100 {
		t.Errorf("user 0 has %d rows", fit)
	}
}

func TestLagsAreKeptWhileSomebodyTells(t *testing.T) {
	a, c := newTest()
	for _, text := range []string{
		`{"group":"predict","topic":"requests","lag":7,"members":2}`,
		`{"group":"ingest","topic":"events","lag":3,"members":0}`,
		`{"group":"predict","topic":"requests","lag":5,"members":1}`,
	} {
		if err := a.Lag([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	got := a.Snapshot().Lags
	if len(got) != 2 || got[0].Group != "ingest" || got[1].Lag != 5 || got[1].Members != 1 {
		t.Errorf("lags %+v", got)
	}
	for _, text := range []string{`{`, `{"group":"g","lag":3}`, `{"group":"g","topic":"t","lag":-1}`} {
		if err := a.Lag([]byte(text)); err == nil {
			t.Errorf("%s is taken", text)
		}
	}
	c.t = c.t.Add(2 * time.Minute)
	if got := a.Snapshot().Lags; len(got) != 0 {
		t.Errorf("two minutes later lags are %+v", got)
	}
}

func TestAForgottenUserHasNoRows(t *testing.T) {
	a, c := newTest()
	feed := func(id int, user int64, at time.Time) {
		t.Helper()
		if err := a.Prediction(0, fmt.Appendf(nil, `{"request_id":"%d","user_id":%d,"movie_id":1,"prediction":3,"predicted_at":%q}`, id, user, at.Format(time.RFC3339Nano))); err != nil {
			t.Fatal(err)
		}
	}
	for i := range keptRecent + 5 { // the ring has gone round
		feed(i, int64(i%2), c.t.Add(-time.Minute))
	}
	a.Forget(1, c.t.UnixMilli())
	rows := func(user int64) int {
		_, fit := a.Search(Query{User: user, HasUser: true})
		for _, p := range a.Snapshot().Latest {
			if user == 1 && p.User == 1 && p.At <= c.t.Add(-time.Minute).UnixMilli() {
				t.Errorf("the latest predictions have %+v", p)
			}
		}
		return fit
	}
	if rows(1) != 0 || rows(0) != keptRecent/2 {
		t.Errorf("%d rows of the forgotten user, %d of the other", rows(1), rows(0))
	}
	feed(900_000, 1, c.t.Add(-time.Second)) // read later, as after a restart
	c.t = c.t.Add(time.Minute)
	feed(900_001, 1, c.t) // the user is back
	if rows(1) != 1 || a.Snapshot().Totals.Predictions != keptRecent+7 {
		t.Errorf("%d rows of a user who is back, %d predictions", rows(1), a.Snapshot().Totals.Predictions)
	}
	for i := range keptRecent + 3 { // the ring goes round again
		feed(1_000_000+i, 7, c.t)
	}
	if rows(7) != keptRecent {
		t.Errorf("%d rows", rows(7))
	}
	for i := range int64(keptForgotten + 10) {
		a.forgotten[1000+i] = i // the newest last
	}
	a.Forget(5, 1<<40)
	if len(a.forgotten) > keptForgotten || a.forgotten[5] != 1<<40 || a.forgotten[1000+keptForgotten] == 0 {
		t.Errorf("%d users are remembered as forgotten", len(a.forgotten))
	}
}
