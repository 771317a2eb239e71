package servers

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"
)

// s3Release speaks S3 over a folder. It decides conditional writes under a lock for
// each key, as its own tests check and tests/registry does.
var s3Release = release{name: "versitygw-1.8.0", program: "github.com/versity/versitygw/cmd/versitygw@v1.8.0"}

const (
	s3Region = "us-east-1"
	s3Build  = 10 * time.Minute // how long building it may take, the first time
)

// S3 is a running server that speaks S3, over a folder of its Dir. Its address is an
// URL.
type S3 struct {
	Cluster // Username and Password are access key and secret
}

// ForS3Test skips the test if StartS3 cannot work here; it fails the test instead if
// the environment says CI=true or RECSYS_REQUIRE_SERVERS=1. The first time it builds
// the server.
func ForS3Test(t testing.TB) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), s3Build)
	defer cancel()
	if _, err := s3Release.fetch(ctx); err != nil {
		need(t, fmt.Sprintf("a server that speaks S3, which Go builds from the module proxy (or set %s to a folder where it is built already): %v", cacheVariable, err))
	}
}

// StartS3 starts a server that speaks S3, and waits until it answers. The caller
// closes it.
func StartS3(ctx context.Context) (*S3, error) {
	s, err := startS3(ctx)
	if err != nil {
		return nil, fmt.Errorf("starting a server that speaks S3: %w", err)
	}
	return s, nil
}

func startS3(ctx context.Context) (*S3, error) {
	dir, err := s3Release.fetch(ctx)
	if err != nil {
		return nil, err
	}
	base, err := newCluster("s3", 1)
	if err != nil {
		return nil, err
	}
	s := &S3{}
	s.Dir, s.release, s.Username, s.Password = base.Dir, base.release, "test-access-key", "test-secret-key"
	if err := s.layOut(filepath.Join(dir, "bin", "versitygw")); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	if err := s.Start(ctx); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func (s *S3) layOut(binary string) error {
	ports, err := s.reserve(1, hosts(1))
	if err != nil {
		return err
	}
	address := net.JoinHostPort(hosts(1)[0], strconv.Itoa(ports[0]))
	buckets := filepath.Join(s.Dir, "buckets")
	if err := os.Mkdir(buckets, 0o755); err != nil {
		return err
	}
	n := &Node{Name: "s3 server", Address: "http://" + address}
	n.command = command{
		path: binary,
		// What it knows of an object is in extended attributes, not in a file beside it:
		// that one would change at another moment than the object.
		args: []string{"--quiet", "--region", s3Region, "--port", address, "--health", "/health", "posix", buckets},
		env:  []string{"ROOT_ACCESS_KEY_ID=" + s.Username, "ROOT_SECRET_ACCESS_KEY=" + s.Password},
		dir:  s.Dir,
		log:  filepath.Join(s.Dir, "s3.log"),
	}
	n.ready = func(ctx context.Context) error { return healthy(ctx, n.Address+"/health") }
	s.Nodes = append(s.Nodes, n)
	return nil
}

func healthy(ctx context.Context, url string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s says %s", url, response.Status)
	}
	return nil
}

// Bucket makes a bucket and returns its URL, s3://name with where the server is.
func (s *S3) Bucket(name string) (string, error) {
	if err := os.Mkdir(filepath.Join(s.Dir, "buckets", name), 0o755); err != nil {
		return "", fmt.Errorf("making bucket %s: %w", name, err)
	}
	query := url.Values{"region": {s3Region}, "endpoint": {s.Nodes[0].Address}, "use_path_style": {"true"}}
	return "s3://" + name + "?" + query.Encode(), nil
}

// Environment is what AWS's SDK takes the credentials from, as NAME=VALUE.
func (s *S3) Environment() []string {
	return []string{"AWS_ACCESS_KEY_ID=" + s.Username, "AWS_SECRET_ACCESS_KEY=" + s.Password, "AWS_EC2_METADATA_DISABLED=true"}
}
