package commands

import (
	"cmp"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net"
	"net/http"
	"os"
	"slices"

	"github.com/redpanda-data/benthos/v4/public/service"

	"github.com/recsys-benthos/recsys-benthos/internal/secret"
)

// The variables that guard the admin server. config/service.yaml reads the last two,
// which follow from the password.
const (
	adminUser     = "RECSYS_ADMIN_USER"
	adminPassword = "RECSYS_ADMIN_PASSWORD"
	adminAuth     = "RECSYS_ADMIN_AUTH"
	adminHash     = "RECSYS_ADMIN_PASSWORD_SHA256"
)

// setAdminPassword turns the password into what Benthos's basic_auth takes.
func setAdminPassword() error {
	password, _, err := secret.Lookup(adminPassword)
	if err != nil || password == "" {
		return err
	}
	sum := sha256.Sum256([]byte(password))
	if err := os.Setenv(adminHash, base64.StdEncoding.EncodeToString(sum[:])); err != nil {
		return err
	}
	return os.Setenv(adminAuth, "true")
}

// authenticate adds the password of the admin server to a request of ours, if it has
// one.
func authenticate(request *http.Request) error {
	password, _, err := secret.Lookup(adminPassword)
	if err != nil || password == "" {
		return err
	}
	request.SetBasicAuth(cmp.Or(os.Getenv(adminUser), "admin"), password)
	return nil
}

// guardAdmin refuses an admin server that everybody could change the pipelines by.
// streamsAPI says whether it does that at all.
func guardAdmin(conf *service.ParsedConfig, streamsAPI bool) error {
	p := &adminFields{conf: conf}
	enabled, address := p.boolean("http", "enabled"), p.text("http", "address")
	guarded, debug := p.boolean("http", "basic_auth", "enabled"), p.boolean("http", "debug_endpoints")
	if p.err != nil {
		return fmt.Errorf("reading field http: %w", p.err)
	}
	host, _, err := net.SplitHostPort(address)
	if !enabled || guarded || err == nil && isLoopback(host) || !streamsAPI && !debug {
		return nil
	}
	what := "change the pipelines and read their settings"
	if !streamsAPI {
		what = "look into this process by http.debug_endpoints"
	}
	return fmt.Errorf("the admin server at %s (RECSYS_ADMIN) would let everybody who reaches it %s: set %s, or start `streams` with --no-api and without http.debug_endpoints, which leaves /ready and /metrics, or give a loopback address such as 127.0.0.1:4196",
		address, what, adminPassword)
}

// adminFields reads fields up to the first error.
type adminFields struct {
	conf *service.ParsedConfig
	err  error
}

func (p *adminFields) boolean(path ...string) (value bool) {
	if p.err == nil {
		value, p.err = p.conf.FieldBool(path...)
	}
	return value
}

func (p *adminFields) text(path ...string) (value string) {
	if p.err == nil {
		value, p.err = p.conf.FieldString(path...)
	}
	return value
}

// hasStreamsAPI reports whether a command line starts streams that can be changed
// from outside.
func hasStreamsAPI(args []string) bool {
	if !slices.Contains(args, "streams") {
		return false
	}
	return !slices.ContainsFunc(args, func(arg string) bool {
		return arg == "--no-api" || arg == "-no-api" || arg == "--no-api=true" || arg == "-no-api=true"
	})
}
