package configs

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// How the two commands that find a wrong configuration begin what they say.
const (
	startsNot = "recsys-benthos: service closing due to: "
	lints     = "$FILE"
)

// badConfigurations are the wrong configurations of testdata: the exact message
// of the linter, which begins with file and line, or of the start. $STATE is a
// folder with a text file notes.txt, and movies.csv without genres.
var badConfigurations = map[string]string{
	"algorithm_unknown":               lints + "(11,1) value svd is not a valid option for this field",
	"api_batch_zero":                  lints + "(6,1) must be at least 1",
	"api_key_scope_unknown":           startsNot + `failed to init input <no label> path root.input: field auth.0.scopes: "everything" is unknown; give read, write or admin`,
	"api_model_is_catalog":            startsNot + "failed to init input <no label> path root.input: the resource catalog is not an als_model",
	"cassandra_consistency_unknown":   lints + "(10,1) value MOST is not a valid option for this field",
	"catalog_from_nowhere":            lints + "(10,1) give source, a MovieLens folder or file, or store, the label of a rating store with movies, or both",
	"catalog_missing":                 startsNot + `opening movie catalog "catalog": failed to init cache 'catalog' path root.cache_resources: reading the movie catalog: looking for MovieLens data: stat ./no/such/folder: no such file or directory`,
	"catalog_without_column":          startsNot + `opening movie catalog "catalog": failed to init cache 'catalog' path root.cache_resources: reading the movie catalog: $STATE/movies.csv line 1: no column "genres"; expected movieId,title,genres`,
	"compare_alpha_one":               lints + "(10,1) field alpha must lie between 0 and 1",
	"compare_period_too_short":        startsNot + `failed to init processor <no label> path root.pipeline.processors.0: field period: 10ms is too short; give at least 1s`,
	"component_unknown":               lints + "(8,1) unable to infer processor type from candidates: [als_predicct]",
	"dashboard_address_without_port":  startsNot + "failed to init output <no label> path root.output: field address: address localhost: missing port in address; give host and port such as 127.0.0.1:4195",
	"dead_letter_size_unreadable":     startsNot + `failed to init processor <no label> path root.pipeline.processors.0: field max_bytes: strconv.ParseFloat: parsing "": invalid syntax; write it as 900KiB`,
	"dead_letters_label_unknown":      startsNot + "output 1: failed to init output <no label> path root.output.fallback.1: output resource 'dead_leters' was not found",
	"elasticsearch_two_ids":           lints + "(5,1) fields id and id_field exclude each other: remove one",
	"field_misspelled":                lints + "(9,1) field on_invalid_ratings not recognised",
	"format_unknown":                  lints + "(4,1) value xml is not a valid option for this field",
	"from_no_time":                    startsNot + `failed to init input <no label> path root.input: field from: "last year" is not a time in RFC 3339, such as 2018-01-01T00:00:00Z`,
	"history_over_one":                lints + "(4,1) field history must lie between 0 and 1",
	"holdout_over_one":                lints + "(11,1) field holdout must lie between 0 and 1, 1 excluded",
	"holdout_over_one_from_variable":  lints + "(11,1) field holdout must lie between 0 and 1, 1 excluded",
	"kafka_cluster_is_catalog":        startsNot + `failed to init input <no label> path root.input: field cluster: resource "catalog" is not a Kafka cluster; give the label of a kafka_cluster resource`,
	"kafka_cluster_unknown":           startsNot + `failed to init input <no label> path root.input: field cluster: opening the resource "kafka_of_mine": unable to locate resource: kafka_of_mine`,
	"kafka_topic_invalid":             startsNot + `failed to init output <no label> path root.output: field topic: topic name "pre dictions" has the character ' '; letters, digits, '.', '_' and '-' are allowed`,
	"kafka_transaction_without_group": startsNot + `failed to init input <no label> path root.input: field transactional_id: needs a consumer_group`,
	"kafka_without_topics":            lints + "(3,1) field topics must name at least one topic",
	"lambda_negative":                 startsNot + "failed to init processor <no label> path root.pipeline.processors.0: field parameters: lambda is -1, want 1e-06 to 1e+06 (with 0 a row of few ratings has no unique solution): parameters out of range",
	"min_new_ratings_zero":            lints + "(11,1) field min_new_ratings must be at least 1",
	"model_is_catalog":                startsNot + `failed to init processor <no label> path root.pipeline.processors.0: resource "catalog" is not an als_model`,
	"model_label_unknown":             startsNot + `failed to init processor <no label> path root.pipeline.processors.0: opening resource "champion": unable to locate resource: champion`,
	"model_store_is_catalog":          startsNot + `opening resource "model": failed to init cache 'model' path root.cache_resources: resource "catalog" is not a rating store`,
	"pace_negative":                   lints + "(4,1) field pace must not be negative",
	"poll_no_duration":                startsNot + `opening resource "model": failed to init cache 'model' path root.cache_resources: failed to parse 'poll' as a duration string: time: invalid duration "soon"`,
	"poll_zero":                       startsNot + `opening resource "model": failed to init cache 'model' path root.cache_resources: field poll: 0s is not a positive duration`,
	"rank_zero":                       startsNot + "failed to init processor <no label> path root.pipeline.processors.0: field parameters: rank is 0, want 1 to 1024: parameters out of range",
	"registry_empty":                  startsNot + `opening resource "model": failed to init cache 'model' path root.cache_resources: unusable registry URL: "" has no path; give file:///path/to/registry`,
	"registry_missing":                lints + "(15,1) field registry is required",
	"registry_scheme":                 startsNot + `opening resource "model": failed to init cache 'model' path root.cache_resources: unusable registry URL: gs://bucket/registry: registries are at file:// and s3://`,
	"sqlite_key_empty":                startsNot + "failed to init output <no label> path root.output: field key names no column; give the columns that tell rows apart, such as [request_id]",
	"sqlite_mapping_broken":           lints + "(11,41) required: expected method or field path, but reached end of input",
	"store_is_a_folder":               startsNot + `opening rating store "rating_store": failed to init cache 'rating_store' path root.cache_resources: opening $ROOT/config/fixtures: unable to open database file (14); check that the path names a file that this user may write, in a folder it may write`,
	"store_is_catalog":                startsNot + `failed to init output <no label> path root.output: resource "catalog" is not a rating store; give the label of a sqlite_ratings or cassandra_ratings resource`,
	"store_is_no_database":            startsNot + `opening rating store "rating_store": failed to init cache 'rating_store' path root.cache_resources: opening $STATE/notes.txt: not a usable SQLite database: the file is something else; move it away, or set path to another file`,
	"store_label_unknown":             startsNot + `failed to init output <no label> path root.output: opening rating store "ratings": unable to locate resource: ratings`,
	"variable_without_value":          lints + "(1,1) required environment variables were not set: [BAD_NOT_SET]",
}

