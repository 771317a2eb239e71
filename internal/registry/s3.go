package registry

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"path"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"gocloud.dev/blob"
	"gocloud.dev/blob/s3blob"
	"gocloud.dev/gcerrors"
)

const s3Scheme = "s3"

// Limits of one operation, where the caller's context has none that is tighter.
const (
	s3Timeout      = 30 * time.Second
	s3ModelTimeout = 10 * time.Minute
)

// s3Conflicts is how often a write is tried again that S3 could not decide on,
// because another one to the same key was under way (409).
const s3Conflicts = 20

// s3Bucket is a bucket of S3, or of what speaks its protocol.
type s3Bucket struct {
	name   string // of the bucket
	prefix string // of all keys: "", or it ends with a slash
	blobs  *blob.Bucket
}

// openS3 opens s3://bucket/prefix?parameters, with gocloud's parameters (region,
// endpoint, use_path_style and so on). Credentials are those of AWS's SDK:
// environment, shared files, the machine's role. Nothing is asked of the server yet.
func openS3(ctx context.Context, of string) (*s3Bucket, error) {
	u, err := url.Parse(of)
	if err != nil {
		return nil, fmt.Errorf("%w: %s is no URL", ErrURL, withoutUser(of))
	}
	endpoint, err := url.Parse(u.Query().Get("endpoint"))
	if u.User != nil || err == nil && endpoint.User != nil {
		return nil, fmt.Errorf("%w: %s: credentials do not belong in a URL; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE", ErrURL, withoutUser(of))
	}
	if u.Host == "" {
		return nil, fmt.Errorf("%w: %s has no bucket; give s3://bucket/folder?region=REGION", ErrURL, withoutUser(of))
	}
	query := u.Query()
	prefix := path.Join("/", u.Path, query.Get("prefix"))
	query.Del("prefix")
	opener := &s3blob.URLOpener{}
	blobs, err := opener.OpenBucketURL(ctx, &url.URL{Scheme: s3Scheme, Host: u.Host, RawQuery: query.Encode()})
	if err != nil {
		// The parameters are not told: some take keys for parameters.
		return nil, fmt.Errorf("%w: %s", ErrURL, strings.ReplaceAll(err.Error(), "?"+query.Encode(), ""))
	}
	return &s3Bucket{name: u.Host, prefix: strings.TrimPrefix(strings.TrimSuffix(prefix, "/")+"/", "/"), blobs: blobs}, nil
}

func (b *s3Bucket) where(key string) string { return "s3://" + b.name + "/" + b.prefix + key }

// limited bounds the time of an operation on key.
func limited(ctx context.Context, key string) (context.Context, context.CancelFunc) {
	if strings.HasSuffix(key, ".safetensors") || strings.HasSuffix(key, ".parquet") {
		return context.WithTimeout(ctx, s3ModelTimeout)
	}
	return context.WithTimeout(ctx, s3Timeout)
}

func (b *s3Bucket) read(ctx context.Context, key string) ([]byte, error) {
	ctx, cancel := limited(ctx, key)
	defer cancel()
	data, err := b.blobs.ReadAll(ctx, b.prefix+key)
	return data, b.explain(key, err)
}

func (b *s3Bucket) list(ctx context.Context, folder, after string) ([]string, error) {
	ctx, cancel := limited(ctx, folder)
	defer cancel()
	prefix := b.prefix + folder + "/"
	each := b.blobs.List(&blob.ListOptions{Prefix: prefix, Delimiter: "/", BeforeList: func(as func(any) bool) error {
		var input *s3.ListObjectsV2Input
		if after != "" && as(&input) {
			from := prefix + after
			input.StartAfter = &from
		}
		return nil
	}})
	var names []string
	for {
		listed, err := each.Next(ctx)
		if errors.Is(err, io.EOF) {
			return names, nil
		}
		if err != nil {
			return nil, b.explain(folder+"/", err)
		}
		// A server may overlook where to start.
		if name := strings.TrimSuffix(strings.TrimPrefix(listed.Key, prefix), "/"); name > after {
			names = append(names, name)
		}
	}
}

