package spark

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// class is what metadata calls a trained model.
const class = "org.apache.spark.ml.recommendation.ALSModel"

// metadata is the JSON of a saved model. Rank stands beside what every saved model of
// Spark has.
type metadata struct {
	Class           string         `json:"class"`
	Timestamp       int64          `json:"timestamp"` // Unix milliseconds
	SparkVersion    string         `json:"sparkVersion"`
	UID             string         `json:"uid"`
	ParamMap        map[string]any `json:"paramMap"`
	DefaultParamMap map[string]any `json:"defaultParamMap"`
	Rank            int            `json:"rank"`
}

// parseMetadata fills in what the first line of a metadata file says.
func (m *Model) parseMetadata(file string, text []byte) error {
	line, _, _ := bytes.Cut(bytes.TrimLeft(text, "\r\n\t "), []byte("\n"))
	var read metadata
	if err := json.Unmarshal(line, &read); err != nil {
		return fmt.Errorf("%w: %s is not the metadata of a model (%w); copy the folder again, or save the model again", ErrModel, file, err)
	}
	switch {
	case read.Class == class:
	case strings.HasSuffix(read.Class, ".PipelineModel"):
		return fmt.Errorf("%w: %s is of a PipelineModel; give the folder of its stage that is an ALSModel, stages/…_ALS_…", ErrModel, file)
	case read.Class == strings.TrimSuffix(class, "Model"):
		return fmt.Errorf("%w: %s is of an ALS that was not fitted yet; save what its fit returns", ErrModel, file)
	default:
		return fmt.Errorf("%w: %s is of class %q, and %s is wanted; give the folder that ALSModel.save wrote", ErrModel, file, read.Class, class)
	}
	if read.Rank < 1 || read.Rank > maxRank {
		return fmt.Errorf("%w: %s says rank %d, and 1 to %d is possible; save the model again", ErrModel, file, read.Rank, maxRank)
	}
	m.Rank, m.Version, m.Saved, m.Metadata = read.Rank, read.SparkVersion, time.UnixMilli(read.Timestamp).UTC(), line
	return nil
}

// writtenVersion is the Spark whose format is written. From 2.4 on all read it: no
// parameter is named that came later.
const writtenVersion = "3.5.0"

// newMetadata is that of a model whose folder gets the given name among Spark's.
func newMetadata(uid string, saved time.Time, rank int) metadata {
	return metadata{
		Class: class, Timestamp: saved.UnixMilli(), SparkVersion: writtenVersion, UID: uid, Rank: rank,
		ParamMap:        map[string]any{"userCol": "user_id", "itemCol": "movie_id"},
		DefaultParamMap: map[string]any{"coldStartStrategy": "nan", "itemCol": "item", "predictionCol": "prediction", "userCol": "user"},
	}
}
