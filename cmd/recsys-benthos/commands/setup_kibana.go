package commands

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"

	"github.com/urfave/cli/v2"
	"gopkg.in/yaml.v3"

	"github.com/recsys-benthos/recsys-benthos/config"
	"github.com/recsys-benthos/recsys-benthos/internal/kibana"
	"github.com/recsys-benthos/recsys-benthos/plugins/elasticsearch"
)

// kibanaObjects is the dashboard and what it needs, below config/.
const kibanaObjects = "kibana/recsys-benthos.ndjson"

func kibanaFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "kibana-url", Usage: "Kibana to import the dashboard into, as http://host:5601", EnvVars: []string{"KIBANA_URL"}},
		&cli.StringFlag{Name: "kibana-space", Usage: "space of Kibana's to import it into; the default one if empty", EnvVars: []string{"KIBANA_SPACE"}},
		&cli.StringFlag{Name: "kibana-user", Usage: "user of Kibana; by default the profile's of Elasticsearch", EnvVars: []string{"KIBANA_USER"}},
		secretFlag(&cli.StringFlag{Name: "kibana-password", Usage: "the user's password", EnvVars: []string{"KIBANA_PASSWORD"}}),
		secretFlag(&cli.StringFlag{Name: "kibana-api-key", Usage: "API key, encoded, instead of user and password", EnvVars: []string{"KIBANA_API_KEY"}}),
		&cli.StringFlag{Name: "kibana-ca-file", Usage: "CA that has signed Kibana's certificate", EnvVars: []string{"KIBANA_CA_FILE"}},
		&cli.StringFlag{Name: "kibana-fingerprint", Usage: "SHA-256 fingerprint of Kibana's certificate or of its CA", EnvVars: []string{"KIBANA_FINGERPRINT"}},
	}
}

// dashboards is where the dashboard goes, and what it is.
type dashboards struct {
	client  *kibana.Client
	export  []byte
	objects []kibana.Object
}

// kibanaDashboards returns nil if no Kibana is named. Kibana asks Elasticsearch
// who a user is, so that without other credentials those of Elasticsearch count.
func kibanaDashboards(c *cli.Context, es *elasticsearch.Settings) (*dashboards, error) {
	if c.String("kibana-url") == "" {
		return nil, nil
	}
	user, password, key := c.String("kibana-user"), c.String("kibana-password"), c.String("kibana-api-key")
	if user == "" && key == "" && es != nil {
		user, password, key = es.Username, es.Password, es.APIKey
	}
	settings, err := kibanaSettings(c, user, password, key)
	if err != nil {
		return nil, err
	}
	if len(settings.URLs) != 1 {
		return nil, errors.New("KIBANA_URL names several servers: name one, they share their objects")
	}
	d := &dashboards{client: &kibana.Client{
		URL: settings.URLs[0], Space: c.String("kibana-space"),
		Username: settings.Username, Password: settings.Password, APIKey: settings.APIKey,
		HTTP: &http.Client{Transport: &http.Transport{Proxy: http.ProxyFromEnvironment, TLSClientConfig: settings.TLS}},
	}}
	if d.export, err = fs.ReadFile(config.Files, kibanaObjects); err != nil {
		return nil, err
	}
	d.objects, err = kibana.Objects(d.export)
	return d, err
}

// kibanaSettings reads the flags as the fields of Elasticsearch's connection, which
// check them and make the TLS configuration.
func kibanaSettings(c *cli.Context, user, password, key string) (elasticsearch.Settings, error) {
	connection := map[string]any{
		"urls":                    []string{c.String("kibana-url")},
		"basic_auth":              map[string]any{"enabled": user != "", "username": user, "password": password},
		"api_key":                 key,
		"certificate_fingerprint": c.String("kibana-fingerprint"),
	}
	if file := c.String("kibana-ca-file"); file != "" {
		connection["tls"] = map[string]any{"enabled": true, "root_cas_file": file}
	}
	text, err := yaml.Marshal(connection)
	if err != nil {
		return elasticsearch.Settings{}, err
	}
	settings, err := parseElasticsearch(string(text))
	if err != nil {
		return settings, fmt.Errorf("the connection to Kibana (KIBANA_URL, KIBANA_USER, …): %w", err)
	}
	return settings, nil
}

// setUpKibana imports the dashboard, replacing the one that is there.
func (s servers) setUpKibana(ctx context.Context, dryRun bool, told func(string)) error {
	d := s.kibana
	switch {
	case d == nil && s.elasticsearch == nil:
		return nil // there are no predictions to look at
	case d == nil:
		fmt.Fprintf(os.Stderr, "Kibana: KIBANA_URL is not set. By hand: import config/%s (recsys-benthos init writes it) in Stack Management → Saved Objects.\n", kibanaObjects)
		return nil
	}
	missing, err := d.client.Missing(ctx, d.objects)
	if err != nil {
		return err
	}
	created := map[kibana.Object]bool{}
	for _, o := range missing {
		created[o] = true
	}
	if !dryRun {
		if _, err := d.client.Import(ctx, "recsys-benthos.ndjson", d.export); err != nil {
			return err
		}
	}
	for _, o := range d.objects {
		if created[o] {
			told(fmt.Sprintf("Kibana %s: created", o))
		}
	}
	if kept := len(d.objects) - len(missing); kept > 0 {
		told(fmt.Sprintf("Kibana: %d objects replaced by those of this version", kept))
	}
	return nil
}

// check names the objects that are not there.
func (d *dashboards) check(ctx context.Context) (problems []problem, err error) {
	missing, err := d.client.Missing(ctx, d.objects)
	for _, o := range missing {
		problems = append(problems, problem{Where: o.String(), What: "it is missing", Mend: "recsys-benthos setup"})
	}
	return problems, err
}
