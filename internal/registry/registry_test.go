package registry

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/recsys-benthos/recsys-benthos/internal/als"
	"github.com/recsys-benthos/recsys-benthos/internal/message"
	"github.com/recsys-benthos/recsys-benthos/internal/model"
)

func open(t *testing.T) *Registry {
	t.Helper()
	r, err := Open("file://" + t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// publish publishes a model whose every prediction is mean.
func publish(t *testing.T, r *Registry, mean float32) Manifest {
	t.Helper()
	m, err := model.New(&als.Factors{Mean: mean, Lambda: 1}, model.MovieLensScale)
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := r.Publish(t.Context(), m, Manifest{CreatedAt: time.Unix(int64(mean*1000), 0).UTC(), Algorithm: "als"})
	if err != nil {
		t.Fatal(err)
	}
	return manifest
}

func promote(t *testing.T, r *Registry, version string) Promotion {
	t.Helper()
	p, ok, _, err := r.Promote(t.Context(), version, time.Now(), func(string) (bool, string, error) { return true, "test", nil })
	if err != nil || !ok {
		t.Fatalf("promoting: %v, %v", ok, err)
	}
	return p
}

func TestFoldersAndS3CanBeOpened(t *testing.T) {
	for url, ok := range map[string]bool{
		"file:///a/b": true, "file://./a": true, "a/b": true, "s3://bucket/folder?region=eu-central-1&use_path_style=true": true,
		"": false, "file://": false, "gs://bucket": false, "s3://": false, "s3:///folder": false, "s3://bucket?nonsense=1": false,
		"s3://AKIAEXAMPLE:secret@bucket": false, "ftp://me:secret@host/x": false,
	} {
		_, err := Open(url)
		if (err == nil) != ok || err != nil && !errors.Is(err, ErrURL) {
			t.Errorf("%q: %v", url, err)
		}
		if err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: the error tells the secret: %v", url, err)
		}
	}
}

func TestAnEmptyRegistryIsNoError(t *testing.T) {
	r, err := Open("file://" + filepath.Join(t.TempDir(), "nothing", "here"))
	if err != nil {
		t.Fatal(err)
	}
	if list, err := r.List(); err != nil || len(list) != 0 {
		t.Errorf("got %v, %v", list, err)
	}
	if _, ok, err := r.Latest(); err != nil || ok {
		t.Errorf("got %v, %v", ok, err)
	}
}

func TestVersionsAreListedOldestFirstAndReadBack(t *testing.T) {
	r := open(t)
	second, first := publish(t, r, 4), publish(t, r, 3)
	list, err := r.List()
	if err != nil || len(list) != 2 || list[0].Version != first.Version || list[1].Version != second.Version {
		t.Fatalf("got %+v, %v", list, err)
	}
	m, manifest, err := r.Model(second.Version)
	if err != nil || manifest.SHA256 != second.SHA256 || m.Predict(1, 1).Value != 4 {
		t.Errorf("got %+v, %v", manifest, err)
	}
}

func TestAVersionWithoutManifestIsNotThere(t *testing.T) {
	r := open(t)
	v := publish(t, r, 3)
	if err := os.Remove(r.bucket.where(manifestKey(v.Version))); err != nil {
		t.Fatal(err)
	}
	if list, err := r.List(); err != nil || len(list) != 0 {
		t.Errorf("got %v, %v", list, err)
	}
	if _, _, err := r.Model(v.Version); !errors.Is(err, ErrNotFound) {
		t.Errorf("got %v", err)
	}
}

func TestADamagedModelIsNamedWithItsFile(t *testing.T) {
	r := open(t)
	v := publish(t, r, 3)
	path := r.bucket.where(modelKey(v.Version))
	if err := os.WriteFile(path, []byte("broken"), 0o644); err != nil {
		t.Fatal(err)
	}
	_, _, err := r.Model(v.Version)
	if !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), v.Version) {
		t.Errorf("got %v", err)
	}
}

func TestVersionNamesCannotLeaveTheFolder(t *testing.T) {
	r := open(t)
	for _, name := range []string{"../x", "a/b", "", ".hidden", "a..b", strings.Repeat("x", 200)} {
		if _, err := r.Manifest(name); err == nil || errors.Is(err, ErrNotFound) {
			t.Errorf("%q: %v", name, err)
		}
	}
}

