package message

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// Announcement tells predictors which model version plays a role from now on.
// It travels on the compacted topic models with the role as key; the highest
// Sequence wins.
type Announcement struct {
	Role       string    `json:"role"`    // "champion" or "challenger:<name>"
	Version    string    `json:"version"` // "" says that a challenger has its role no more
	URI        string    `json:"uri"`     // registry it is in
	SHA256     string    `json:"sha256"`  // of model.safetensors, hexadecimal
	Sequence   int64     `json:"sequence"`
	PromotedAt time.Time `json:"promoted_at"`
	Metrics    Metrics   `json:"metrics"`
	Simulated  bool      `json:"simulated,omitempty"` // trained on generated ratings
	Action     string    `json:"action,omitempty"`    // what the promotion did, see registry
	Share      float64   `json:"share,omitempty"`     // of the users that a challenger serves, 0 to 1; 0 is shadow
	Reason     string    `json:"reason,omitempty"`    // for people
	Verdict    *Verdict  `json:"verdict,omitempty"`   // the gate's, with all figures
}

// Metrics of a model version on its holdout.
type Metrics struct {
	RMSE     float64 `json:"rmse"`      // stars
	BiasRMSE float64 `json:"bias_rmse"` // of biases alone on the same pairs, stars
	Ratings  int64   `json:"ratings"`   // it was trained on
	Holdout  int64   `json:"holdout"`   // pairs held out
}

// DecodeAnnouncement reads and checks one announcement. Every error is a
// *Rejection in the name of component.
func DecodeAnnouncement(component string, data []byte) (Announcement, error) {
	var announcement Announcement
	if err := json.Unmarshal(data, &announcement); err != nil {
		return announcement, Rejectf(component, "reading an announcement: %v", err)
	}
	if err := announcement.validate(); err != nil {
		return announcement, Rejectf(component, "reading an announcement: %v", err)
	}
	return announcement, nil
}

func (a *Announcement) validate() error {
	switch {
	case a.Role == "":
		return fmt.Errorf(`field "role" is missing; give "champion"`)
	case a.Version == "" && !strings.HasPrefix(a.Role, "challenger:"):
		return fmt.Errorf(`field "version" is missing`)
	case a.Sequence < 1:
		return fmt.Errorf(`field "sequence": %d is not a promotion's number; they start at 1`, a.Sequence)
	}
	return nil
}