func TestEveryWrongConfigurationSaysWhatIsWrongAndWhere(t *testing.T) {
	state := t.TempDir()
	for name, content := range map[string]string{
		"notes.txt":  strings.Repeat("notes, and no database\n", 100),
		"movies.csv": "movieId,title\n1,Toy Story (1995)\n",
	} {
		if err := os.WriteFile(filepath.Join(state, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	root, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	paths, err := filepath.Glob("tests/configs/testdata/*.bad.yaml")
	if err != nil || len(paths) != len(badConfigurations) {
		t.Errorf("%d files *.bad.yaml for %d rows, %v", len(paths), len(badConfigurations), err)
	}
	for _, path := range paths {
		name := strings.TrimSuffix(filepath.Base(path), ".bad.yaml")
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			want := strings.NewReplacer("$FILE", path, "$STATE", state, "$ROOT", root).Replace(badConfigurations[name])
			if got := complaint(t, path, map[string]string{"BAD_STATE": state, "BAD_HOLDOUT": "1.5"}); got != want || want == "" {
				t.Errorf("got  %s\nwant %s", got, want)
			}
		})
	}
}

// complaint returns what the linter says of a configuration or, if it has
// nothing to say, the last line of the attempt to run it.
func complaint(t *testing.T, path string, environment map[string]string) string {
	t.Helper()
	out, code := command(t, environment, "lint", path)
	if code == 0 {
		out, code = command(t, environment, "run", "--set", "http.enabled=false", "--log.level", "ERROR", path)
	}
	if code == 0 {
		t.Fatalf("%s lints and runs", path)
	}
	lines := strings.Split(strings.TrimSpace(out), "\n")
	return lines[len(lines)-1]
}
