// Package movielens gets the MovieLens data: ml-latest-small from GroupLens, or
// a simulated sample of its shape where that cannot be had.
package movielens

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"time"
)

// ErrChecksum says that what was downloaded is not what was expected.
var ErrChecksum = errors.New("checksum does not fit")

// Archive is a file to download.
type Archive struct {
	URL    string
	SHA256 string // hexadecimal
	Bytes  int64
}

// LatestSmall is ml-latest-small of 2018-09: 100,836 ratings and 3,683 tags of
// 9,742 movies by 610 users (Harper & Konstan 2015).
var LatestSmall = Archive{
	URL:    "https://files.grouplens.org/datasets/movielens/ml-latest-small.zip",
	SHA256: "696d65a3dfceac7c45750ad32df2c259311949efec81f0f144fdfb91ebc9e436",
	Bytes:  978_202,
}

// Limits of a download.
const (
	connectTimeout = 10 * time.Second // until the headers are there
	totalTimeout   = 2 * time.Minute
)

// Download fetches the archive to path, which appears only once it is complete
// and its checksum fits. Progress, if not nil, is told the bytes so far.
func (a Archive) Download(ctx context.Context, path string, progress func(bytes int64)) error {
	ctx, cancel := context.WithTimeout(ctx, totalTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, a.URL, nil)
	if err != nil {
		return err
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.ResponseHeaderTimeout = connectTimeout
	transport.TLSHandshakeTimeout = connectTimeout
	defer transport.CloseIdleConnections()
	response, err := (&http.Client{Transport: transport}).Do(request)
	if err != nil {
		return fmt.Errorf("downloading: %w", err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("downloading %s: the server says %s", a.URL, response.Status)
	}
	return a.save(response.Body, path, progress)
}

func (a Archive) save(body io.Reader, path string, progress func(int64)) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	file, err := os.CreateTemp(filepath.Dir(path), ".download-")
	if err != nil {
		return err
	}
	defer os.Remove(file.Name())
	defer file.Close()
	sum := sha256.New()
	counted := &counter{progress: progress}
	// One byte more than expected is enough to see that it is too long.
	if _, err := io.Copy(io.MultiWriter(file, sum, counted), io.LimitReader(body, a.Bytes+1)); err != nil {
		return fmt.Errorf("downloading %s: %w", a.URL, err)
	}
	if got := hex.EncodeToString(sum.Sum(nil)); got != a.SHA256 {
		return fmt.Errorf("downloading %s: %w: got %d bytes with sha256 %s, expected %d bytes with %s",
			a.URL, ErrChecksum, counted.bytes, got, a.Bytes, a.SHA256)
	}
	if err := file.Sync(); err != nil {
		return err
	}
	return os.Rename(file.Name(), path)
}

// counter tells progress how many bytes went through.
type counter struct {
	bytes    int64
	progress func(int64)
}

func (c *counter) Write(p []byte) (int, error) {
	c.bytes += int64(len(p))
	if c.progress != nil {
		c.progress(c.bytes)
	}
	return len(p), nil
}
