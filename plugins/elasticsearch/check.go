package elasticsearch

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/elastic/go-elasticsearch/v8/esapi"
	"github.com/tidwall/gjson"
)

// CheckOptions are what Check expects, beside config/elasticsearch.
type CheckOptions struct {
	Replicas *int // of each index; nil: the template's
	Shards   int  // of each index; 0: the template's
}

// Problem is something in the cluster that breaks a promise, or will.
type Problem struct {
	Object string // "index predictions-2026.11.23"
	What   string
	Mend   string // what an operator can do
}

func (p Problem) String() string { return p.Object + ": " + p.What + "; " + p.Mend }

// Check looks for what would make writing fail, or lose documents with a node: a
// template that is missing or differs, indices whose mapping is not the
// template's, blocks on writing, missing shards, fewer replicas than promised. It
// changes nothing. An error means that it could not look.
func Check(ctx context.Context, s Settings, o CheckOptions) ([]Problem, error) {
	a, err := newAdmin(s)
	if err != nil {
		return nil, err
	}
	defer a.close()
	_, policed, lifecycle, err := a.policy(ctx, templateName(s))
	if err != nil {
		return nil, err
	}
	want, err := wantedTemplate(s, SetupOptions{Replicas: o.Replicas, Shards: o.Shards}, lifecycle)
	if err != nil {
		return nil, err
	}
	var problems []Problem
	if lifecycle && !policed {
		problems = append(problems, Problem{Object: "ILM policy " + templateName(s), What: "it is missing", Mend: "run `recsys-benthos setup`"})
	}
	lists, err := readTemplate(listsFile, SetupOptions{Replicas: o.Replicas, Shards: o.Shards})
	if err != nil {
		return problems, err
	}
	found, err := a.checkTemplate(ctx, listsName, lists)
	if err != nil {
		return problems, err
	}
	problems = append(problems, found...)
	for _, look := range []func(context.Context, Settings, indexTemplate) ([]Problem, error){
		func(ctx context.Context, s Settings, want indexTemplate) ([]Problem, error) {
			return a.checkTemplate(ctx, templateName(s), want)
		}, a.checkMappings, a.checkSettings, a.checkHealth,
	} {
		found, err := look(ctx, s, want)
		if err != nil {
			return problems, err
		}
		problems = append(problems, found...)
	}
	return problems, nil
}

func (a *admin) checkTemplate(ctx context.Context, name string, want indexTemplate) ([]Problem, error) {
	there, exists, err := a.template(ctx, name)
	if err != nil {
		return nil, err
	}
	p := Problem{Object: "index template " + name, Mend: "run `recsys-benthos setup`"}
	if !exists {
		p.What = "it is missing, so that new indices guess their mappings"
		return []Problem{p}, nil
	}
	if differing := want.differences(there); len(differing) > 0 {
		p.What = "it differs in " + strings.Join(differing, ", ")
		return []Problem{p}, nil
	}
	return nil, nil
}

// checkMappings compares the types of fields, not their options: these are what
// documents and dashboards depend on, and what cannot be changed.
func (a *admin) checkMappings(ctx context.Context, s Settings, want indexTemplate) ([]Problem, error) {
	answer, there, err := a.ask(ctx, "reading mappings", esapi.IndicesGetMappingRequest{Index: []string{pattern(s)}})
	if err != nil || !there {
		return nil, err
	}
	properties, _ := want.Template.Mappings["properties"].(map[string]any)
	var problems []Problem
	gjson.ParseBytes(answer).ForEach(func(index, content gjson.Result) bool {
		there := content.Get("mappings.properties")
		for _, field := range slices.Sorted(maps.Keys(properties)) {
			definition, _ := properties[field].(map[string]any)
			wanted, found := fmt.Sprint(definition["type"]), there.Get(field)
			kind := found.Get("type").Str
			if found.Exists() && kind == "" {
				kind = "object"
			}
			p := Problem{Object: "index " + index.Str}
			switch {
			case kind == wanted:
				continue
			case kind == "":
				p.What = fmt.Sprintf("field %s is not mapped, want %s: it cannot be searched", field, wanted)
				p.Mend = fmt.Sprintf(`add it: PUT %s/_mapping {"properties": {"%s": {"type": "%s"}}}`, index.Str, field, wanted)
			default:
				p.What = fmt.Sprintf("field %s is mapped as %s, want %s", field, kind, wanted)
				p.Mend = "the type of a field cannot be changed: re-index into an index made by the template, or delete the index and replay"
			}
			problems = append(problems, p)
		}
		return true
	})
	return problems, nil
}

