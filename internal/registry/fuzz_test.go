package registry

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/recsys-benthos/recsys-benthos/internal/als"
	"github.com/recsys-benthos/recsys-benthos/internal/message"
	"github.com/recsys-benthos/recsys-benthos/internal/model"
)

// FuzzManifest puts any bytes where a version's manifest is: the registry reads it,
// or says what is wrong, and what it read it writes as what it reads again.
func FuzzManifest(f *testing.F) {
	f.Add([]byte(`{"format":1,"version":"v1","created_at":"2026-01-02T15:04:05Z","algorithm":"als","parameters":{"rank":2},"data":{"ratings":3,"from":"2026-01-01T00:00:00Z","until":"2026-01-02T00:00:00Z","events_offsets":{"events":{"0":5}}},"holdout":{"seed":1,"share":0.1},"metrics":{"rmse":0.9},"verdict":"promoted","gate":{"outcome":"better","tests":[{"name":"rmse","interval":[0,1]}]},"tool":"t","sha256":"00","bytes":3}`))
	f.Add([]byte(`{"format":2,"tool":"x"}`))
	f.Add([]byte(`{"version":"../v1"}`))
	dir := f.TempDir()
	r, err := Open("file://" + dir)
	if err != nil {
		f.Fatal(err)
	}
	place := filepath.Join(dir, "models", "v1")
	if err := os.MkdirAll(place, 0o755); err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if err := os.WriteFile(filepath.Join(place, manifestFile), data, 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := r.Verify(t.Context()); err != nil {
			t.Fatalf("verifying: %v", err)
		}
		m, err := r.manifest(t.Context(), "v1")
		if err != nil {
			told(t, err)
			return
		}
		if m.Version != "v1" {
			t.Fatalf("%q was read as the manifest of v1", m.Version)
		}
		text, err := json.Marshal(m)
		if err != nil {
			t.Fatalf("%q was read and cannot be written: %v", data, err)
		}
		var again Manifest
		if err := decode(text, manifestFile, &again); err != nil {
			t.Fatalf("from %q came %q, which is refused: %v", data, text, err)
		}
	})
}

// told demands one of the errors that callers tell apart.
func told(t *testing.T, err error) {
	t.Helper()
	for _, known := range []error{ErrDamaged, ErrNewerFormat, ErrNotFound, ErrArchive} {
		if errors.Is(err, known) {
			return
		}
	}
	t.Fatalf("nobody knows this error: %v", err)
}

// FuzzPromotion puts any bytes into the log.
func FuzzPromotion(f *testing.F) {
	f.Add([]byte(`{"sequence":1,"roles":{"champion":"v1"},"role":"champion","version":"v1","reason":"first","promoted_at":"2026-01-02T15:04:05Z"}`))
	f.Add([]byte(`{"sequence":1,"roles":{"champion":"v1","challenger:a":"v2"},"shares":{"challenger:a":0.5},"role":"challenger:a","version":"v2"}`))
	dir := f.TempDir()
	r, err := Open("file://" + dir)
	if err != nil {
		f.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(dir, "promotions"), 0o755); err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if err := os.WriteFile(filepath.Join(dir, promotionKey(1)), data, 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := r.Verify(t.Context()); err != nil {
			t.Fatalf("verifying: %v", err)
		}
		p, ok, err := r.Next(0)
		if err != nil {
			told(t, err)
			return
		}
		if !ok || p.Sequence != 1 {
			t.Fatalf("%q was read as promotion %d", data, p.Sequence)
		}
		_, _ = r.Roles()
		if _, err := json.Marshal(p); err != nil {
			t.Fatalf("%q was read and cannot be written: %v", data, err)
		}
	})
}

// FuzzImport imports any bytes, which must not leave a version behind that cannot
// be read, nor write anywhere else.
func FuzzImport(f *testing.F) {
	from, err := Open("file://" + f.TempDir())
	if err != nil {
		f.Fatal(err)
	}
	m, err := model.New(&als.Factors{Mean: 3, Lambda: 1}, model.MovieLensScale)
	if err != nil {
		f.Fatal(err)
	}
	version, err := from.Publish(f.Context(), m, Manifest{CreatedAt: time.Unix(1, 0), Algorithm: "als", Metrics: message.Metrics{Ratings: 1}})
	if err != nil {
		f.Fatal(err)
	}
	whole := filepath.Join(f.TempDir(), "v.tar")
	if _, err := from.Export(f.Context(), version.Version, whole); err != nil {
		f.Fatal(err)
	}
	seed, err := os.ReadFile(whole)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(seed)
	for _, header := range []tar.Header{
		{Name: "../../evil", Typeflag: tar.TypeReg}, {Name: manifestFile, Typeflag: tar.TypeSymlink, Linkname: "/etc/passwd"}, {Name: "/etc/cron.d/x", Typeflag: tar.TypeReg},
	} {
		var archive bytes.Buffer
		w := tar.NewWriter(&archive)
		if err := errors.Join(w.WriteHeader(&header), w.Close()); err != nil {
			f.Fatal(err)
		}
		f.Add(archive.Bytes())
	}
	outer := f.TempDir()
	path := filepath.Join(outer, "in.tar")
	f.Fuzz(func(t *testing.T, data []byte) {
		if err := os.WriteFile(path, data, 0o644); err != nil {
			t.Fatal(err)
		}
		registry := filepath.Join(outer, "registry")
		to, err := Open("file://" + registry)
		if err != nil {
			t.Fatal(err)
		}
		defer os.RemoveAll(registry)
		got, _, err := to.Import(t.Context(), path, "fuzz", time.Unix(2, 0))
		if err == nil {
			if _, _, err := to.Model(got.Version); err != nil {
				t.Errorf("it was imported and cannot be read: %v", err)
			}
		}
		entries, err := os.ReadDir(outer)
		if err != nil {
			t.Fatal(err)
		}
		for _, entry := range entries {
			if name := entry.Name(); name != "in.tar" && name != "registry" {
				t.Errorf("importing wrote %s", name)
			}
		}
	})
}
