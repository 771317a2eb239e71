//go:build cluster

package registry

import (
	"context"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/recsys-benthos/recsys-benthos/internal/registry"
	"github.com/recsys-benthos/recsys-benthos/tests/servers"
)

// startS3 starts a server for the test, with its credentials in the environment.
func startS3(t *testing.T) *servers.S3 {
	t.Helper()
	servers.ForS3Test(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	s, err := servers.StartS3(ctx)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	for _, setting := range s.Environment() {
		name, value, _ := strings.Cut(setting, "=")
		t.Setenv(name, value)
	}
	return s
}

// inBucket returns the URL of a folder in a new bucket.
func inBucket(t *testing.T, s *servers.S3, name string) string {
	t.Helper()
	url, err := s.Bucket(name)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Replace(url, "?", "/some/folder?", 1)
}

func TestOnS3RacersHaveOneWinnerForEachNumber(t *testing.T) {
	s := startS3(t)
	t.Run("of one process", func(t *testing.T) { raceInProcess(t, inBucket(t, s, "goroutines")) })
	t.Run("of several processes", func(t *testing.T) { raceOfProcesses(t, inBucket(t, s, "processes"), s.Environment()...) })
}

func TestARegistryOnS3DoesWhatOneInAFolderDoes(t *testing.T) {
	s := startS3(t)
	url := inBucket(t, s, "one")
	r, err := registry.Open(url)
	if err != nil {
		t.Fatal(err)
	}
	var versions []string
	for range 4 {
		m, err := publish(t.Context(), r, 0)
		if err != nil {
			t.Fatal(err)
		}
		versions = append(versions, m.Version)
		if _, ok, _, err := r.Promote(t.Context(), m.Version, time.Now(), always); !ok || err != nil {
			t.Fatal(ok, err)
		}
	}
	if p, err := r.Rollback(t.Context(), time.Now(), "worse", versions[3]); err != nil || p.Version != versions[2] {
		t.Errorf("rolled back to %+v, %v", p, err)
	}
	exported := t.TempDir() + "/version.tar"
	if _, err := r.Export(t.Context(), versions[0], exported); err != nil {
		t.Error(err)
	}
	pruned, err := r.Prune(t.Context(), 2, false)
	if err != nil || !slices.Equal(pruned.Versions, versions[:2]) {
		t.Errorf("pruned %+v, %v", pruned, err)
	}
	if _, isNew, err := r.Import(t.Context(), exported, "test", time.Now()); !isNew || err != nil {
		t.Errorf("imported: %v, %v", isNew, err)
	}
	if report, err := r.Verify(t.Context()); err != nil || len(report.Problems)+len(report.Warnings) > 0 || report.Versions != 3 || report.Promotions != 5 {
		t.Errorf("Verify found %+v, %v", report, err)
	}
	lease, err := r.AcquireLease(t.Context(), "train", "me", patient)
	if err != nil || lease.Number != 1 {
		t.Fatalf("got %+v, %v", lease, err)
	}
	if err := lease.Release(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestS3sErrorsSayWhatWouldMendThem(t *testing.T) {
	s := startS3(t)
	there := inBucket(t, s, "there")
	latest := func(url string) error {
		r, err := registry.Open(url)
		if err == nil {
			_, _, err = r.Latest()
		}
		return err
	}
	expect := func(err error, says string) {
		t.Helper()
		if err == nil || errors.Is(err, registry.ErrNotFound) || !strings.Contains(err.Error(), says) || strings.Contains(err.Error(), "wrong-secret") {
			t.Errorf("%q is said by: %v", says, err)
		}
	}
	if err := latest(there); err != nil {
		t.Error(err)
	}
	expect(latest(strings.Replace(there, "there", "elsewhere", 1)), "bucket elsewhere does not exist: create it")
	expect(latest(strings.Replace(there, "us-east-1", "", 1)), "AWS_REGION")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "wrong-secret")
	expect(latest(there), "correct AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY")
	t.Setenv("AWS_SECRET_ACCESS_KEY", s.Password)
	if err := s.Nodes[0].Kill(); err != nil {
		t.Fatal(err)
	}
	expect(latest(there), "nobody answers there")
}

// TestALargeModelIsOneObjectOrNone: it is uploaded in parts.
func TestALargeModelIsOneObjectOrNone(t *testing.T) {
	s := startS3(t)
	r, err := registry.Open(inBucket(t, s, "large"))
	if err != nil {
		t.Fatal(err)
	}
	m, err := publishLarge(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	if m.Bytes < 20<<20 {
		t.Fatalf("%d bytes", m.Bytes)
	}
	if _, _, err := r.Model(m.Version); err != nil {
		t.Error(err)
	}
	if same, err := publishLarge(t.Context(), r); err != nil || same.Version != m.Version {
		t.Errorf("the same again: %s, %v", same.Version, err)
	}
	if entries, err := os.ReadDir(s.Dir + "/buckets/large/some/folder/models/" + m.Version); err != nil || len(entries) != 2 {
		t.Errorf("%v, %v", entries, err)
	}
}
