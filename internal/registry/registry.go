// Package registry keeps model versions and the log of promotions in a bucket:
//
//	models/<version>/model.safetensors
//	models/<version>/manifest.json      written last: its presence means complete
//	promotions/00000042.json            the highest number is the state of all roles
//	leases/train/0007.json              who trains; the highest number holds the lease
//	leases/train/0007.beat              changes as long as the holder lives
//
// Nothing is ever changed once written, beats aside. The only synchronisation is
// that objects are created exclusively: of two promoters that race for a number one
// wins, and the other sees what won and decides again.
package registry

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/recsys-benthos/recsys-benthos/internal/message"
	"github.com/recsys-benthos/recsys-benthos/internal/model"
	"github.com/recsys-benthos/recsys-benthos/internal/ratings"
)

// Errors of opening and reading.
var (
	ErrURL         = errors.New("unusable registry URL")     // scheme not supported, or no path
	ErrNotFound    = errors.New("not found in the registry") // no such version or promotion
	ErrDamaged     = errors.New("damaged in the registry")   // checksum or content does not fit its manifest
	ErrNewerFormat = errors.New("this program is too old")   // what it reads has a format above FormatVersion
	ErrNoChampion  = errors.New("the registry has no champion yet")
)

// FormatVersion is the format of manifests and promotions that this program writes,
// and the highest that it reads.
const FormatVersion = 1

// Manifest describes a version. Programs of other versions read it too: fields are
// added, never changed; a change that old programs must not overlook raises Format.
type Manifest struct {
	Format     int             `json:"format,omitempty"` // FormatVersion when it was written, 0 before there was one
	Version    string          `json:"version"`
	CreatedAt  time.Time       `json:"created_at"`
	Algorithm  string          `json:"algorithm"`
	Parameters json.RawMessage `json:"parameters"`
	Data       Data            `json:"data"`
	Holdout    Holdout         `json:"holdout"`
	Metrics    message.Metrics `json:"metrics"`
	Verdict    string          `json:"verdict"` // what the gate said, in words
	Parent     string          `json:"parent,omitempty"`
	// Gate is the verdict with all figures, nil where there was no gate.
	Gate *message.Verdict `json:"gate,omitempty"`
	// Recipe tells versions that were made in the same way: algorithm and parameters
	// as they were asked for, before any were chosen by the data; "" if not known.
	Recipe string `json:"recipe,omitempty"`
	// Trigger is what asked for the training, "" where nothing did.
	Trigger string `json:"trigger,omitempty"`
	// Fence is the number of the lease under which it was trained, 0 without one.
	Fence int64 `json:"fence,omitempty"`
	// StartedFrom is the version whose factors training started from, "" if it
	// began from scratch.
	StartedFrom string `json:"started_from,omitempty"`

	Tool    string  `json:"tool"` // name and version of what trained it
	SHA256  string  `json:"sha256"`
	Bytes   int64   `json:"bytes"`
	Seconds float64 `json:"seconds"` // that training took
}

// Holdout says which pairs a version was not trained on: those that a hash of
// (seed, user, movie) puts below the share.
type Holdout struct {
	Seed  uint64  `json:"seed"`
	Share float64 `json:"share"` // 0 to 1
}

// Data describes what a version was trained on.
type Data struct {
	Source    string    `json:"source"` // where the ratings come from, for people
	Simulated bool      `json:"simulated,omitempty"`
	Ratings   int64     `json:"ratings"`
	Choices   int64     `json:"choices,omitempty"` // tags and views
	Users     int       `json:"users"`
	Movies    int       `json:"movies"`
	From      time.Time `json:"from"` // earliest event time
	Until     time.Time `json:"until"`
	Checksum  string    `json:"checksum"` // of the sorted ratings
	Revision  int64     `json:"revision"` // of the rating store when it was read

	// EventsOffsets are, by topic and partition, the offset before which every event
	// is in what was read; nil if the store does not know.
	EventsOffsets ratings.Offsets `json:"events_offsets,omitempty"`
}

// Registry is a bucket of versions and promotions. It is safe for concurrent
// use, also by several processes.
type Registry struct {
	url    string
	bucket bucket
	known  atomic.Int64 // highest promotion seen

	mu    sync.Mutex
	beats map[string]observation // the last one of each lease, by its name
}

// Open returns the registry at url: file:///absolute/path, file://relative/path, a
// bare path, or s3://bucket/prefix with gocloud's parameters (region, endpoint,
// use_path_style and so on) and the credentials of AWS's SDK. Nothing is read or
// created there until it is used.
func Open(url string) (*Registry, error) {
	b, told, err := openBucket(context.Background(), url)
	if err != nil {
		return nil, err
	}
	return newRegistry(told, b), nil
}

func newRegistry(url string, b bucket) *Registry {
	return &Registry{url: url, bucket: b, beats: map[string]observation{}}
}

// URL returns where the registry is.
func (r *Registry) URL() string { return r.url }

