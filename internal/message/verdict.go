package message

// Verdict is what the gate found about a version, with all figures. It is in the
// manifest, in announcements, and on the live page.
type Verdict struct {
	Outcome  string   `json:"outcome"`            // one of the Outcome constants
	Rule     string   `json:"rule"`               // one of the Rule constants
	Against  string   `json:"against,omitempty"`  // the version it was compared with
	Reason   string   `json:"reason"`             // in one sentence, for people
	Tests    []Test   `json:"tests,omitempty"`    // in the order in which they were made; the last one decided
	Guards   []Guard  `json:"guards,omitempty"`   // what must not become worse
	Warnings []string `json:"warnings,omitempty"` // guards that could not decide, and what else a person should know
	Refit    *Refit   `json:"refit,omitempty"`    // how what was evaluated relates to what is published
}

// Outcomes of the gate.
const (
	OutcomePromoted  = "promoted"
	OutcomeRejected  = "rejected"
	OutcomeUndecided = "undecided" // it stays a challenger, in shadow
)

// Rules by which the gate decides.
const (
	RuleFirst   = "first version"  // there is nothing to compare with
	RuleSame    = "same recipe"    // newer data: it must not be worse by more than a margin
	RuleChanged = "changed recipe" // it must be better
	RuleForced  = "forced"         // somebody decided
)

// Test compares two versions on the same ratings.
type Test struct {
	Name       string   `json:"name"`       // "newest ratings", "newest ratings, longer" or "twins"
	Head       string   `json:"head"`       // "rating", in stars of RMSE, or "preference", in NDCG@10
	Champion   float64  `json:"champion"`   // RMSE in stars, or NDCG@10
	Challenger float64  `json:"challenger"` // the same
	Gain       Interval `json:"gain"`       // of the challenger, above 0 where it is better; 90 %
	Point      float64  `json:"point"`      // the gain itself
	Needed     float64  `json:"needed"`     // the gain that the lower bound has to exceed
	Ratings    int      `json:"ratings"`
	Users      int      `json:"users"`
	Effective  float64  `json:"effective_users"` // (Σn)²/Σn² of the users' ratings n
	Decision   string   `json:"decision"`        // "better", "worse" or "undecided", against Needed
}

// Guard is a quantity that a new champion must not make worse by more than Limit.
type Guard struct {
	Name       string   `json:"name"` // "ndcg10", "coverage10" or "cold_user_rmse"
	Champion   float64  `json:"champion"`
	Challenger float64  `json:"challenger"`
	Change     Interval `json:"change"`   // 90 %, above 0 where the challenger is better; relative where Relative
	Relative   bool     `json:"relative"` // Change and Limit are shares of the champion's
	Limit      float64  `json:"limit"`    // what Change.Low must not fall below, negative
	Users      int      `json:"users"`
	Passed     bool     `json:"passed"`
	Decides    bool     `json:"decides"` // false with too few users: then it only warns
}

// Interval is the range between two quantiles.
type Interval struct {
	Low  float64 `json:"low"`
	High float64 `json:"high"`
}

// Refit tells how far what is published, trained on everything, is from its twin,
// which was evaluated and did not know the ratings it was evaluated on.
type Refit struct {
	Twin       string  `json:"twin"`           // sha256 of the evaluated twin's model
	Difference float64 `json:"rms_difference"` // of their predictions, in stars
	Limit      float64 `json:"limit"`
	Pairs      int     `json:"pairs"` // that it was measured on
}