func TestOfManyPromotersEachGetsANumberOfItsOwn(t *testing.T) {
	r := open(t)
	const promoters, each = 8, 5
	versions := [promoters][each]string{}
	for k := range promoters {
		for i := range each {
			versions[k][i] = publish(t, r, 1+float32(k*each+i)/16).Version
		}
	}
	var wait sync.WaitGroup
	var mu sync.Mutex
	winners := map[int64]string{}
	for _, own := range versions {
		wait.Go(func() {
			for _, version := range own {
				seen := "unasked"
				p, ok, _, err := r.Promote(t.Context(), version, time.Now(), func(champion string) (bool, string, error) {
					seen = champion
					return true, "race", nil
				})
				mu.Lock()
				if err != nil || !ok || winners[p.Sequence] != "" || p.Previous != seen {
					t.Errorf("promotion %+v: %v, %v, decided against %q, number had %q", p, ok, err, seen, winners[p.Sequence])
				}
				winners[p.Sequence] = version
				mu.Unlock()
			}
		})
	}
	wait.Wait()
	for sequence := int64(1); sequence <= promoters*each; sequence++ {
		p, ok, err := r.Next(sequence - 1)
		if err != nil || !ok || p.Version != winners[sequence] || p.Roles[Champion] != p.Version {
			t.Errorf("promotion %d: %+v, %v, %v", sequence, p, ok, err)
		}
		if before, _, _ := r.Next(sequence - 2); sequence > 1 && p.Previous != before.Version {
			t.Errorf("promotion %d follows %q, says %q", sequence, before.Version, p.Previous)
		}
	}
}

func TestAVersionThatIsNotThereCannotBePromoted(t *testing.T) {
	r := open(t)
	_, ok, _, err := r.Promote(t.Context(), "nothing", time.Now(), func(string) (bool, string, error) { return true, "", nil })
	if ok || !errors.Is(err, ErrNotFound) {
		t.Errorf("got %v, %v", ok, err)
	}
}

func follower(r *Registry) *Follower { return &Follower{Registry: r, Live: model.NewLive()} }

func TestAFollowerKeepsUpWithTheLog(t *testing.T) {
	r := open(t)
	f := follower(r)
	if err := f.Poll(); err != nil || f.Live.Current() != nil {
		t.Fatalf("an empty registry: %v", err)
	}
	for k := range 4 {
		v := publish(t, r, float32(k+1))
		promote(t, r, v.Version)
		if k == 1 {
			continue // two promotions between polls
		}
		if err := f.Poll(); err != nil {
			t.Fatal(err)
		}
		if got := f.Live.LineUp(); got.Champion.Name != v.Version || got.Sequence != int64(k+1) {
			t.Errorf("serves %s of promotion %d, want %s", got.Champion.Name, got.Sequence, v.Version)
		}
	}
}

