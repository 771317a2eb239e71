package registry

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/recsys-benthos/recsys-benthos/internal/als"
	"github.com/recsys-benthos/recsys-benthos/internal/model"
)

// damage changes an object of a registry in a folder.
func damage(t *testing.T, r *Registry, key string, change func([]byte) []byte) {
	t.Helper()
	path := r.bucket.where(key)
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if data = change(data); data == nil {
		err = os.Remove(path)
	} else {
		err = os.WriteFile(path, data, 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func flipped(data []byte) []byte { data[len(data)-1] ^= 1; return data }
func cut(data []byte) []byte     { return data[:len(data)/2] }
func gone([]byte) []byte         { return nil }
func ofTheFuture(data []byte) []byte {
	return []byte(strings.Replace(string(data), `"format": 1`, `"format": 2, "roles": ["of another type"]`, 1))
}

// TestDamageIsToldWithWhereAndWhatMends also looks whether Verify finds it.
func TestDamageIsToldWithWhereAndWhatMends(t *testing.T) {
	for name, c := range map[string]struct {
		key    func(version string) string
		change func([]byte) []byte
		want   error
		says   []string
	}{
		"a flipped bit":                {modelKey, flipped, ErrDamaged, []string{"its manifest says", "import the version from an export"}},
		"a cut model":                  {modelKey, cut, ErrDamaged, []string{"bytes where its manifest says"}},
		"a model that is gone":         {modelKey, gone, ErrNotFound, []string{"though its manifest is there", "put the file back"}},
		"a manifest that is cut":       {manifestKey, cut, ErrDamaged, nil},
		"a manifest of a newer format": {manifestKey, ofTheFuture, ErrNewerFormat, []string{"written by train 9.9 in format 2", "reads formats up to 1", "update this one"}},
	} {
		t.Run(name, func(t *testing.T) {
			r := open(t)
			m, err := model.New(&als.Factors{Mean: 3, Lambda: 1}, model.MovieLensScale)
			if err != nil {
				t.Fatal(err)
			}
			v, err := r.Publish(t.Context(), m, Manifest{CreatedAt: time.Now(), Algorithm: "als", Tool: "train 9.9"})
			if err != nil {
				t.Fatal(err)
			}
			sound(t, r, 0)
			damage(t, r, c.key(v.Version), c.change)
			_, _, err = r.Model(v.Version)
			if !errors.Is(err, c.want) {
				t.Fatalf("got %v", err)
			}
			for _, part := range append(c.says, r.bucket.where(c.key(v.Version)), v.Version) {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("%q does not say %q", err, part)
				}
			}
			if report, err := r.Verify(t.Context()); err != nil || len(report.Problems) != 1 {
				t.Errorf("Verify found %q, %v", report.Problems, err)
			}
		})
	}
}

func TestVerifyFindsWhatIsWrongInTheLog(t *testing.T) {
	rewrite := func(change func(*Promotion)) func([]byte) []byte {
		return func(data []byte) []byte {
			var p Promotion
			if err := json.Unmarshal(data, &p); err != nil {
				panic(err)
			}
			change(&p)
			text, _ := json.Marshal(p)
			return text
		}
	}
	for name, c := range map[string]struct {
		sequence int64
		change   func([]byte) []byte
		says     string
	}{
		"a gap":                          {2, gone, "promotion 2 is missing from the log though 3 is there"},
		"a cut record":                   {2, cut, "damaged"},
		"another number":                 {2, rewrite(func(p *Promotion) { p.Sequence = 3 }), "it says it is number 3"},
		"another champion before":        {3, rewrite(func(p *Promotion) { p.Previous = "x" }), `it says that it replaces "x" as champion`},
		"a role that came from nowhere":  {3, rewrite(func(p *Promotion) { p.Roles["challenger:x"] = p.Version }), "its roles are"},
		"roles that contradict":          {3, rewrite(func(p *Promotion) { p.Roles[Champion] = "x" }), "its roles say"},
		"a share of no challenger":       {3, rewrite(func(p *Promotion) { p.Shares = map[string]float64{"challenger:x": 0.5} }), "the share 0.5 of challenger:x"},
		"an action that nobody knows":    {3, rewrite(func(p *Promotion) { p.Action = "dance" }), `nobody knows the action "dance"`},
		"a record of a newer format":     {3, rewrite(func(p *Promotion) { p.Format = 2 }), "update this one"},
		"a champion that does not exist": {3, rewrite(func(p *Promotion) { p.Version, p.Roles[Champion] = "x", "x" }), "version x, which is not there"},
	} {
		t.Run(name, func(t *testing.T) {
			r := open(t)
			for _, version := range versions(t, r, 3) {
				promote(t, r, version)
			}
			sound(t, r, 0)
			damage(t, r, promotionKey(c.sequence), c.change)
			report, err := r.Verify(t.Context())
			if err != nil || len(report.Problems) == 0 || !strings.Contains(strings.Join(report.Problems, "\n"), c.says) {
				t.Errorf("found %q, %v", report.Problems, err)
			}
		})
	}
}

func TestNothingIsAddedToALogOfANewerFormat(t *testing.T) {
	r := open(t)
	v := versions(t, r, 2)
	promote(t, r, v[0])
	damage(t, r, promotionKey(1), ofTheFuture)
	_, ok, _, err := r.Promote(t.Context(), v[1], time.Now(), func(string) (bool, string, error) { return true, "", nil })
	if ok || !errors.Is(err, ErrNewerFormat) {
		t.Errorf("got %v, %v", ok, err)
	}
	if _, ok, _ := r.Next(1); ok {
		t.Error("it was recorded")
	}
}

// full is a bucket that fails after so many writes.
type full struct {
	bucket
	left int
}

func (f *full) create(ctx context.Context, key string, data []byte) (bool, error) {
	if f.left--; f.left < 0 {
		return false, &os.PathError{Op: "write", Path: f.where(key), Err: syscall.ENOSPC}
	}
	return f.bucket.create(ctx, key, data)
}

func TestOnAFullDiskNothingIsHalfVisible(t *testing.T) {
	for writes := range 3 {
		r := open(t)
		whole := r.bucket
		r.bucket = &full{whole, writes}
		m, err := model.New(&als.Factors{Mean: 3, Lambda: 1}, model.MovieLensScale)
		if err != nil {
			t.Fatal(err)
		}
		manifest := Manifest{CreatedAt: time.Now(), Algorithm: "als"}
		v, err := r.Publish(t.Context(), m, manifest)
		if err == nil {
			_, _, _, err = r.Promote(t.Context(), v.Version, time.Now(), func(string) (bool, string, error) { return true, "", nil })
		}
		if !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), "make room") || !strings.Contains(err.Error(), r.bucket.where("")) {
			t.Errorf("after %d writes: %v", writes, err)
		}
		list, err := r.List()
		if _, promoted, _ := r.Latest(); err != nil || promoted || len(list) != max(0, writes-1) {
			t.Errorf("after %d writes: %v, %v, promoted %v", writes, list, err, promoted)
		}
		// Once there is room the same goes through.
		r.bucket = whole
		if v, err = r.Publish(t.Context(), m, manifest); err != nil {
			t.Errorf("with room again: %v", err)
		}
		promote(t, r, v.Version)
		sound(t, r, 0)
	}
}

