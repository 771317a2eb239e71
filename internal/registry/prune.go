package registry

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// unfinishedFor is how old what is not complete has to be, or somebody may be at it.
const unfinishedFor = time.Hour

// Pruned is what Prune removed, or would remove.
type Pruned struct {
	Versions   []string `json:"versions"`   // complete ones
	Unfinished []string `json:"unfinished"` // versions that never got a manifest
	Temporary  []string `json:"temporary"`  // files of writers that died
	Kept       int      `json:"kept"`       // versions
	Bytes      int64    `json:"bytes"`      // freed
}

// Prune removes versions but for the newest keep and those that a role in the last
// keep promotions names, and what was left unfinished an hour ago or before. It never
// touches the log. A version's manifest goes first, so that what is interrupted
// leaves no version that looks complete. Versions that cannot be read are kept, and
// are in the error, which comes beside the result. With dryRun it only looks.
func (r *Registry) Prune(ctx context.Context, keep int, dryRun bool) (Pruned, error) {
	pruned := Pruned{Versions: []string{}, Unfinished: []string{}, Temporary: []string{}}
	if keep < 1 {
		return pruned, fmt.Errorf("pruning %s: %d versions are to be kept; at least one is", r.url, keep)
	}
	manifests, problems := r.manifests(ctx)
	needed, err := r.needed(ctx, keep)
	if err != nil {
		return pruned, errors.Join(err, problems)
	}
	for i, m := range manifests {
		if i >= len(manifests)-keep || needed[m.Version] {
			pruned.Kept++
			continue
		}
		removed, err := r.remove(ctx, m.Version, dryRun)
		if err != nil {
			return pruned, errors.Join(err, problems)
		}
		if !removed {
			pruned.Kept++
			continue
		}
		pruned.Versions, pruned.Bytes = append(pruned.Versions, m.Version), pruned.Bytes+m.Bytes
	}
	if err := r.pruneUnfinished(ctx, &pruned, dryRun); err != nil {
		problems = errors.Join(problems, err)
	}
	return pruned, problems
}

// needed returns the versions that a role in the last promotions names.
func (r *Registry) needed(ctx context.Context, promotions int) (map[string]bool, error) {
	needed := map[string]bool{}
	promotion, ok, err := r.latest(ctx)
	for k := 1; ok && err == nil; k++ {
		for _, version := range promotion.Roles {
			needed[version] = true
		}
		if k == promotions || promotion.Sequence == 1 {
			break
		}
		promotion, ok, err = r.next(ctx, promotion.Sequence-2)
	}
	return needed, err
}

// remove removes a version, unless it has a role by now.
func (r *Registry) remove(ctx context.Context, version string, dryRun bool) (removed bool, err error) {
	now, err := r.needed(ctx, 1)
	if err != nil || now[version] {
		return false, err
	}
	if dryRun {
		return true, nil
	}
	for _, key := range []string{manifestKey(version), modelKey(version)} {
		if err := r.bucket.delete(ctx, key); err != nil {
			return false, fmt.Errorf("removing %s: %w", r.bucket.where(key), mend(err))
		}
	}
	return true, nil
}

func (r *Registry) pruneUnfinished(ctx context.Context, pruned *Pruned, dryRun bool) error {
	names, err := r.bucket.list(ctx, "models", "")
	if err != nil {
		return err
	}
	left, err := r.bucket.leftovers(ctx)
	if err != nil {
		return err
	}
	for _, version := range names {
		if checkVersion(version) != nil || slices.Contains(pruned.Versions, version) {
			continue
		}
		_, err := r.bucket.stat(ctx, manifestKey(version))
		if err == nil {
			continue
		}
		model, missing := r.bucket.stat(ctx, modelKey(version))
		if errors.Is(missing, ErrNotFound) { // a folder has an age too; if it is empty it goes with what is not in it
			model, missing = r.bucket.stat(ctx, "models/"+version)
			model.key, model.bytes = modelKey(version), 0
		}
		if !errors.Is(err, ErrNotFound) || missing != nil {
			continue // another problem than that, which Verify tells
		}
		left = append(left, model)
	}
	for _, o := range left {
		if time.Since(o.changed) < unfinishedFor {
			continue
		}
		if !dryRun {
			if err := r.bucket.delete(ctx, o.key); err != nil {
				return fmt.Errorf("removing %s: %w", r.bucket.where(o.key), mend(err))
			}
		}
		pruned.Bytes += o.bytes
		if version, isModel := versionOfModel(o.key); isModel {
			pruned.Unfinished = append(pruned.Unfinished, version)
		} else {
			pruned.Temporary = append(pruned.Temporary, o.key)
		}
	}
	return nil
}
