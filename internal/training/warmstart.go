package training

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/recsys-benthos/recsys-benthos/internal/als"
	"github.com/recsys-benthos/recsys-benthos/internal/model"
	"github.com/recsys-benthos/recsys-benthos/internal/registry"
)

// WarmStart returns the job that starts from the champion, see als.Task, and takes
// half the iterations in the heads that do: fewer than from scratch lead as far. It
// returns the job as it is, and why, where there is nothing to start from: no
// champion, or one of another algorithm or rank.
func (j Job) WarmStart(r *registry.Registry) (_ Job, why string, err error) {
	version, err := currentChampion(r)
	if err != nil {
		return j, "", err
	}
	if version == "" {
		return j, "there is no champion yet", nil
	}
	champion, manifest, err := r.Model(version)
	if errors.Is(err, registry.ErrDamaged) || errors.Is(err, registry.ErrNotFound) || errors.Is(err, model.ErrFormat) {
		return j, fmt.Sprintf("the champion cannot be read: %v", err), nil
	}
	if err != nil {
		return j, "", err
	}
	var p als.Parameters
	if err := json.Unmarshal(manifest.Parameters, &p); err != nil || p.Algorithm != j.Parameters.Algorithm || p.Rank != j.Parameters.Rank {
		return j, fmt.Sprintf("%s is %s of rank %d, not %s of rank %d", version, manifest.Algorithm, champion.Factors().Rank,
			j.Parameters.Algorithm, j.Parameters.Rank), nil
	}
	j.Start, j.StartedBy = champion.Factors(), version
	if algorithm := j.Parameters.Algorithm; algorithm != als.VB && algorithm != als.Bayes {
		j.Parameters.Iterations = (j.Parameters.Iterations + 1) / 2
	}
	if head := j.Parameters.Preference; head != nil && j.Start.Preference != nil && j.Start.Preference.Rank == head.Rank {
		half := *head
		half.Iterations = (half.Iterations + 1) / 2
		j.Parameters.Preference = &half
	}
	return j, "", nil
}
