package movielens

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/recsys-benthos/recsys-benthos/internal/als"
	"github.com/recsys-benthos/recsys-benthos/internal/eval"
	"github.com/recsys-benthos/recsys-benthos/internal/ratings"
)

func archive(t *testing.T, content []byte, handler http.HandlerFunc) Archive {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	sum := sha256.Sum256(content)
	return Archive{URL: server.URL, SHA256: hex.EncodeToString(sum[:]), Bytes: int64(len(content))}
}

func TestADownloadAppearsOnlyWhenItIsWholeAndRight(t *testing.T) {
	content := bytes.Repeat([]byte("movie lens "), 10_000)
	tests := map[string]struct {
		handler http.HandlerFunc
		want    string // part of the error; "" for success
	}{
		"the right bytes": {func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(content) }, ""},
		"other bytes":     {func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(content[1:]) }, "checksum does not fit"},
		"too many bytes": {func(w http.ResponseWriter, _ *http.Request) {
			for range 100 {
				_, _ = w.Write(content)
			}
		}, "checksum does not fit"},
		"a cut connection": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "110000")
			_, _ = w.Write(content[:500])
		}, "unexpected EOF"},
		"no such file": {func(w http.ResponseWriter, r *http.Request) { http.NotFound(w, r) }, "404 Not Found"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, "a.zip")
			var last int64
			err := archive(t, content, test.handler).Download(t.Context(), path, func(n int64) { last = n })
			if test.want == "" {
				got, readErr := os.ReadFile(path)
				if err != nil || readErr != nil || !bytes.Equal(got, content) || last != int64(len(content)) {
					t.Fatalf("got %d bytes, progress %d, %v, %v", len(got), last, err, readErr)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %s", err, test.want)
			}
			if left, _ := os.ReadDir(dir); len(left) > 0 {
				t.Errorf("%s was left behind", left[0].Name())
			}
		})
	}
}

func TestAnUnreachableServerIsAnErrorNotAHang(t *testing.T) {
	err := Archive{URL: "http://127.0.0.1:1/x", Bytes: 1}.Download(t.Context(), filepath.Join(t.TempDir(), "x"), nil)
	if err == nil || errors.Is(err, ErrChecksum) {
		t.Errorf("got %v", err)
	}
}

func TestTheSampleIsRealisticAndTheSameEachTime(t *testing.T) {
	one, two := filepath.Join(t.TempDir(), "sample"), filepath.Join(t.TempDir(), "sample")
	for _, dir := range []string{one, two} {
		if err := WriteSample(dir, DefaultSample); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"ratings.csv", "movies.csv", "tags.csv", "links.csv"} {
		a, err := os.ReadFile(filepath.Join(one, name))
		if err != nil {
			t.Fatal(err)
		}
		if b, err := os.ReadFile(filepath.Join(two, name)); err != nil || !bytes.Equal(a, b) {
			t.Errorf("%s is not the same (%v)", name, err)
		}
	}
	all, err := ratings.ReadRatings(one)
	if err != nil {
		t.Fatal(err)
	}
	if n := len(all); n < DefaultSample.Ratings*8/10 || n > DefaultSample.Ratings*11/10 {
		t.Errorf("%d ratings, want about %d", n, DefaultSample.Ratings)
	}
	train, test := eval.RandomSplit(all, 0.2, 1)
	p := als.DefaultParameters(als.ALS)
	p.Rank, p.Iterations = 8, 5
	result, err := eval.Run(t.Context(), train, test, p, nil)
	if err != nil {
		t.Fatal(err)
	}
	// There is something to learn: biases beat the mean, factors beat biases.
	if !(result.RMSE < result.Baselines.BiasOnly.RMSE-0.02 && result.Baselines.BiasOnly.RMSE < result.Baselines.GlobalMean.RMSE-0.05) {
		t.Errorf("RMSE: als %.3f, biases %.3f, mean %.3f", result.RMSE, result.Baselines.BiasOnly.RMSE, result.Baselines.GlobalMean.RMSE)
	}
	counts := map[int64]int{}
	for _, r := range all {
		counts[r.Movie]++
	}
	if counts[1] < 4*counts[150] {
		t.Errorf("the first film has %d ratings, the 150th %d: not the skew of real ratings", counts[1], counts[150])
	}
}