func TestAVersionIsNeverChanged(t *testing.T) {
	r := open(t)
	first, err := model.New(&als.Factors{Mean: 3, Lambda: 1}, model.MovieLensScale)
	if err != nil {
		t.Fatal(err)
	}
	second, err := model.New(&als.Factors{Mean: 4, Lambda: 1}, model.MovieLensScale)
	if err != nil {
		t.Fatal(err)
	}
	manifest := Manifest{Version: "mine", CreatedAt: time.Now(), Algorithm: "als"}
	if _, err := r.Publish(t.Context(), first, manifest); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Publish(t.Context(), second, manifest); !errors.Is(err, ErrExists) {
		t.Errorf("another model: %v", err)
	}
	manifest.Verdict = "another"
	if got, err := r.Publish(t.Context(), first, manifest); err != nil || got.Verdict != "" {
		t.Errorf("the same model: %+v, %v", got, err)
	}
	if m, _, err := r.Model("mine"); err != nil || m.Predict(1, 1).Value != 3 {
		t.Errorf("got %v", err)
	}
	// A publisher that died before the manifest is no obstacle for the same model.
	damage(t, r, manifestKey("mine"), gone)
	if _, err := r.Publish(t.Context(), second, manifest); !errors.Is(err, ErrExists) {
		t.Errorf("another model beside an unfinished one: %v", err)
	}
	if _, err := r.Publish(t.Context(), first, manifest); err != nil {
		t.Error(err)
	}
	sound(t, r, 0)
}

