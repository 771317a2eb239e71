package lens

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/tidwall/gjson"
)

// recordsField stands for whole documents.
const recordsField = "___records___"

// manyTerms has each shard send all of its terms: indices of two days, each with the
// counts of its own, must add up exactly at midnight.
const manyTerms = 20_000

// Request is what the panel asks Elasticsearch for, of documents that match only as
// well, with buckets of time as long as interval, such as 1s.
func (p Panel) Request(only map[string]any, interval string) (map[string]any, error) {
	query, err := Query(p.Query)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", p.ID, err)
	}
	inner := map[string]any{}
	for id, c := range p.Columns {
		if c.Bucketed || c.Operation == "formula" || c.Operation == "math" || plainCount(c) {
			continue
		}
		if inner[id], err = c.metric(); err != nil {
			return nil, fmt.Errorf("%s: column %s: %w", p.ID, id, err)
		}
	}
	buckets := p.Buckets()
	for i := len(buckets) - 1; i >= 0; i-- {
		// Terms may be ordered by a metric of theirs, which is what is inside already.
		bucket, err := p.bucket(buckets[i], interval)
		if err != nil {
			return nil, fmt.Errorf("%s: column %s: %w", p.ID, buckets[i], err)
		}
		bucket["aggs"] = inner
		inner = map[string]any{buckets[i]: bucket}
	}
	return map[string]any{"size": 0, "track_total_hits": true, "aggs": inner, "query": map[string]any{"bool": map[string]any{"filter": []any{query, only}}}}, nil
}

// Buckets are the columns that split documents, from the outermost to the innermost.
func (p Panel) Buckets() (ids []string) {
	for _, id := range p.Order {
		if p.Columns[id].Bucketed {
			ids = append(ids, id)
		}
	}
	return ids
}

func plainCount(c Column) bool { return c.Operation == "count" && c.KQL() == "" }

func (p Panel) bucket(id, interval string) (map[string]any, error) {
	c := p.Columns[id]
	switch c.Operation {
	case "date_histogram":
		return map[string]any{"date_histogram": map[string]any{"field": c.Field, "fixed_interval": interval, "min_doc_count": 1}}, nil
	case "terms":
		order := "_count"
		by := c.Params.OrderBy
		switch {
		case by.Type == "custom" && c.Params.OrderAgg != nil && plainCount(*c.Params.OrderAgg):
		case by.Type == "column" && plainCount(p.Columns[by.ColumnID]):
		case by.Type == "column" && p.Columns[by.ColumnID].Operation != "":
			order = by.ColumnID
		default:
			return nil, fmt.Errorf("it is ordered by %q %q, which is no column", by.Type, by.ColumnID)
		}
		return map[string]any{"terms": map[string]any{
			"field": c.Field, "size": c.Params.Size, "shard_size": manyTerms, "order": map[string]any{order: c.Params.OrderDirection},
		}}, nil
	}
	return nil, fmt.Errorf("operation %q makes no buckets that this package knows", c.Operation)
}

// metrics are Lens's operations as Elasticsearch's aggregations.
var metrics = map[string]string{
	"average": "avg", "sum": "sum", "min": "min", "max": "max", "unique_count": "cardinality", "standard_deviation": "extended_stats",
}

func (c Column) metric() (map[string]any, error) {
	var value map[string]any
	if name, ok := metrics[c.Operation]; ok {
		value = map[string]any{name: map[string]any{"field": c.Field}}
	} else if c.Operation != "count" {
		return nil, fmt.Errorf("operation %q is not one that this package knows", c.Operation)
	}
	if c.KQL() == "" {
		return value, nil
	}
	filter, err := Query(c.KQL())
	filtered := map[string]any{"filter": filter}
	if value != nil {
		filtered["aggs"] = map[string]any{"value": value}
	}
	return filtered, err
}

// Row is a row of the table: a value of each bucket, and the numbers; what there is
// none of is NaN.
type Row struct {
	Keys   []string
	Values map[string]float64
}

// Rows is the table that the panel draws from the answer to its Request.
func (p Panel) Rows(answer gjson.Result) ([]Row, error) {
	if failed := answer.Get("_shards.failed").Int(); failed > 0 {
		return nil, fmt.Errorf("%s: %d shards failed: %s", p.ID, failed, answer.Get("_shards.failures").Raw)
	}
	return p.rows(answer.Get("aggregations"), p.Buckets(), nil)
}

func (p Panel) rows(level gjson.Result, buckets, keys []string) (all []Row, err error) {
	if len(buckets) == 0 {
		values, err := p.values(level)
		return []Row{{Keys: append([]string(nil), keys...), Values: values}}, err
	}
	for _, bucket := range level.Get(buckets[0] + ".buckets").Array() {
		key := bucket.Get("key").String()
		if text := bucket.Get("key_as_string"); text.Exists() {
			key = text.Str
		}
		inner, err := p.rows(bucket, buckets[1:], append(keys, key))
		if err != nil {
			return nil, err
		}
		all = append(all, inner...)
	}
	return all, nil
}

