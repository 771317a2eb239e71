package live

import (
	"github.com/recsys-benthos/recsys-benthos/internal/experiment"
	"github.com/recsys-benthos/recsys-benthos/internal/message"
)

// Snapshot is all that a page shows, at one moment. Times are Unix
// milliseconds, ratings and errors are stars.
type Snapshot struct {
	Now           int64         `json:"now"`
	WindowSeconds int64         `json:"window_seconds"`
	Windows       []int64       `json:"windows"` // seconds of those there are
	Totals        Totals        `json:"totals"`
	Throughput    Throughput    `json:"throughput"`
	Accuracy      AccuracyAll   `json:"accuracy"`
	Series        Series        `json:"series"`
	Genres        Genres        `json:"genres"`
	Calibration   Calibration   `json:"calibration"`
	TopRated      []Movie       `json:"top_rated"`      // highest mean prediction first
	MostRequested []Movie       `json:"most_requested"` // most predictions first
	TopMinimum    int64         `json:"top_minimum"`    // predictions a movie needs to be top rated
	Latest        []Prediction  `json:"latest"`         // newest first
	Model         *Model        `json:"model"`          // the current champion, null before the first
	Models        []Model       `json:"models"`         // newest promotion first
	DeadLetters   []DeadLetter  `json:"dead_letters"`   // newest first
	Lags          []GroupLag    `json:"lags"`           // by group and topic
	ByModel       []ModelResult `json:"by_model"`       // latest in use first

	// Comparisons are of a champion and its challengers on live ratings, those that
	// had a rating last first.
	Comparisons []experiment.Result `json:"comparisons"`
}

// Totals count messages since this process started to read.
type Totals struct {
	Predictions      int64 `json:"predictions"` // distinct request ids, as far as remembered
	Duplicates       int64 `json:"duplicates"`  // the same request id again
	Cold             int64 `json:"cold"`        // predictions for an unknown user or movie
	Models           int64 `json:"models"`      // announcements
	DeadLetters      int64 `json:"dead_letters"`
	EndsOfPartitions int64 `json:"ends_of_partitions"` // partitions read to their end at least once
	DistinctMovies   int64 `json:"movies"`
}

// Throughput is predictions per second, by the time they were made.
type Throughput struct {
	Last10 Number `json:"last_10s"`
	Last60 Number `json:"last_60s"`

	// Quantiles of the time from request to prediction in the last minute, in
	// milliseconds, at most a fifth too much.
	DelayP50 Number `json:"delay_p50_ms"`
	DelayP99 Number `json:"delay_p99_ms"`
}

// Accuracy is the error of predictions whose actual rating is known.
type Accuracy struct {
	Count int64  `json:"count"`
	RMSE  Number `json:"rmse"`
	MAE   Number `json:"mae"`
}

// AccuracyAll is the accuracy of all predictions, and of the latest of them.
type AccuracyAll struct {
	Overall Accuracy `json:"overall"`
	Latest  Accuracy `json:"latest"` // of at most LatestCount

	// Baseline is of biases alone, BesideBaseline of the predictions of the same
	// ratings: those that als_predict gave a baseline.
	Baseline       Accuracy `json:"baseline"`
	BesideBaseline Accuracy `json:"beside_baseline"`
}

// Series is predictions over time: element i covers StepMillis from
// Start + i·StepMillis.
type Series struct {
	Start      int64    `json:"start"`
	StepMillis int64    `json:"step_ms"`
	Count      []int64  `json:"count"`
	Mean       []Number `json:"mean"` // predicted rating
	RMSE       []Number `json:"rmse"`
	Baseline   []Number `json:"baseline"` // RMSE of biases alone

	Accuracy         Accuracy        `json:"accuracy"` // of all steps
	BaselineAccuracy Accuracy        `json:"baseline_accuracy"`
	Versions         []VersionSeries `json:"versions"` // most predictions first
}

// VersionSeries is one version in the steps of a Series: the mean of what it
// predicted in service, and its error in any role.
type VersionSeries struct {
	Version     string   `json:"version"`
	Predictions int64    `json:"predictions"` // in service
	Accuracy    Accuracy `json:"accuracy"`
	Mean        []Number `json:"mean"`
	RMSE        []Number `json:"rmse"`
}

// Calibration says whether predictions are right on average, by what was
// predicted, and whether the stated uncertainty is true.
type Calibration struct {
	Bins   []CalibrationBin `json:"bins"`   // of rated predictions, lowest first
	Stated int64            `json:"stated"` // predictions with a standard deviation
	Within Number           `json:"within"` // share of them with the rating inside the 80 % interval
}

// CalibrationBin is the predictions next to a half star.
type CalibrationBin struct {
	Predicted Number `json:"predicted"`
	Count     int64  `json:"count"`
	MeanError Number `json:"mean_error"` // mean of prediction − actual
}

// Genres is predictions by genre over time: Mean[g][i] and Count[g][i] are of
// genre Names[g] in step i. A movie of several genres counts for each.
type Genres struct {
	Start      int64      `json:"start"`
	StepMillis int64      `json:"step_ms"`
	Names      []string   `json:"names"` // most predictions in the window first
	Total      []int64    `json:"total"` // in the window
	Mean       [][]Number `json:"mean"`
	Count      [][]int64  `json:"count"`
}

// Movie is a movie with its predictions since the start.
type Movie struct {
	ID    int64  `json:"movie_id"`
	Title string `json:"title"`
	Mean  Number `json:"mean"`
	Count int64  `json:"count"`
}

// Prediction is one row of the latest predictions.
type Prediction struct {
	At           int64    `json:"at"`
	User         int64    `json:"user_id"`
	Movie        int64    `json:"movie_id"`
	Title        string   `json:"title"`
	Genres       []string `json:"genres"`
	Value        Number   `json:"prediction"`
	Actual       *Number  `json:"actual"`
	ColdUser     bool     `json:"cold_user"`
	ColdMovie    bool     `json:"cold_movie"`
	ModelVersion string   `json:"model_version"`
}

// Model is one promotion of a model version.
type Model struct {
	Role       string `json:"role"`
	Version    string `json:"version"` // "" says that the role was taken away
	Sequence   int64  `json:"sequence"`
	RMSE       Number `json:"rmse"`      // on its holdout
	BiasRMSE   Number `json:"bias_rmse"` // of user and movie biases alone, on the same holdout
	Ratings    int64  `json:"ratings"`   // it was trained on
	PromotedAt int64  `json:"promoted_at"`
	SeenAt     int64  `json:"seen_at"` // by this process
	Simulated  bool   `json:"simulated"`

	Share   Number           `json:"share"` // of the users that a challenger serves; 0 is shadow
	Reason  string           `json:"reason"`
	Verdict *message.Verdict `json:"verdict"` // the gate's, without its guards; null where there is none
}

// ModelResult is what the predictions of one model version were like.
type ModelResult struct {
	Version     string `json:"version"`
	Predictions int64  `json:"predictions"`
	Accuracy
}

// DeadLetter is one message that could not be handled.
type DeadLetter struct {
	At        int64  `json:"at"`
	Reason    string `json:"reason"`
	Component string `json:"component"`
	Topic     string `json:"topic"` // the original message's
	Partition string `json:"partition"`
	Offset    string `json:"offset"`
}