func TestPruneKeepsWhatIsNeeded(t *testing.T) {
	r := open(t)
	v := versions(t, r, 8)
	for _, k := range []int{0, 1, 2} {
		promote(t, r, v[k])
	}
	if _, _, err := r.Assign(t.Context(), "challenger:old", v[4], 0, "", time.Now()); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Withdraw(t.Context(), "challenger:old", "", time.Now()); err != nil {
		t.Fatal(err)
	}
	old := time.Now().Add(-2 * time.Hour)
	unfinished := func(version string, changed time.Time) {
		key := modelKey(version)
		if err := r.bucket.write(t.Context(), key, []byte("half")); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(r.bucket.where(key), changed, changed); err != nil {
			t.Fatal(err)
		}
	}
	unfinished("given-up", old)
	unfinished("in-the-making", time.Now())
	empty := r.bucket.where("models/empty")
	if err := errors.Join(os.Mkdir(empty, 0o755), os.Chtimes(empty, old, old)); err != nil {
		t.Fatal(err)
	}
	temporary := r.bucket.where("promotions/" + temporaryPrefix + "1")
	if err := os.WriteFile(temporary, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(temporary, old, old); err != nil {
		t.Fatal(err)
	}
	before := tree(t, r)
	would, err := r.Prune(t.Context(), 2, true)
	if err != nil || tree(t, r) != before {
		t.Errorf("a dry run: %v, or something changed", err)
	}
	did, err := r.Prune(t.Context(), 2, false)
	if err != nil || asJSON(did) != asJSON(would) {
		t.Errorf("did %s, would %s, %v", asJSON(did), asJSON(would), err)
	}
	// The last record names v[2] and v[1], the one before v[4] too; v[6] and v[7] are the newest.
	if want := asJSON([]string{v[0], v[3], v[5]}); asJSON(did.Versions) != want || did.Kept != 5 {
		t.Errorf("removed %q and kept %d, want %s", did.Versions, did.Kept, want)
	}
	if asJSON(did.Unfinished) != `["empty","given-up"]` || asJSON(did.Temporary) != `["promotions/.tmp-1"]` {
		t.Errorf("removed %q, %q", did.Unfinished, did.Temporary)
	}
	if report := sound(t, r, 1); report.Promotions != 5 || report.Versions != 5 {
		t.Errorf("left %+v", report)
	}
	if _, err := r.Prune(t.Context(), 0, false); err == nil {
		t.Error("a registry can be pruned to nothing")
	}
}

// tree lists all files of a registry in a folder.
func tree(t *testing.T, r *Registry) string {
	t.Helper()
	var all []string
	err := filepath.WalkDir(r.bucket.where(""), func(path string, _ os.DirEntry, err error) error {
		all = append(all, path)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(all, "\n")
}
