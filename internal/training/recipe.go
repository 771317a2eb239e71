package training

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"

	"github.com/recsys-benthos/recsys-benthos/internal/als"
	"github.com/recsys-benthos/recsys-benthos/internal/gate"
	"github.com/recsys-benthos/recsys-benthos/internal/registry"
)

// recipe tells what was asked for, as 16 hexadecimal digits: eight of how the head
// that rates is made and eight of how the one that ranks is. Neither seed nor threads
// are part of it, nor what the data choose later (β, the iteration to stop at) or a
// warm start saves.
func (j Job) recipe() string {
	type head struct {
		*als.PreferenceParameters
		ChooseBeta bool
	}
	rating, ranking := j.Parameters, head{}
	rating.Seed, rating.Threads, rating.Preference = 0, 0, nil
	if j.Parameters.Preference != nil {
		copied := *j.Parameters.Preference
		ranking = head{&copied, copied.ChooseBeta}
		if copied.ChooseBeta {
			copied.Beta = 0
		}
	}
	if rating.Algorithm == als.Implicit { // whose rank and iterations are the other head's
		if ranking.PreferenceParameters == nil {
			defaults := als.DefaultPreference()
			ranking.PreferenceParameters = &defaults
		}
		ranking.Rank, ranking.Iterations = rating.Rank, rating.Iterations
		rating.Rank, rating.Iterations = 0, 0
	}
	early := j.EarlyStop
	if early.Share == 0 {
		early = EarlyStop{}
	}
	return digits(struct {
		als.Parameters
		EarlyStop EarlyStop
	}{rating, early}) + digits(ranking)
}

// digitsOfHead is how many of a recipe's digits tell one head.
const digitsOfHead = 8

func digits(of any) string {
	text, err := json.Marshal(of)
	if err != nil {
		panic("training: parameters do not marshal: " + err.Error())
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])[:digitsOfHead]
}

// change tells what of the recipe is not the champion's. Manifests from before there
// were recipes are compared by what defines the head that rates.
func (j Job) change(champion registry.Manifest) gate.Change {
	ours, theirs := j.recipe(), champion.Recipe
	if len(theirs) != len(ours) {
		var p als.Parameters
		if json.Unmarshal(champion.Parameters, &p) == nil && p.Algorithm == j.Parameters.Algorithm && p.Rank == j.Parameters.Rank &&
			p.Lambda == j.Parameters.Lambda && p.Nu == j.Parameters.Nu {
			return gate.Nothing
		}
		return gate.RatingHead
	}
	switch {
	case ours == theirs:
		return gate.Nothing
	case ours[:digitsOfHead] == theirs[:digitsOfHead]:
		return gate.PreferenceHead
	}
	return gate.RatingHead
}