var versionName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$`)

// checkVersion refuses names that could leave the models folder.
func checkVersion(version string) error {
	if !versionName.MatchString(version) || strings.Contains(version, "..") {
		return fmt.Errorf("%q is not a version's name (letters, digits, dot, dash, underscore)", version)
	}
	return nil
}

// VersionName returns the name of a version made at the given time from a model
// file with the given checksum: "20260102-150405-9f86d0". Names sort by time.
func VersionName(at time.Time, sha256Hex string) string {
	return at.UTC().Format("20060102-150405") + "-" + sha256Hex[:6]
}

// Publish stores a model as a complete version. It fills in the manifest's Format,
// SHA256, Bytes and, where empty, Version, and returns it. A version of this name
// that has the same model is returned as it is; one with another gives ErrExists.
func (r *Registry) Publish(ctx context.Context, m *model.Model, manifest Manifest) (Manifest, error) {
	var file bytes.Buffer
	if _, err := m.WriteTo(&file); err != nil {
		return manifest, fmt.Errorf("writing the model: %w", err)
	}
	sum := sha256.Sum256(file.Bytes())
	manifest.SHA256 = hex.EncodeToString(sum[:])
	manifest.Bytes = int64(file.Len())
	if manifest.Version == "" {
		manifest.Version = VersionName(manifest.CreatedAt, manifest.SHA256)
	}
	published, _, err := r.publish(ctx, file.Bytes(), manifest)
	return published, err
}

func modelKey(version string) string    { return "models/" + version + "/model.safetensors" }
func manifestKey(version string) string { return "models/" + version + "/manifest.json" }

// Manifest returns the manifest of a version.
func (r *Registry) Manifest(version string) (Manifest, error) {
	return r.manifest(context.Background(), version)
}

func (r *Registry) manifest(ctx context.Context, version string) (Manifest, error) {
	var manifest Manifest
	if err := checkVersion(version); err != nil {
		return manifest, err
	}
	err := r.readJSON(ctx, manifestKey(version), &manifest)
	if err != nil {
		return manifest, fmt.Errorf("reading version %s: %w", version, err)
	}
	if manifest.Version != version {
		return manifest, fmt.Errorf("reading version %s: %w: %s names version %q; move it to where it belongs, or import the version again",
			version, ErrDamaged, r.bucket.where(manifestKey(version)), manifest.Version)
	}
	return manifest, nil
}

// Model reads the model of a version, after comparing its checksum with the
// manifest's.
func (r *Registry) Model(version string) (*model.Model, Manifest, error) {
	return r.model(context.Background(), version)
}

func (r *Registry) model(ctx context.Context, version string) (*model.Model, Manifest, error) {
	manifest, err := r.manifest(ctx, version)
	if err != nil {
		return nil, manifest, err
	}
	data, err := r.modelFile(ctx, manifest)
	if err != nil {
		return nil, manifest, err
	}
	m, err := model.Decode(data)
	if err != nil {
		return nil, manifest, fmt.Errorf("reading version %s: %s: %w", version, r.bucket.where(modelKey(version)), err)
	}
	return m, manifest, nil
}

// modelFile reads the file of a model, and compares its checksum.
func (r *Registry) modelFile(ctx context.Context, manifest Manifest) ([]byte, error) {
	key := modelKey(manifest.Version)
	data, err := r.bucket.read(ctx, key)
	if errors.Is(err, ErrNotFound) {
		return nil, fmt.Errorf("reading version %s: %w, though its manifest is there; %s", manifest.Version, err, mendModel)
	}
	if err != nil {
		return nil, fmt.Errorf("reading version %s: %w", manifest.Version, err)
	}
	sum := sha256.Sum256(data)
	if hex.EncodeToString(sum[:]) == manifest.SHA256 {
		return data, nil
	}
	length := ""
	if int64(len(data)) != manifest.Bytes {
		length = fmt.Sprintf("%d bytes where its manifest says %d, and ", len(data), manifest.Bytes)
	}
	return nil, fmt.Errorf("reading version %s: %w: %s has %ssha256 %x, its manifest says %s; %s",
		manifest.Version, ErrDamaged, r.bucket.where(key), length, sum, manifest.SHA256, mendModel)
}

// mendModel is what a person can do about a model that cannot be read.
const mendModel = "put the file back, import the version from an export, or promote another"

// List returns the manifests of all complete versions, oldest first. Versions
// whose manifest cannot be read are in the error, which then comes beside the
// others.
func (r *Registry) List() ([]Manifest, error) { return r.manifests(context.Background()) }

func (r *Registry) manifests(ctx context.Context) ([]Manifest, error) {
	names, err := r.bucket.list(ctx, "models", "")
	if err != nil {
		return nil, fmt.Errorf("listing the versions of %s: %w", r.url, err)
	}
	var manifests []Manifest
	var problems []error
	for _, name := range names {
		manifest, err := r.manifest(ctx, name)
		switch {
		case errors.Is(err, ErrNotFound): // not complete
		case err != nil:
			problems = append(problems, err)
		default:
			manifests = append(manifests, manifest)
		}
	}
	slices.SortStableFunc(manifests, func(a, b Manifest) int { return a.CreatedAt.Compare(b.CreatedAt) })
	return manifests, errors.Join(problems...)
}

func (r *Registry) readJSON(ctx context.Context, key string, into any) error {
	data, err := r.bucket.read(ctx, key)
	if err != nil {
		return err
	}
	return decode(data, r.bucket.where(key), into)
}

// decode reads JSON whose format this program knows.
func decode(data []byte, where string, into any) error {
	// The format first: in a newer one other fields may have other types.
	var written struct {
		Format int    `json:"format"`
		Tool   string `json:"tool"`
	}
	if err := json.Unmarshal(data, &written); err == nil && written.Format > FormatVersion {
		by := ""
		if written.Tool != "" {
			by = " by " + written.Tool
		}
		return fmt.Errorf("%w: %s was written%s in format %d, and this recsys-benthos reads formats up to %d: update this one, or use what was written by its own version",
			ErrNewerFormat, where, by, written.Format, FormatVersion)
	}
	if err := json.Unmarshal(data, into); err != nil {
		return fmt.Errorf("%w: %s: %w", ErrDamaged, where, err)
	}
	return nil
}