func (p Panel) values(bucket gjson.Result) (map[string]float64, error) {
	values := map[string]float64{}
	for id, c := range p.Columns {
		if c.Bucketed || c.Operation == "formula" || c.Operation == "math" {
			continue
		}
		found := bucket.Get(id)
		switch {
		case plainCount(c):
			found = bucket.Get("doc_count")
		case c.Operation == "count":
			found = found.Get("doc_count")
		case c.KQL() != "":
			found = found.Get("value")
		}
		switch c.Operation {
		case "count":
		case "standard_deviation":
			found = found.Get("std_deviation")
		default:
			found = found.Get("value")
		}
		values[id] = math.NaN()
		if found.Type == gjson.Number {
			values[id] = found.Num
		}
	}
	for _, operation := range []string{"math", "formula"} { // a formula is the value of its tree
		for id, c := range p.Columns {
			if c.Operation != operation {
				continue
			}
			value, err := c.computed(values)
			if err != nil {
				return nil, fmt.Errorf("%s: column %s: %w", p.ID, id, err)
			}
			values[id] = value
		}
	}
	return values, nil
}

func (c Column) computed(values map[string]float64) (float64, error) {
	for _, id := range c.References {
		if _, ok := values[id]; !ok {
			return 0, fmt.Errorf("it refers to %s, which is no number", id)
		}
	}
	if c.Operation == "formula" {
		if len(c.References) != 1 {
			return 0, fmt.Errorf("it refers to %d columns, not to its tree alone", len(c.References))
		}
		return values[c.References[0]], nil
	}
	return compute(gjson.ParseBytes(c.Params.TinymathAst), values)
}

// functions of Kibana's formulae.
var functions = map[string]func(args []float64) float64{
	"add":      func(a []float64) float64 { return a[0] + a[1] },
	"subtract": func(a []float64) float64 { return a[0] - a[1] },
	"multiply": func(a []float64) float64 { return a[0] * a[1] },
	"divide":   func(a []float64) float64 { return a[0] / a[1] },
	"pow":      func(a []float64) float64 { return math.Pow(a[0], a[1]) },
	"sqrt":     func(a []float64) float64 { return math.Sqrt(a[0]) },
}

func compute(tree gjson.Result, values map[string]float64) (float64, error) {
	switch tree.Type {
	case gjson.Number:
		return tree.Num, nil
	case gjson.String:
		value, ok := values[tree.Str]
		if !ok {
			return 0, fmt.Errorf("the tree has %s, which is no column", tree.Str)
		}
		return value, nil
	}
	name := tree.Get("name").Str
	arity := 2
	if name == "sqrt" {
		arity = 1
	}
	f, ok := functions[name]
	if args := tree.Get("args").Array(); !ok || len(args) != arity {
		return 0, fmt.Errorf("the tree has %s with %d arguments, which this package does not know", strconv.Quote(name), len(args))
	}
	args := make([]float64, arity)
	for i, arg := range tree.Get("args").Array() {
		var err error
		if args[i], err = compute(arg, values); err != nil {
			return 0, err
		}
	}
	return f(args), nil
}

// Query translates the part of KQL that panels use: `field: *`, `field: value`, `not`
// and `and`.
func Query(kql string) (map[string]any, error) {
	filters, excluded := []any{}, []any{}
	for _, term := range terms(kql) {
		clause := map[string]any{"term": map[string]any{term.field: term.value}}
		if term.value == "*" {
			clause = map[string]any{"exists": map[string]any{"field": term.field}}
		}
		switch {
		case term.field == "" || term.value == "" || strings.ContainsAny(term.field+term.value, ` "()<>`):
			return nil, fmt.Errorf("KQL %q: %q is not of the part of KQL that this package knows", kql, term.field+":"+term.value)
		case term.not:
			excluded = append(excluded, clause)
		default:
			filters = append(filters, clause)
		}
	}
	return map[string]any{"bool": map[string]any{"filter": filters, "must_not": excluded}}, nil
}

type term struct {
	not          bool
	field, value string
}

func terms(kql string) (found []term) {
	if strings.TrimSpace(kql) == "" {
		return nil
	}
	for part := range strings.SplitSeq(kql, " and ") {
		var t term
		part, t.not = strings.CutPrefix(strings.TrimSpace(part), "not ")
		t.field, t.value, _ = strings.Cut(part, ":")
		t.field, t.value = strings.TrimSpace(t.field), strings.TrimSpace(t.value)
		found = append(found, t)
	}
	return found
}

// Use is a field and what is done with it.
type Use struct{ Field, Operation string }

// Uses are the fields that the panel needs in the index.
func (p Panel) Uses() (uses []Use) {
	filtered := func(kql string) {
		for _, t := range terms(kql) {
			uses = append(uses, Use{t.field, "filter"})
		}
	}
	filtered(p.Query)
	for _, c := range p.Columns {
		filtered(c.KQL())
		if c.Field != "" && c.Field != recordsField {
			uses = append(uses, Use{c.Field, c.Operation})
		}
	}
	return uses
}

// Decode reads text that holds JSON, as attributes of saved objects do.
func Decode(text string, into any) error { return json.Unmarshal([]byte(text), into) }
