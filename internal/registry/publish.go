package registry

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
)

// Errors of publishing.
var (
	ErrExists = errors.New("another version has this name") // versions are never changed
)

// publish stores a model's file, and then its manifest, whose presence means that
// the version is complete. isNew is false if it was there already, with this model.
func (r *Registry) publish(ctx context.Context, file []byte, manifest Manifest) (published Manifest, isNew bool, err error) {
	if err := checkVersion(manifest.Version); err != nil {
		return manifest, false, err
	}
	manifest.Format = FormatVersion
	text, err := json.MarshalIndent(manifest, "", "  ")
	if err != nil {
		return manifest, false, fmt.Errorf("writing the manifest of %s: %w", manifest.Version, err)
	}
	if there, err := r.published(ctx, manifest); !errors.Is(err, ErrNotFound) {
		return there, false, err
	}
	if err := r.putModel(ctx, manifest, file); err != nil {
		return manifest, false, fmt.Errorf("publishing version %s: %w", manifest.Version, mend(err))
	}
	won, err := r.bucket.create(ctx, manifestKey(manifest.Version), append(text, '\n'))
	if won && err == nil {
		return manifest, true, nil
	}
	// What is there decides: it may be this one, whose answer was lost.
	there, reading := r.published(ctx, manifest)
	if errors.Is(reading, ErrNotFound) {
		return manifest, false, fmt.Errorf("publishing version %s: %w", manifest.Version, errors.Join(mend(err), reading))
	}
	return there, reading == nil, reading
}

// published returns the manifest of a version that has this name and this model.
func (r *Registry) published(ctx context.Context, manifest Manifest) (Manifest, error) {
	there, err := r.manifest(ctx, manifest.Version)
	if err == nil && there.SHA256 != manifest.SHA256 {
		return manifest, fmt.Errorf("publishing version %s: %w: it has sha256 %s, this one %s; give it another name", manifest.Version, ErrExists, there.SHA256, manifest.SHA256)
	}
	return there, err
}

// putModel stores the model of a version that is not complete. One that a publisher
// left there who did not come to the manifest is taken over, if it is the same.
func (r *Registry) putModel(ctx context.Context, manifest Manifest, file []byte) error {
	key := modelKey(manifest.Version)
	won, err := r.bucket.create(ctx, key, file)
	if won && err == nil {
		return nil
	}
	there, reading := r.bucket.read(ctx, key)
	if reading != nil {
		return errors.Join(err, reading)
	}
	if sum := sha256.Sum256(there); hex.EncodeToString(sum[:]) != manifest.SHA256 {
		return fmt.Errorf("%w: %s is of another one that is being published, or was not to its end; give it another name, or prune the registry in an hour",
			ErrExists, r.bucket.where(key))
	}
	return r.bucket.write(ctx, key, file) // so that it is new for Prune
}