func (b *s3Bucket) write(ctx context.Context, key string, data []byte) error {
	return b.explain(key, b.put(ctx, key, data, false))
}

func (b *s3Bucket) create(ctx context.Context, key string, data []byte) (won bool, err error) {
	for attempt := 0; ; attempt++ {
		err = b.put(ctx, key, data, true)
		switch {
		case err == nil:
			return true, nil
		case gcerrors.Code(err) == gcerrors.FailedPrecondition || s3Status(err) == http.StatusPreconditionFailed:
			return false, nil
		case s3Status(err) != http.StatusConflict || attempt == s3Conflicts:
			return false, b.explain(key, err)
		}
		select {
		case <-ctx.Done():
			return false, ctx.Err()
		case <-time.After(time.Duration(1+rand.IntN(50*(attempt+1))) * time.Millisecond):
		}
	}
}

func (b *s3Bucket) put(ctx context.Context, key string, data []byte, ifNew bool) error {
	ctx, cancel := limited(ctx, key)
	defer cancel()
	contentType := "application/octet-stream"
	if strings.HasSuffix(key, ".json") {
		contentType = "application/json"
	}
	return b.blobs.Upload(ctx, b.prefix+key, bytes.NewReader(data), &blob.WriterOptions{ContentType: contentType, IfNotExist: ifNew})
}

func (b *s3Bucket) delete(ctx context.Context, key string) error {
	ctx, cancel := limited(ctx, "")
	defer cancel()
	err := b.explain(key, b.blobs.Delete(ctx, b.prefix+key))
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	return err
}

func (b *s3Bucket) stat(ctx context.Context, key string) (object, error) {
	ctx, cancel := limited(ctx, "")
	defer cancel()
	attributes, err := b.blobs.Attributes(ctx, b.prefix+key)
	if err != nil {
		return object{}, b.explain(key, err)
	}
	return object{key, attributes.Size, attributes.ModTime}, nil
}

// leftovers are none: what was not uploaded to its end is no object. Parts of it
// are for the bucket's own rule on incomplete uploads.
func (b *s3Bucket) leftovers(context.Context) ([]object, error) { return nil, nil }

// s3Status returns the status of an answer that was an error, 0 if there was none.
func s3Status(err error) int {
	var answer interface{ HTTPStatusCode() int }
	if errors.As(err, &answer) {
		return answer.HTTPStatusCode()
	}
	return 0
}

// explain says in an error of S3 which object it is about and what would mend it.
func (b *s3Bucket) explain(key string, err error) error {
	if err == nil {
		return nil
	}
	var api interface{ ErrorCode() string }
	code := ""
	if errors.As(err, &api) {
		code = api.ErrorCode()
	}
	switch {
	case code == "NoSuchBucket":
		return fmt.Errorf("%s: bucket %s does not exist: create it, or correct the registry's URL", b.where(key), b.name)
	case gcerrors.Code(err) == gcerrors.NotFound:
		return fmt.Errorf("%w: %s", ErrNotFound, b.where(key))
	case strings.Contains(err.Error(), "get credentials"):
		return fmt.Errorf("%s: %w; there are no credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE", b.where(key), err)
	case code == "InvalidAccessKeyId", code == "SignatureDoesNotMatch":
		return fmt.Errorf("%s: %w; correct AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY", b.where(key), err)
	case s3Status(err) == http.StatusForbidden:
		return fmt.Errorf("%s: %w; the credentials need s3:ListBucket on bucket %s and s3:GetObject, s3:PutObject, s3:DeleteObject on its objects", b.where(key), err, b.name)
	case code == "AuthorizationHeaderMalformed", strings.Contains(err.Error(), "Missing Region"), strings.Contains(err.Error(), "Invalid region"):
		return fmt.Errorf("%s: %w; set AWS_REGION, or give region=REGION in the registry's URL", b.where(key), err)
	case s3Status(err) == 0 && strings.Contains(err.Error(), "request send failed"):
		return fmt.Errorf("%s: %w; nobody answers there: look at the registry's URL (endpoint, region) and the network", b.where(key), err)
	}
	return fmt.Errorf("%s: %w", b.where(key), err)
}