func (a *admin) checkSettings(ctx context.Context, s Settings, want indexTemplate) ([]Problem, error) {
	flat := true
	answer, there, err := a.ask(ctx, "reading settings", esapi.IndicesGetSettingsRequest{Index: []string{pattern(s)}, FlatSettings: &flat})
	if err != nil || !there {
		return nil, err
	}
	promised, _ := strconv.Atoi(fmt.Sprint(want.Template.Settings[settingReplicas]))
	var problems []Problem
	gjson.ParseBytes(answer).ForEach(func(index, content gjson.Result) bool {
		settings := map[string]string{}
		content.Get("settings").ForEach(func(key, value gjson.Result) bool {
			settings[key.Str] = value.String()
			return true
		})
		problems = append(problems, checkIndex(index.Str, settings, promised)...)
		return true
	})
	return problems, nil
}

func checkIndex(index string, settings map[string]string, promised int) (problems []Problem) {
	add := func(what, mend string) {
		problems = append(problems, Problem{Object: "index " + index, What: what, Mend: mend})
	}
	if settings["index.blocks.read_only_allow_delete"] == "true" {
		add("it is read-only because a disk was over its flood-stage watermark (index.blocks.read_only_allow_delete)",
			"free disk space or add a node, and the block goes away by itself")
	}
	for _, block := range []string{"index.blocks.write", "index.blocks.read_only"} {
		if settings[block] == "true" {
			add("it has a write block ("+block+")", fmt.Sprintf(`remove it: PUT %s/_settings {"%s": null}`, index, block))
		}
	}
	_, automatic := settings["index.auto_expand_replicas"]
	automatic = automatic && settings["index.auto_expand_replicas"] != "false"
	if n, err := strconv.Atoi(settings[settingReplicas]); err == nil && n < promised && !automatic {
		add(fmt.Sprintf("it has %d replicas, %d are promised: the loss of a node may lose documents", n, promised),
			fmt.Sprintf(`raise it: PUT %s/_settings {"%s": %d}`, index, settingReplicas, promised))
	}
	return problems
}

func (a *admin) checkHealth(ctx context.Context, s Settings, want indexTemplate) ([]Problem, error) {
	answer, there, err := a.ask(ctx, "reading the cluster's health", esapi.ClusterHealthRequest{Index: []string{pattern(s)}, Level: "indices", ExpandWildcards: "open"})
	if err != nil || !there {
		return nil, err
	}
	health := gjson.ParseBytes(answer)
	var problems []Problem
	promised, _ := strconv.Atoi(fmt.Sprint(want.Template.Settings[settingReplicas]))
	if nodes := int(health.Get("number_of_data_nodes").Int()); nodes < promised+1 {
		problems = append(problems, Problem{
			Object: "cluster " + health.Get("cluster_name").Str,
			What:   fmt.Sprintf("%d data nodes cannot hold %d replicas beside each shard", nodes, promised),
			Mend:   "start more nodes, or set up with fewer replicas",
		})
	}
	health.Get("indices").ForEach(func(index, state gjson.Result) bool {
		switch state.Get("status").Str {
		case "red":
			problems = append(problems, Problem{
				Object: "index " + index.Str, What: "it is red: a shard is not there, and what belongs into it cannot be written",
				Mend: "bring its nodes back; GET _cluster/allocation/explain says what is missing",
			})
		case "yellow":
			problems = append(problems, Problem{
				Object: "index " + index.Str, What: fmt.Sprintf("it is yellow: %d shards have no copy", state.Get("unassigned_shards").Int()),
				Mend: "start as many nodes as replicas and one more; GET _cluster/allocation/explain says what is missing",
			})
		}
		return true
	})
	return problems, nil
}
