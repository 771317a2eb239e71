package als

import (
	"strings"
	"testing"

	"github.com/redpanda-data/benthos/v4/public/service"

	"github.com/recsys-benthos/recsys-benthos/internal/ratings"
	"github.com/recsys-benthos/recsys-benthos/internal/recsystest"
)

func TestAnEngineIsReadOrRefusedWithWhatMendsIt(t *testing.T) {
	for name, c := range map[string]struct{ engine, want string }{
		"in this process":   {"engine: {in_process: {}}", ""},
		"none":              {"", ""},
		"Spark":             {"algorithm: als\nengine: {spark: {master: yarn, ratings: {parquet: 'hdfs:///ratings'}}}", ""},
		"another algorithm": {"engine: {spark: {master: yarn, ratings: {parquet: x}}}", "set algorithm: als"},
		"early stop":        {"algorithm: als\nearly_stop: {share: 0.1}\nengine: {spark: {master: yarn, ratings: {parquet: x}}}", "set the share of early_stop to 0"},
		"no ratings":        {"algorithm: als\nengine: {spark: {master: yarn}}", "one place to read ratings from is needed"},
		"two places":        {"algorithm: als\nengine: {spark: {master: yarn, ratings: {parquet: x, kafka: y}}}", "2 are given"},
	} {
		t.Run(name, func(t *testing.T) {
			mgr := service.MockResources(service.MockResourcesOptAddCache("rating_store"))
			mgr.SetGeneric(ratings.StoreKey{Label: "rating_store"}, ratings.Store(recsystest.NewMemoryStore()))
			conf, err := trainSpec().ParseYAML("registry: file://"+t.TempDir()+"\n"+c.engine, nil)
			if err != nil {
				t.Fatal(err)
			}
			trainer, err := newTrainer(conf, mgr)
			if c.want != "" {
				if err == nil || !strings.Contains(err.Error(), c.want) {
					t.Errorf("got %v, want …%s…", err, c.want)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got := trainer.job.Engine != nil; got != strings.Contains(c.engine, "spark") {
				t.Errorf("has an engine: %v", got)
			}
			if trainer.job.Engine != nil && (trainer.job.Parameters.Preference != nil || trainer.sample != 20_000_000) {
				t.Errorf("job %+v, sample %d", trainer.job.Parameters, trainer.sample)
			}
		})
	}
}

func TestTheLintOfAnEngineTellsWhatExcludesEachOther(t *testing.T) {
	linter := service.GlobalEnvironment().FullConfigSchema("", "").NewStreamConfigLinter()
	for name, c := range map[string]struct{ engine, want string }{
		"in this process": {"{in_process: {}}", ""},
		"Spark":           {"{spark: {master: yarn, ratings: {parquet: x}}}", ""},
		"both":            {"{in_process: {}, spark: {master: yarn, ratings: {parquet: x}}}", "fields in_process and spark exclude each other"},
		"two places":      {"{spark: {master: yarn, ratings: {parquet: x, csv: y}}}", "give one of cassandra, parquet, csv and kafka"},
		"no place":        {"{spark: {master: yarn, ratings: {topic: x}}}", "give one of cassandra, parquet, csv and kafka"},
	} {
		found, err := linter.LintYAML([]byte("pipeline: {processors: [{als_train: {registry: 'file://x', algorithm: als, engine: " + c.engine + "}}]}"))
		if err != nil {
			t.Fatal(err)
		}
		var told []string
		for _, lint := range found {
			told = append(told, lint.What)
		}
		if text := strings.Join(told, "; "); text != c.want {
			t.Errorf("%s: got %q, want %q", name, text, c.want)
		}
	}
}
