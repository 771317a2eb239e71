package registry

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"strings"
	"syscall"
	"time"
)

// bucket is where a registry's objects are. A key is a path with slashes. What is
// written is there as a whole and durably, or not at all.
type bucket interface {
	// where names an object for people.
	where(key string) string
	// read returns the content of key, or ErrNotFound.
	read(ctx context.Context, key string) ([]byte, error)
	// list returns the names of what is directly in a folder, in order, from the
	// first one greater than after on; none if there is no such folder.
	list(ctx context.Context, folder, after string) ([]string, error)
	// write stores data under key, over what is there.
	write(ctx context.Context, key string, data []byte) error
	// create stores data under key unless it exists; won is false if it does. With
	// an error, or with a loss after an answer that got lost, what is there decides.
	create(ctx context.Context, key string, data []byte) (won bool, err error)
	// delete removes key; it is no error if there is none.
	delete(ctx context.Context, key string) error
	// stat returns size and time of the last change of key, or ErrNotFound.
	stat(ctx context.Context, key string) (object, error)
	// leftovers lists what writers that died have left and nobody sees.
	leftovers(ctx context.Context) ([]object, error)
}

// object is one of a bucket.
type object struct {
	key     string
	bytes   int64
	changed time.Time
}

// openBucket returns the bucket that a registry's URL means, and the URL as it is
// told to others.
func openBucket(ctx context.Context, of string) (bucket, string, error) {
	scheme, path, hasScheme := strings.Cut(of, "://")
	switch {
	case !hasScheme:
		path = of
	case scheme == s3Scheme:
		b, err := openS3(ctx, of)
		return b, of, err
	case scheme != "file":
		return nil, "", fmt.Errorf("%w: %s: registries are at file:// and s3://", ErrURL, withoutUser(of))
	}
	if path == "" {
		return nil, "", fmt.Errorf("%w: %q has no path; give file:///path/to/registry", ErrURL, of)
	}
	if host, _, _ := strings.Cut(path, "/"); strings.Contains(host, "@") && strings.Contains(host, ":") {
		return nil, "", fmt.Errorf("%w: file:// takes neither user nor host; give file:///path/to/registry", ErrURL)
	}
	return folder(path), "file://" + path, nil
}

// withoutUser returns a URL without user, password and parameters, which nobody is to
// read in a message.
func withoutUser(of string) string {
	u, err := url.Parse(of)
	if err != nil {
		scheme, _, _ := strings.Cut(of, "://")
		return scheme + "://…"
	}
	u.User = nil
	if u.RawQuery != "" {
		u.RawQuery = "…"
	}
	return u.String()
}

// mend adds to an error of writing what a person can do about it.
func mend(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT), errors.Is(err, syscall.EFBIG):
		return fmt.Errorf("%w; nothing of it is visible: make room there and do it again", err)
	case errors.Is(err, syscall.EROFS), errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%w; give this user the right to write there, or another registry", err)
	}
	return err
}
