package dashboard

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"fmt"
	"net/http"
	"path"
	"strings"
	"sync"
)

//go:embed web/index.html web/app.js web/basics.js web/panels.js web/tables.js web/theme.js web/api.js web/stars.js web/foryou.js web/admin.js web/views.js
//go:embed web/style.css web/icon.svg web/charts.js web/charts.LICENSE web/charts.NOTICE
var web embed.FS

// asset is a file of the page, compressed once.
type asset struct {
	contentType, tag string
	plain, zipped    []byte
}

// assets gives the files of the page by their paths.
var assets = sync.OnceValue(func() map[string]*asset {
	all := map[string]*asset{"/{$}": newAsset("index.html")}
	entries, err := web.ReadDir("web")
	if err != nil {
		panic("dashboard: the page is not in the binary")
	}
	for _, entry := range entries {
		if name := entry.Name(); name != "index.html" {
			all["/live/"+name] = newAsset(name)
		}
	}
	return all
})

func newAsset(name string) *asset {
	data, err := web.ReadFile("web/" + name)
	if err != nil {
		panic("dashboard: the page is not in the binary")
	}
	var zipped bytes.Buffer
	w, _ := gzip.NewWriterLevel(&zipped, gzip.BestCompression)
	_, _ = w.Write(data) // a buffer takes all
	_ = w.Close()
	contentType, ok := map[string]string{
		".html": "text/html; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8", ".svg": "image/svg+xml",
	}[path.Ext(name)]
	if !ok {
		contentType = "text/plain; charset=utf-8"
	}
	sum := sha256.Sum256(data)
	return &asset{contentType: contentType, tag: fmt.Sprintf(`"%x"`, sum[:8]), plain: data, zipped: zipped.Bytes()}
}

// ServeHTTP gives the file, unless the browser has it already.
func (a *asset) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	header := w.Header()
	header.Set("Cache-Control", "no-cache") // asks whether the tag is still right
	header.Set("ETag", a.tag)
	header.Set("Vary", "Accept-Encoding")
	if r.Header.Get("If-None-Match") == a.tag {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	header.Set("Content-Type", a.contentType)
	body := a.plain
	if strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
		header.Set("Content-Encoding", "gzip")
		body = a.zipped
	}
	header.Set("Content-Length", fmt.Sprint(len(body)))
	_, _ = w.Write(body)
}
