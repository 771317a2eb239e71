package training

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/recsys-benthos/recsys-benthos/internal/als"
	"github.com/recsys-benthos/recsys-benthos/internal/model"
	"github.com/recsys-benthos/recsys-benthos/internal/registry"
)

// WarmStart returns the job whose version starts from the champion, see als.Task,
// and takes half the iterations in the heads that do: fewer than from scratch lead as
// far. It returns the job as it is, and why, where there is nothing to start from: no
// champion, or one of another algorithm or rank.
//
// What is judged on pairs that the champion was trained on starts from scratch all
// the same: it is not to know them by way of the start.
func (j Job) WarmStart(r *registry.Registry) (_ Job, why string, err error) {
	version, err := currentChampion(r)
	if err != nil {
		return j, "", err
	}
	if version == "" {
		return j, "there is no champion yet", nil
	}
	champion, manifest, err := r.Model(version)
	if unreadable(err) {
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
	return j, "", nil
}

// unreadable reports whether a version is there that nobody can use.
func unreadable(err error) bool {
	return errors.Is(err, registry.ErrDamaged) || errors.Is(err, registry.ErrNotFound) || errors.Is(err, model.ErrFormat)
}

// warmed are the parameters of a training that starts from start.
func warmed(p als.Parameters, start *als.Factors) als.Parameters {
	if start == nil {
		return p
	}
	if p.Algorithm != als.VB && p.Algorithm != als.Bayes {
		p.Iterations = (p.Iterations + 1) / 2
	}
	if head := p.Preference; head != nil && start.Preference != nil && start.Preference.Rank == head.Rank {
		half := *head
		half.Iterations = (half.Iterations + 1) / 2
		p.Preference = &half
	}
	return p
}

// cold are the parameters by which a version that was warmed would have been trained
// from scratch: about those that warmed was given.
func cold(p als.Parameters) als.Parameters {
	if p.Algorithm != als.VB && p.Algorithm != als.Bayes {
		p.Iterations *= 2
	}
	if p.Preference != nil {
		head := *p.Preference
		head.Iterations *= 2
		p.Preference = &head
	}
	return p
}
