package elasticsearch

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"time"

	"github.com/elastic/elastic-transport-go/v8/elastictransport"
	"github.com/elastic/go-elasticsearch/v8/esapi"
	"github.com/tidwall/gjson"

	"github.com/recsys-benthos/recsys-benthos/config"
)

const (
	templateFile = "elasticsearch/predictions-template.json"
	policyFile   = "elasticsearch/predictions-ilm.json"
	listsFile    = "elasticsearch/recommendations-template.json"
	listsName    = "recommendations"
	defaultName  = "predictions"

	settingShards    = "index.number_of_shards"
	settingReplicas  = "index.number_of_replicas"
	settingLifecycle = "index.lifecycle.name"
)

// indexTemplate is a composable index template, with flat settings.
type indexTemplate struct {
	Patterns []string       `json:"index_patterns"`
	Priority int            `json:"priority"`
	Meta     map[string]any `json:"_meta,omitempty"`
	Template struct {
		Settings map[string]any `json:"settings"`
		Mappings map[string]any `json:"mappings"`
	} `json:"template"`
}

// readTemplate reads a template of config/.
func readTemplate(file string, o SetupOptions) (t indexTemplate, err error) {
	data, err := config.Files.ReadFile(file)
	if err == nil {
		err = json.Unmarshal(data, &t)
	}
	if err != nil {
		return t, fmt.Errorf("reading %s: %w", file, err)
	}
	if o.Replicas != nil {
		t.Template.Settings[settingReplicas] = *o.Replicas
	}
	if o.Shards > 0 {
		t.Template.Settings[settingShards] = o.Shards
	}
	return t, nil
}

// wantedTemplate is the template of config/, for the index of these settings.
func wantedTemplate(s Settings, o SetupOptions, lifecycle bool) (indexTemplate, error) {
	t, err := readTemplate(templateFile, o)
	if err != nil {
		return t, err
	}
	t.Patterns = []string{pattern(s)}
	if !lifecycle {
		delete(t.Template.Settings, settingLifecycle) // such a cluster refuses the setting
	} else {
		t.Template.Settings[settingLifecycle] = templateName(s)
	}
	return t, nil
}

// templateName is also the policy's.
func templateName(s Settings) string {
	if s.Index == "" {
		return defaultName
	}
	return s.Index
}

// pattern matches the indices that these settings write.
func pattern(s Settings) string {
	if s.Index != "" && !s.Daily {
		return s.Index
	}
	return templateName(s) + "-*"
}

// differences are the paths at which what is there is not what is wanted.
func (t indexTemplate) differences(there indexTemplate) []string {
	var found []string
	if !slices.Equal(t.Patterns, there.Patterns) {
		found = append(found, "index_patterns")
	}
	if t.Priority != there.Priority {
		found = append(found, "priority")
	}
	found = append(found, differingKeys("settings.", texts(t.Template.Settings), texts(there.Template.Settings))...)
	found = append(found, differingKeys("mappings.", flatten("", t.Template.Mappings), flatten("", there.Template.Mappings))...)
	return found
}

// texts writes values as Elasticsearch gives settings back: as texts.
func texts(settings map[string]any) map[string]string {
	result := map[string]string{}
	for key, value := range settings {
		result[key] = fmt.Sprint(value)
	}
	return result
}

func flatten(prefix string, value any) map[string]string {
	object, ok := value.(map[string]any)
	if !ok {
		return map[string]string{prefix: fmt.Sprint(value)}
	}
	result := map[string]string{}
	for key, inner := range object {
		path := key
		if prefix != "" {
			path = prefix + "." + key
		}
		maps.Copy(result, flatten(path, inner))
	}
	return result
}

func differingKeys(prefix string, want, there map[string]string) []string {
	differing := map[string]bool{}
	for key, value := range want {
		if there[key] != value {
			differing[prefix+key] = true
		}
	}
	for key := range there {
		if _, ok := want[key]; !ok {
			differing[prefix+key] = true
		}
	}
	return slices.Sorted(maps.Keys(differing))
}

