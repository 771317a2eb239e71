package configs

import (
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"github.com/recsys-benthos/recsys-benthos/internal/als"
	"github.com/recsys-benthos/recsys-benthos/internal/message"
	"github.com/recsys-benthos/recsys-benthos/internal/model"
	"github.com/recsys-benthos/recsys-benthos/internal/registry"
)

var update = flag.Bool("update", false, "write the fixtures anew")

const registryFixture = "config/fixtures/registry"

// Versions of the registry fixture.
const (
	championVersion = "fixture-1"       // promoted, number 1
	nextVersion     = "fixture-2"       // as the champion, with a mean half a star lower; not promoted
	damagedVersion  = "fixture-damaged" // its model file does not fit its manifest; not promoted
)

// fixtureFactors is a model that can be computed by hand, rank 2, μ as given:
//
//	user  b     x            movie  b      y
//	1     0.5   (0.5, 0)     1      0.25   (0, 1)
//	2    −0.5   (0, 0.5)     296    0.25   (1, −0.5)
//	3     1.5   (1, 1)       318    0.5    (1, 0)
//	                         356   −0.25   (−1, 1)
//	                         593    0      (0.5, 0.5)
//
// User 1 and movie 296 with μ = 3.5: 3.5 + 0.5 + 0.25 + (0.5·1 + 0·(−0.5)) =
// 4.75. With λ = 1 a user's first rating moves the bias by half its residual.
func fixtureFactors(mean float32) *als.Factors {
	return &als.Factors{
		Rank: 2, Mean: mean,
		Users: []int64{1, 2, 3}, UserBias: []float32{0.5, -0.5, 1.5},
		UserFactors: []float32{0.5, 0, 0, 0.5, 1, 1}, UserCounts: []int32{3, 3, 3},
		Movies: []int64{1, 296, 318, 356, 593}, MovieBias: []float32{0.25, 0.25, 0.5, -0.25, 0},
		MovieFactors: []float32{0, 1, 1, -0.5, 1, 0, -1, 1, 0.5, 0.5}, MovieCounts: []int32{2, 2, 3, 1, 1},
		Lambda: 1, Nu: 0.5,
	}
}

// writeRegistryFixture makes the registry fixture in a folder.
func writeRegistryFixture(t *testing.T, folder string) {
	t.Helper()
	r, err := registry.Open("file://" + folder)
	if err != nil {
		t.Fatal(err)
	}
	created := time.Date(2026, 1, 2, 15, 4, 5, 0, time.UTC)
	for i, v := range []struct {
		name string
		mean float32
	}{{championVersion, 3.5}, {nextVersion, 3}, {damagedVersion, 3.5}} {
		m, err := model.New(fixtureFactors(v.mean), model.MovieLensScale)
		if err != nil {
			t.Fatal(err)
		}
		_, err = r.Publish(t.Context(), m, registry.Manifest{
			Version: v.name, CreatedAt: created.Add(time.Duration(i) * time.Hour),
			Algorithm: "als", Parameters: []byte(`{"rank":2}`), Verdict: "made by hand", Tool: "tests/configs",
			Data: registry.Data{
				Source: "config/fixtures", Ratings: 9, Users: 3, Movies: 5,
				From: time.Unix(1_500_000_000, 0).UTC(), Until: time.Unix(1_500_000_480, 0).UTC(),
			},
			Metrics: message.Metrics{RMSE: 0.5, BiasRMSE: 0.75, Ratings: 9, Holdout: 1},
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	_, ok, reason, err := r.Promote(t.Context(), championVersion, created, func(string) (bool, string, error) { return true, "the first version", nil })
	if err != nil || !ok {
		t.Fatalf("promoted %v: %s, %v", ok, reason, err)
	}
	fixNonce(t, filepath.Join(folder, "promotions", "00000001.json"))
	damage(t, folder, damagedVersion)
}

// fixNonce replaces a promotion's nonce, which is another one each time.
func fixNonce(t *testing.T, path string) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	text = regexp.MustCompile(`"nonce": "\w+"`).ReplaceAll(text, []byte(`"nonce": "FIXTURE"`))
	if err := os.WriteFile(path, text, 0o644); err != nil {
		t.Fatal(err)
	}
}

// damage changes the last byte of a version's model file.
func damage(t *testing.T, registryFolder, version string) {
	t.Helper()
	path := filepath.Join(registryFolder, "models", version, "model.safetensors")
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	data[len(data)-1] ^= 1
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestTheRegistryFixtureIsWhatItsGeneratorMakes also renews it, with -update.
func TestTheRegistryFixtureIsWhatItsGeneratorMakes(t *testing.T) {
	if *update {
		if err := os.RemoveAll(registryFixture); err != nil {
			t.Fatal(err)
		}
		writeRegistryFixture(t, registryFixture)
	}
	made := t.TempDir()
	writeRegistryFixture(t, made)
	want, got := files(t, made), files(t, registryFixture)
	for name, content := range want {
		if got[name] != content {
			t.Errorf("%s/%s is not what the generator makes; renew it with go test ./tests/configs -run Fixture -update", registryFixture, name)
		}
	}
	for name := range got {
		if _, ok := want[name]; !ok {
			t.Errorf("%s/%s is not made by the generator", registryFixture, name)
		}
	}
}

// files returns the content of all files of a folder, by their relative paths.
func files(t *testing.T, folder string) map[string]string {
	t.Helper()
	found := map[string]string{}
	err := fs.WalkDir(os.DirFS(folder), ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		data, err := os.ReadFile(filepath.Join(folder, path))
		found[path] = string(data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func TestTheRegistryFixturePredictsWhatIsComputedByHand(t *testing.T) {
	r, err := registry.Open("file://" + registryFixture)
	if err != nil {
		t.Fatal(err)
	}
	m, _, err := r.Model(championVersion)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		user, movie int64
		want        float32
	}{
		{1, 296, 4.75}, // 3.5 + 0.5 + 0.25 + 0.5
		{2, 296, 3},    // 3.5 − 0.5 + 0.25 − 0.25
		{3, 318, 5},    // 3.5 + 1.5 + 0.5 + 1 = 6.5, clamped
		{1, 2571, 4},   // 3.5 + 0.5
		{99, 318, 4},   // 3.5 + 0.5
		{99, 2571, 3.5},
	} {
		if got := m.Predict(c.user, c.movie).Value; got != c.want {
			t.Errorf("user %d and movie %d: predicted %v, want %v", c.user, c.movie, got, c.want)
		}
	}
}
