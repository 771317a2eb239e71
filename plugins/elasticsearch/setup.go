package elasticsearch

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/elastic/go-elasticsearch/v8/esapi"

	"github.com/recsys-benthos/recsys-benthos/config"
)

// SetupOptions are what Setup does differently from config/elasticsearch.
type SetupOptions struct {
	DryRun   bool // say what would be done, and do nothing
	Replicas *int // of each index; nil: the template's
	Shards   int  // of each index; 0: the template's
}

// Action is what Setup did with an object, or would do.
type Action string

// Actions of Setup.
const (
	Created Action = "created"
	Updated Action = "updated"
	Kept    Action = "kept"    // it is there, as it should be
	Skipped Action = "skipped" // the cluster cannot have it
)

// Change is what Setup did with one object.
type Change struct {
	Object string // "index template predictions"
	Action Action
	Detail string // why, or what differs; may be empty
}

func (c Change) String() string {
	if c.Detail == "" {
		return c.Object + ": " + string(c.Action)
	}
	return c.Object + ": " + string(c.Action) + " (" + c.Detail + ")"
}

// Setup puts the ILM policy and the index templates of config/elasticsearch into
// the cluster, and says what it did. Doing it again changes nothing. Indices that
// exist keep their mappings and settings; Check finds those that do not fit. A
// cluster without ILM (a distribution without X-Pack) gets the template alone.
func Setup(ctx context.Context, s Settings, o SetupOptions) ([]Change, error) {
	a, err := newAdmin(s)
	if err != nil {
		return nil, err
	}
	defer a.close()
	change, lifecycle, err := a.setUpPolicy(ctx, templateName(s), o.DryRun)
	if err != nil {
		return nil, err
	}
	changes := []Change{change}
	want, err := wantedTemplate(s, o, lifecycle)
	if err != nil {
		return changes, err
	}
	change, err = a.setUpTemplate(ctx, templateName(s), want, o.DryRun)
	if err != nil {
		return changes, err
	}
	changes = append(changes, change)
	if want, err = readTemplate(listsFile, o); err != nil {
		return changes, err
	}
	change, err = a.setUpTemplate(ctx, listsName, want, o.DryRun)
	if err != nil {
		return changes, err
	}
	return append(changes, change), nil
}

func (a *admin) setUpPolicy(ctx context.Context, name string, dryRun bool) (change Change, supported bool, err error) {
	change = Change{Object: "ILM policy " + name, Action: Created}
	data, err := config.Files.ReadFile(policyFile)
	if err != nil {
		return change, false, err
	}
	there, exists, supported, err := a.policy(ctx, name)
	switch {
	case err != nil:
		return change, false, err
	case !supported:
		change.Action = Skipped
		change.Detail = "this cluster has no index lifecycle management; delete old indices yourself"
		return change, false, nil
	case exists:
		differing, err := policyDifferences(data, there)
		if err != nil {
			return change, true, err
		}
		if len(differing) == 0 {
			change.Action = Kept
			return change, true, nil
		}
		change.Action, change.Detail = Updated, strings.Join(differing, ", ")
	}
	if dryRun {
		return change, true, nil
	}
	_, done, err := a.ask(ctx, "writing ILM policy "+name, esapi.ILMPutLifecycleRequest{Policy: name, Body: bytes.NewReader(data)})
	if err == nil && !done {
		err = fmt.Errorf("writing ILM policy %s: status 404", name)
	}
	return change, true, err
}

func policyDifferences(want []byte, there string) ([]string, error) {
	var wanted struct{ Policy map[string]any }
	if err := json.Unmarshal(want, &wanted); err != nil {
		return nil, fmt.Errorf("reading %s: %w", policyFile, err)
	}
	var found map[string]any
	if err := json.Unmarshal([]byte(there), &found); err != nil {
		return nil, fmt.Errorf("reading the ILM policy: %w", err)
	}
	wantPhases, therePhases := flatten("phases", wanted.Policy["phases"]), flatten("phases", found["phases"])
	delete(wantPhases, "phases.delete.actions.delete") // the server adds defaults to it
	var differing []string
	for _, path := range differingKeys("", wantPhases, therePhases) {
		if !strings.HasPrefix(path, "phases.delete.actions.delete") {
			differing = append(differing, path)
		}
	}
	return differing, nil
}

func (a *admin) setUpTemplate(ctx context.Context, name string, want indexTemplate, dryRun bool) (Change, error) {
	change := Change{Object: "index template " + name, Action: Created, Detail: "for " + strings.Join(want.Patterns, ", ")}
	there, exists, err := a.template(ctx, name)
	if err != nil {
		return change, err
	}
	if exists {
		differing := want.differences(there)
		if len(differing) == 0 {
			change.Action, change.Detail = Kept, ""
			return change, nil
		}
		change.Action, change.Detail = Updated, strings.Join(differing, ", ")
	}
	if dryRun {
		return change, nil
	}
	data, err := json.Marshal(want)
	if err != nil {
		return change, err
	}
	_, done, err := a.ask(ctx, "writing index template "+name, esapi.IndicesPutIndexTemplateRequest{Name: name, Body: bytes.NewReader(data)})
	if err == nil && !done {
		err = fmt.Errorf("writing index template %s: status 404", name)
	}
	return change, err
}