// admin asks a cluster about itself, and sets it up.
type admin struct {
	transport *elastictransport.Client
	wire      *http.Transport
	timeout   time.Duration
}

func newAdmin(s Settings) (*admin, error) {
	transport, wire, err := newTransport(s)
	if err != nil {
		return nil, err
	}
	return &admin{transport: transport, wire: wire, timeout: s.Timeout}, nil
}

func (a *admin) close() { a.wire.CloseIdleConnections() }

// call sends a request once to each node until one answers, and reads the answer.
func (a *admin) call(ctx context.Context, request esapi.Request) (status int, answer []byte, err error) {
	for range a.transport.URLs() {
		if status, answer, err = call(ctx, a.transport, a.timeout, request); err == nil || ctx.Err() != nil {
			break
		}
	}
	return status, answer, err
}

func call(ctx context.Context, transport esapi.Transport, timeout time.Duration, request esapi.Request) (int, []byte, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	response, err := request.Do(ctx, transport)
	if err != nil {
		return 0, nil, err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(response.Body, maxAnswerBytes))
	return response.StatusCode, answer, err
}

// ask is call, with every answer but 200 and 404 as an error; there tells the
// two apart.
func (a *admin) ask(ctx context.Context, doing string, request esapi.Request) (answer []byte, there bool, err error) {
	status, answer, err := a.call(ctx, request)
	switch {
	case err != nil:
		return nil, false, fmt.Errorf("%s: %s", doing, explain(err))
	case status == http.StatusOK:
		return answer, true, nil
	case status == http.StatusNotFound:
		return answer, false, nil
	}
	object, ours := isError(answer)
	if !ours {
		return nil, false, fmt.Errorf("%s: status %d: %s", doing, status, excerpt(answer))
	}
	_, why := judge(readError(status, object), "", false)
	return nil, false, fmt.Errorf("%s: %s", doing, why)
}

// template gives the index template of this name; there is false where none is.
func (a *admin) template(ctx context.Context, name string) (t indexTemplate, there bool, err error) {
	flat := true
	answer, there, err := a.ask(ctx, "reading index template "+name, esapi.IndicesGetIndexTemplateRequest{Name: name, FlatSettings: &flat})
	if err != nil || !there {
		return t, false, err
	}
	raw := gjson.GetBytes(answer, "index_templates.0.index_template").Raw
	if err := json.Unmarshal([]byte(raw), &t); err != nil {
		return t, false, fmt.Errorf("reading index template %s: %w", name, err)
	}
	return t, true, nil
}

// policy gives the ILM policy of this name. supported is false where the cluster
// has no ILM.
func (a *admin) policy(ctx context.Context, name string) (policy string, there, supported bool, err error) {
	status, answer, err := a.call(ctx, esapi.ILMGetLifecycleRequest{Policy: name})
	if err != nil {
		return "", false, false, fmt.Errorf("reading ILM policy %s: %s", name, explain(err))
	}
	_, typed := isError(answer)
	switch {
	case status == http.StatusOK:
		var all map[string]struct {
			Policy json.RawMessage `json:"policy"`
		}
		if err := json.Unmarshal(answer, &all); err != nil {
			return "", false, false, fmt.Errorf("reading ILM policy %s: %w", name, err)
		}
		return string(all[name].Policy), true, true, nil
	case status == http.StatusNotFound && typed:
		return "", false, true, nil
	// No ILM plugin: nothing handles the path, or it is read as that of an index.
	case status == http.StatusNotFound, status == http.StatusMethodNotAllowed,
		status == http.StatusBadRequest && (bytes.Contains(answer, []byte("no handler")) || bytes.Contains(answer, []byte("_ilm"))):
		return "", false, false, nil
	}
	object, _ := isError(answer)
	_, why := judge(readError(status, object), "", false)
	return "", false, false, fmt.Errorf("reading ILM policy %s: %s", name, why)
}