func TestABadVersionLeavesTheOldOneServingAndBothAreNamed(t *testing.T) {
	r := open(t)
	f := follower(r)
	good := publish(t, r, 3)
	promote(t, r, good.Version)
	if err := f.Poll(); err != nil {
		t.Fatal(err)
	}
	bad := publish(t, r, 4)
	path := r.bucket.where(modelKey(bad.Version))
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, content[:len(content)-1], 0o644); err != nil {
		t.Fatal(err)
	}
	p := promote(t, r, bad.Version)
	a, err := r.Announcement(p)
	if err != nil {
		t.Fatal(err)
	}
	for name, err := range map[string]error{"announced": f.Announced(a), "polled": f.Poll(), "polled again": f.Poll()} {
		if err == nil || !strings.Contains(err.Error(), bad.Version) || !strings.Contains(err.Error(), good.Version) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if got := f.Live.Current().Name; got != good.Version {
		t.Errorf("%s serves", got)
	}
	if err := os.WriteFile(path, content, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := f.Poll(); err != nil || f.Live.Current().Name != bad.Version {
		t.Errorf("once mended: %v, %s serves", err, f.Live.Current().Name)
	}
}

func TestWithABrokenChampionAtStartAnOlderOneServes(t *testing.T) {
	r := open(t)
	good, bad := publish(t, r, 3), publish(t, r, 4)
	promote(t, r, good.Version)
	promote(t, r, bad.Version)
	if err := os.Truncate(r.bucket.where(modelKey(bad.Version)), 5); err != nil {
		t.Fatal(err)
	}
	f := follower(r)
	if err := f.Poll(); err == nil || !strings.Contains(err.Error(), good.Version) {
		t.Errorf("got %v", err)
	}
	if got := f.Live.Current(); got == nil || got.Name != good.Version {
		t.Errorf("serves %+v", got)
	}
}

func TestAnnouncementsThatAreOldOrWrongChangeNothing(t *testing.T) {
	r := open(t)
	one, two := publish(t, r, 3), publish(t, r, 4)
	first, second := promote(t, r, one.Version), promote(t, r, two.Version)
	f := follower(r)
	newest, err := r.Announcement(second)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Announced(newest); err != nil || f.Live.Current().Name != two.Version {
		t.Fatalf("got %v", err)
	}
	older, err := r.Announcement(first)
	if err != nil {
		t.Fatal(err)
	}
	wrong := message.Announcement{Role: Champion, Version: one.Version, Sequence: 9, SHA256: strings.Repeat("0", 64)}
	missing := message.Announcement{Role: Champion, Version: "nothing", Sequence: 9}
	for name, test := range map[string]struct {
		a  message.Announcement
		ok bool
	}{"an older one": {older, true}, "another checksum": {wrong, false}, "no such version": {missing, false}, "another role": {message.Announcement{Role: "challenger:x", Sequence: 99}, true}} {
		if err := f.Announced(test.a); (err == nil) != test.ok {
			t.Errorf("%s: %v", name, err)
		}
		if got := f.Live.Current().Name; got != two.Version {
			t.Errorf("%s: %s serves", name, got)
		}
	}
}

func TestAnAnnouncementAheadOfTheLogDoesNotOutliveTheNextPromotion(t *testing.T) {
	r := open(t)
	one, two := publish(t, r, 3), publish(t, r, 4)
	promote(t, r, one.Version)
	f := follower(r)
	if err := f.Poll(); err != nil {
		t.Fatal(err)
	}
	if err := f.Announced(message.Announcement{Role: Champion, Version: two.Version, Sequence: 1_000_000}); err != nil {
		t.Fatal(err)
	}
	if err := f.Poll(); err != nil || f.Live.Current().Name != two.Version {
		t.Fatalf("believed until the log has news: %v", err)
	}
	three := publish(t, r, 2)
	promote(t, r, three.Version)
	if err := f.Poll(); err != nil || f.Live.Current().Name != three.Version || f.Live.LineUp().Sequence != 2 {
		t.Errorf("promotion 2 was made since, %+v serves (%v)", f.Live.Current(), err)
	}
}

// The first poll once ran after an announcement ahead of the log, and took the
// log's state of the start for news.
func TestTheFirstPollDoesNotUndoAnAnnouncementAheadOfTheLog(t *testing.T) {
	r := open(t)
	first, second := publish(t, r, 3), publish(t, r, 4)
	promote(t, r, first.Version)
	f := follower(r)
	if err := f.Announced(message.Announcement{Role: Champion, Version: second.Version, Sequence: 2}); err != nil {
		t.Fatal(err)
	}
	if err := f.Poll(); err != nil {
		t.Fatal(err)
	}
	if got := f.Live.Current().Name; got != second.Version {
		t.Errorf("%s serves, want the announced %s", got, second.Version)
	}
}

func TestAnAnnouncementThatTheLogContradictsIsRefused(t *testing.T) {
	r := open(t)
	one, two := publish(t, r, 3), publish(t, r, 4)
	promote(t, r, one.Version)
	err := follower(r).Announced(message.Announcement{Role: Champion, Version: two.Version, Sequence: 1})
	if err == nil || !strings.Contains(err.Error(), "promotion 1, which is of version "+one.Version) {
		t.Errorf("got %v", err)
	}
}

func TestAnUnreadableRegistryIsToldOnce(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "promotions"), []byte("a file, not a folder"), 0o644); err != nil {
		t.Fatal(err)
	}
	r, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := follower(r).Poll(); err == nil || !strings.Contains(err.Error(), fmt.Sprintf("listing the promotions of file://%s", dir)) {
		t.Errorf("got %v", err)
	}
}
